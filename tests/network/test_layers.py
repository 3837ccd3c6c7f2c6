"""Dropout with a stream of its own, and pooling that is PyTorch's to the bit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from stepladder.network.layers import MaxPool2x2, SeededDropout


def dropout(p: float, seed: int = 0) -> SeededDropout:
    return SeededDropout(p, torch.Generator().manual_seed(seed))


def test_the_same_stream_gives_the_same_masks():
    ones = torch.ones(50, 33)
    first, again, other = dropout(0.5), dropout(0.5), dropout(0.5, seed=1)
    masks = [first(ones), first(ones)]
    assert torch.equal(masks[0], again(ones))
    assert torch.equal(masks[1], again(ones))
    assert not torch.equal(masks[0], masks[1])
    assert not torch.equal(masks[0], other(ones))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.9, 0.999])
def test_the_share_of_zeros_and_the_mean_are_right(p, dtype):
    count = 200_001
    out = dropout(p)(torch.ones(count, dtype=dtype))
    assert out.dtype == dtype
    zeros = int((out == 0).sum())
    rounded = round(p * 2**16) / 2**16
    # Six standard deviations of a binomial count: wrong by chance once in a billion.
    assert abs(zeros - count * rounded) < 6 * math.sqrt(count * rounded * (1 - rounded))
    kept = out[out != 0]
    scale = torch.tensor(1 / (1 - p), dtype=dtype)
    assert (kept - scale).abs().max() <= 0.01 * scale
    error = 6 * math.sqrt(p / (1 - p) / count) + (0.01 if dtype == torch.bfloat16 else 0) + 2**-16 / (1 - p)
    assert abs(float(out.double().mean()) - 1) < error


def test_neighbours_from_one_draw_are_independent():
    """Four values share one 64-bit draw."""
    kept = (dropout(0.5)(torch.ones(40_000, 4)) != 0).double()
    correlations = torch.corrcoef(kept.T) - torch.eye(4)
    assert correlations.abs().max() < 6 / math.sqrt(40_000)


@pytest.mark.parametrize("shape", [(1,), (3,), (5, 7), (2, 3, 5, 7), (0, 4)])
def test_any_number_of_values(shape):
    out = dropout(0.5)(torch.ones(shape))
    assert out.shape == shape
    assert set(out.unique().tolist()) <= {0.0, 2.0}


def test_dropped_is_zero_and_the_rest_is_scaled():
    values = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    out = dropout(0.25)(values)
    torch.testing.assert_close(out, torch.where(out == 0, 0, values / 0.75))


def test_gradients_pass_where_values_do():
    values = torch.ones(1000, requires_grad=True)
    out = dropout(0.5)(values)
    out.sum().backward()
    assert torch.equal(values.grad, out.detach())


def test_identity_in_evaluation_and_at_strength_zero():
    values = torch.randn(9)
    layer = dropout(0.5).eval()
    state = layer.generator.get_state()
    assert layer(values) is values
    assert torch.equal(layer.generator.get_state(), state)
    assert dropout(0.0)(values) is values


@pytest.mark.parametrize("p", [1e-9, 1 - 1e-9])
def test_the_ends_of_the_range(p):
    assert torch.isfinite(dropout(p)(torch.ones(1000))).all()


def test_the_global_random_state_is_left_alone():
    before = torch.get_rng_state()
    dropout(0.5)(torch.ones(100))
    assert torch.equal(torch.get_rng_state(), before)


def maps(count: int, channels: int, height: int, width: int, dtype: torch.dtype, ties: bool) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    values = torch.randn(count, channels, height, width, generator=random)
    # Halves between -1 and 1: most windows hold their maximum more than once, many only zeros.
    values = (2 * values).clamp(-2, 2).round() / 2 if ties else values
    return values.to(dtype).contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("size", [(8, 8), (2, 6), (7, 8), (8, 7), (5, 3), (1, 2)])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_pooling_is_pytorch_s_to_the_bit(ceil_mode, size, dtype, ties):
    reference = nn.MaxPool2d(2, 2, ceil_mode=ceil_mode)
    values = maps(4, 5, *size, dtype, ties)
    if size == (1, 2) and not ceil_mode:
        with pytest.raises(RuntimeError):
            MaxPool2x2(ceil_mode)(values)
        return
    outcomes = []
    for pool in (MaxPool2x2(ceil_mode), reference):
        inputs = values.clone().requires_grad_()
        pooled = pool(inputs)
        random = torch.Generator().manual_seed(1)
        pooled.backward(torch.randn(pooled.shape, generator=random).to(dtype))
        outcomes.append((pooled.detach(), inputs.grad))
        with torch.no_grad():
            assert torch.equal(pool(inputs), pooled)
    assert torch.equal(outcomes[0][0], outcomes[1][0])
    assert torch.equal(outcomes[0][1], outcomes[1][1])
    if size == (8, 8):
        own = type(MaxPool2x2()(values.requires_grad_()).grad_fn).__name__.startswith("_LargestOfFour")
        assert own is (dtype == torch.bfloat16)


def test_pooling_takes_any_layout_and_passes_on_what_is_not_a_number():
    values = maps(2, 3, 4, 4, torch.bfloat16, ties=False)
    assert torch.equal(MaxPool2x2()(values.contiguous()), nn.MaxPool2d(2)(values))
    values[1, 2, 3, 0] = torch.nan
    torch.testing.assert_close(MaxPool2x2()(values), nn.MaxPool2d(2)(values), rtol=0, atol=0, equal_nan=True)
