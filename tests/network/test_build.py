"""The module built from a list: the same function as written, and weights that nothing else moves."""

from __future__ import annotations

import math

import pytest
import scipy.stats
import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset
from stepladder.network.build import build_network
from stepladder.network.layers import MaxPool2x2
from stepladder.network.spec import BatchNorm, Conv, Dropout, Linear, Relu
from stepladder.training.rng import Streams

REPORT = load_preset("report")


def written_order(network: Network, built: nn.Sequential) -> nn.Sequential:
    """The modules of ``built`` in the order of the list, as a tutorial would run them."""
    modules = dict(built.named_children())
    return nn.Sequential(*(modules[layer.name] for layer in network.layers))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("size", [12, 9])
def test_relu_after_pooling_is_the_same_function_with_the_same_gradients(ties, size):
    built = build_network(REPORT, (3, size, size), 10, Streams(0)).double()
    random = torch.Generator().manual_seed(1)
    images = torch.rand(4, 3, size, size, generator=random, dtype=torch.float64)
    if ties:
        # Small whole numbers everywhere: many windows hold their maximum twice, or nothing but zeros.
        images = (3 * images).round() - 1
        with torch.no_grad():
            for parameter in built.parameters():
                parameter.copy_((parameter / parameter.abs().max() * 2).round())
    reference = written_order(REPORT, built)
    names = [name for name, _ in built.named_children()]
    assert names.index("pool1") < names.index("relu1")  # swapped, or there would be nothing to compare
    assert [type(module) for module in reference][:3] == [nn.Conv2d, nn.ReLU, MaxPool2x2]

    outcomes = []
    for module in (built, reference):
        inputs = images.clone().requires_grad_()
        logits = module(inputs)
        loss = (logits * torch.arange(1.0, 11.0)).sum()
        gradients = torch.autograd.grad(loss, [inputs, *built.parameters()])
        outcomes.append((logits, *gradients))
    assert outcomes[0][1].abs().sum() > 0
    for one, other in zip(*outcomes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)


def test_a_relu_that_no_pooling_follows_stays():
    built = build_network(REPORT, (3, 8, 8), 10, Streams(0))
    names = [name for name, _ in built.named_children()]
    assert names[-3:] == ["fc1", "relu4", "fc2"]
    assert sorted(names) == sorted(layer.name for layer in REPORT.layers)


def test_initial_weights_depend_on_seed_and_name_alone():
    plain = build_network(REPORT, (3, 8, 8), 10, Streams(3)).state_dict()
    rewritten = REPORT.insert_after(
        lambda layer: isinstance(layer, Conv), lambda layer: BatchNorm(name=f"{layer.name}_norm")
    )
    rewritten = rewritten.insert_before_last(
        lambda layer: isinstance(layer, Linear), lambda layer: Dropout(name="drop", p=0.5)
    )
    richer = build_network(rewritten, (3, 8, 8), 10, Streams(3)).state_dict()
    assert len(plain) == 10
    assert set(plain) < set(richer)
    assert all(torch.equal(plain[name], richer[name]) for name in plain)

    other_seed = build_network(REPORT, (3, 8, 8), 10, Streams(4)).state_dict()
    assert not any(torch.equal(plain[name], other_seed[name]) for name in plain)
    renamed = Network(
        layers=tuple(
            layer.model_copy(update={"name": "head"}) if layer.name == "fc2" else layer for layer in REPORT.layers
        )
    )
    head = build_network(renamed, (3, 8, 8), 10, Streams(3)).state_dict()
    assert torch.equal(plain["fc1.weight"], head["fc1.weight"])
    assert not torch.equal(plain["fc2.weight"], head["head.weight"])


@pytest.mark.parametrize(
    ("name", "torchs"), [("conv2", lambda: nn.Conv2d(32, 64, 5, padding=2)), ("fc1", lambda: nn.Linear(1024, 1000))]
)
def test_initial_weights_are_distributed_as_pytorch_s(name, torchs):
    built = build_network(REPORT, (3, 32, 32), 10, Streams(0)).state_dict()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = torchs().state_dict()
    for kind in ("weight", "bias"):
        ours, theirs = built[f"{name}.{kind}"], reference[kind]
        bound = 1 / math.sqrt(reference["weight"][0].numel())
        assert ours.shape == theirs.shape
        assert 0.9 * bound < ours.abs().max() <= bound
        assert 0.9 * bound < theirs.abs().max() <= bound
        sample = (ours.flatten()[:50_000].numpy(), theirs.flatten()[:50_000].numpy())
        assert scipy.stats.ks_2samp(*sample).pvalue > 0.001


def test_batch_norm_starts_as_pytorch_s():
    network = Network.model_validate(
        {
            "layers": [
                {"name": "norm", "kind": "batch_norm"},
                {"name": "flat", "kind": "flatten"},
                {"name": "norm_row", "kind": "batch_norm"},
                {"name": "last", "kind": "linear", "features": "classes"},
            ]
        }
    )
    built = build_network(network, (3, 2, 2), 2, Streams(0))
    for module, reference in ((built.norm, nn.BatchNorm2d(3)), (built.norm_row, nn.BatchNorm1d(12))):
        assert type(module) is type(reference)
        assert module.eps == reference.eps
        assert module.momentum == reference.momentum
        for name, value in reference.state_dict().items():
            assert torch.equal(module.state_dict()[name], value), name


def test_the_global_random_state_is_neither_read_nor_changed():
    network = REPORT.insert_after(
        lambda layer: isinstance(layer, Relu), lambda layer: Dropout(name=f"d{layer.name}", p=0.5)
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        before = torch.get_rng_state()
        one = build_network(network, (1, 8, 8), 10, Streams(0))
        one(torch.ones(2, 1, 8, 8))
        assert torch.equal(torch.get_rng_state(), before)
        torch.manual_seed(2)
        other = build_network(network, (1, 8, 8), 10, Streams(0))
        assert torch.equal(one(torch.ones(2, 1, 8, 8)).detach() * 0, other(torch.ones(2, 1, 8, 8)).detach() * 0)
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name])


def test_maps_lie_channels_last():
    built = build_network(REPORT, (3, 8, 8), 10, Streams(0))
    assert built.conv2.weight.is_contiguous(memory_format=torch.channels_last)
    assert not built.conv2.weight.is_contiguous()
    images = torch.zeros(2, 3, 8, 8).contiguous(memory_format=torch.channels_last)
    assert built.conv1(images).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("name", ["forward", "training", "pop"])
def test_a_name_that_a_module_cannot_have(name):
    layers = [{"name": name, "kind": "flatten"}, {"name": "last", "kind": "linear", "features": "classes"}]
    with pytest.raises(RecipeError, match=f"layer 1 is called '{name}', which PyTorch needs itself; choose another"):
        build_network(Network.model_validate({"layers": layers}), (1, 2, 2), 2, Streams(0))
