"""A convolution as a matrix, and as the fully connected layer that it is where its kernel covers the image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network import parse_line
from stepladder.network.build import build_network
from stepladder.network.matrix import as_matrix
from stepladder.training.rng import Streams


def check_equal(layer: nn.Module, size: tuple[int, int, int]) -> None:
    images = torch.randn(3, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = layer.double()(images).detach()
    matrix = as_matrix(layer, size)
    outputs = matrix @ images.flatten(1).T.numpy()
    if layer.bias is not None:
        bias = layer.bias.detach().reshape(expected.shape[1], -1)
        outputs += bias.expand(-1, expected[0, 0].numel()).reshape(-1, 1).numpy()
    assert matrix.shape == (expected[0].numel(), images[0].numel())
    np.testing.assert_allclose(outputs.T, expected.flatten(1).numpy(), atol=1e-6, rtol=0)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_convolution_equals_its_matrix(data):
    groups = data.draw(st.integers(1, 3))
    layer = nn.Conv2d(
        groups * data.draw(st.integers(1, 2)),
        groups * data.draw(st.integers(1, 2)),
        kernel_size=data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4))),
        stride=data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))),
        padding=data.draw(st.tuples(st.integers(0, 2), st.integers(0, 2))),
        dilation=data.draw(st.tuples(st.integers(1, 2), st.integers(1, 2))),
        groups=groups,
        bias=data.draw(st.booleans()),
    )
    check_equal(layer, (layer.in_channels, data.draw(st.integers(7, 9)), data.draw(st.integers(7, 9))))


@pytest.mark.parametrize(
    "token",
    ["conv4-3", "conv3-4:stride=2,padding=0", "local3-2", "local2-3:bias=no", "dw3-2", "conv3x2-4", "local1x3-2"],
)
def test_built_layers_equal_their_matrix(token):
    built = build_network(parse_line(f"plain {token} flatten fc"), (2, 5, 6), 3, Streams(0))
    check_equal(built[0], (2, 5, 6))


def test_most_of_the_matrix_is_zero_and_what_is_not_is_shared():
    layer = nn.Conv2d(3, 8, 5, padding=2, bias=False)
    matrix = as_matrix(layer, (3, 16, 16))
    assert matrix.shape == (8 * 256, 3 * 256)
    assert set(matrix.data) == set(layer.weight.detach().double().flatten().tolist())
    assert matrix.nnz == 3 * 8 * (16 * 5 - 6) ** 2  # less what the padding would have been: 2 + 1 taps on each side
    assert as_matrix(layer, (16, 16)).nnz == matrix.nnz


def test_a_kernel_that_covers_the_image_is_a_fully_connected_layer_at_the_center():
    size, maps = 7, 5
    convolution = nn.Conv2d(3, maps, size, padding=(size - 1) // 2).double()
    connected = nn.Linear(3 * size * size, maps).double()
    with torch.no_grad():
        connected.weight.copy_(convolution.weight.flatten(1))
        connected.bias.copy_(convolution.bias)
    images = torch.randn(4, 3, size, size, dtype=torch.float64)
    center = convolution(images)[:, :, size // 2, size // 2]
    torch.testing.assert_close(center, connected(images.flatten(1)), atol=1e-6, rtol=0)
    # Without padding that one position is all there is.
    convolution.padding = (0, 0)
    torch.testing.assert_close(convolution(images).flatten(1), connected(images.flatten(1)), atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("layer", "size", "message"),
    [
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect"), (1, 8, 8), "the layer pads with 'reflect'"),
        (nn.Conv2d(1, 1, 5), (1, 4, 4), "the kernel does not fit 4×4 pixels"),
        (nn.Conv2d(2, 1, 3), (1, 4, 4), "the layer reads 2 channels and the input has 1"),
    ],
)
def test_what_is_no_matrix(layer, size, message):
    with pytest.raises(RecipeError, match=message):
        as_matrix(layer, size)
