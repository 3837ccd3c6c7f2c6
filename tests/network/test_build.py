"""The module built from a list: the same function as written, and weights that nothing else moves."""

from __future__ import annotations

import math
import warnings

import pytest
import scipy.stats
import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset, parse_line, preset_names, read_preset, trace_network
from stepladder.network.build import build_network
from stepladder.network.layers import MaxPool2x2
from stepladder.network.spec import BatchNorm, Conv, Dropout, Linear, Relu, Residual
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
        assert isinstance(module, type(reference))
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


@pytest.mark.parametrize(
    "line",
    [
        "conv3-4 relu pool2 res(conv3-6 bn relu pool2 conv3-6) relu pool3:stride=2,padding=1 fc",
        "conv3-4 gelu pool2 conv3-4 celu0.3 pool2 conv3-4 tanh pool2 fc",
    ],
)
def test_activations_and_pooling_are_the_same_function_in_residuals_too(line):
    network = parse_line(line)
    built = build_network(network, (3, 16, 16), 5, Streams(0)).double().eval()

    def as_listed(layers, module, values):
        modules = dict(module.named_children())
        for layer in layers:
            own = modules[layer.name]
            if isinstance(layer, Residual):
                shortcut = getattr(own, layer.shortcut_name)
                values = shortcut(values) + as_listed(layer.body, own.body, values)
            else:
                values = own(values)
        return values

    images = torch.randn(4, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(built(images), as_listed(network.layers, built, images), rtol=1e-13, atol=1e-15)
    order = [type(module).__name__ for module in built.modules()]
    for activation in ("GELU", "CELU", "Tanh"):  # what does not commute to the bit stays where it is
        if activation in order:
            assert order[order.index(activation) + 1] == "MaxPool2x2"


def test_names_in_bodies_have_streams_of_their_own():
    one = build_network(parse_line("res(conv3-3 relu conv3-3) gap fc"), (3, 8, 8), 3, Streams(0)).state_dict()
    again = build_network(parse_line("res(conv3-3 bn relu conv3-3) gap fc"), (3, 8, 8), 3, Streams(0)).state_dict()
    assert set(one) < set(again)
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not torch.equal(one["res1.body.res1_conv1.weight"], one["res1.body.res1_conv2.weight"])


def test_a_shortcut_has_weights_from_its_own_stream():
    built = build_network(parse_line("res(conv3-6:stride=2) gap fc"), (3, 8, 8), 3, Streams(0))
    weight = built.res1.res1_shortcut.weight
    assert weight.shape == (6, 3, 1, 1)
    assert 0.5 / math.sqrt(3) < weight.abs().max() <= 1 / math.sqrt(3)
    padded = build_network(parse_line("res:shortcut=pad(conv3-6:stride=2) gap fc"), (3, 8, 8), 3, Streams(0))
    images = torch.rand(2, 3, 8, 8)
    shortcut = padded.res1.res1_shortcut(images)
    assert torch.equal(shortcut[:, :3], images[:, :, ::2, ::2])
    assert shortcut[:, 3:].abs().sum() == 0


def test_a_locally_connected_layer_is_a_convolution_where_all_its_kernels_are_equal():
    network = parse_line("plain local3-4:stride=2 flatten fc")
    local = build_network(network, (2, 7, 6), 3, Streams(0))[0]
    convolution = nn.Conv2d(2, 4, 3, stride=2, padding=1)
    with torch.no_grad():
        local.weight.copy_(convolution.weight.flatten(1).expand_as(local.weight))
        local.bias.copy_(convolution.bias.view(-1, 1, 1).expand_as(local.bias))
    images = torch.rand(5, 2, 7, 6)
    torch.testing.assert_close(local(images), convolution(images))


def test_even_kernels_are_padded_as_pytorch_pads_them():
    built = build_network(parse_line("plain conv4-2 gap fc"), (3, 9, 9), 2, Streams(0))
    reference = nn.Conv2d(3, 2, 4, padding="same")
    reference.load_state_dict(built[0].state_dict())
    images = torch.rand(2, 3, 9, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = reference(images)
    torch.testing.assert_close(built[0](images), expected)


@pytest.mark.long
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", preset_names())
def test_every_preset_trains_a_step_in_every_precision(name, precision):
    preset = read_preset(name)
    shape = (preset.input_shape[0], *(min(64, size) for size in preset.input_shape[1:]))
    module = build_network(preset.network, shape, 10, Streams(0))
    images = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))
    before = {key: value.clone() for key, value in module.named_parameters()}
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
        loss = nn.functional.cross_entropy(module(images), torch.tensor([0, 1]))
    loss.backward()
    torch.optim.SGD(module.parameters(), lr=0.1).step()
    assert math.isfinite(loss.item())
    moved = [key for key, value in module.named_parameters() if not torch.equal(value, before[key])]
    assert set(before) - set(moved) <= {key for key in before if key.endswith("bias")}
    assert all(bool(value.isfinite().all()) for value in module.parameters())


def test_more_weights_than_there_is_memory_for():
    with pytest.raises(RecipeError, match=r"there is no memory for [\d,]+ weights, [\d,]+ of them in layer 3 \(fc1\)"):
        build_network(parse_line("pad4096 fc2000000000 fc"), (3, 8, 8), 10, Streams(0))


def test_squeeze_and_excitation_is_that_of_pytorch_s_own_layers():
    built = build_network(
        parse_line("plain se4:gate=hard_sigmoid se2:activation=silu flatten fc"), (8, 5, 7), 3, Streams(0)
    )
    images = torch.randn(4, 8, 5, 7, generator=torch.Generator().manual_seed(0))
    values = images
    for name, hidden, activation, gate in (
        ("se1", 2, nn.ReLU(), nn.Hardsigmoid()),
        ("se2", 4, nn.SiLU(), nn.Sigmoid()),
    ):
        module = built.get_submodule(name)
        reduce, expand = module.get_submodule(f"{name}_reduce"), module.get_submodule(f"{name}_expand")
        assert (reduce.weight.shape, expand.weight.shape) == ((hidden, 8, 1, 1), (8, hidden, 1, 1))
        gates = nn.Sequential(nn.AdaptiveAvgPool2d(1), reduce, activation, expand, gate)
        torch.testing.assert_close(module(values), values * gates(values))
        values = module(values)
    weights = {name: value for name, value in built.state_dict().items() if value.ndim == 4}
    assert len({float(value.flatten()[0]) for value in weights.values()}) == 4, "each from a stream of its own"


def test_a_concatenation_is_pytorch_s_cat():
    built = build_network(parse_line("plain cat(conv3-4 relu | | conv1x3-2) flatten fc"), (3, 6, 6), 3, Streams(0))
    module, images = built.get_submodule("cat1"), torch.randn(2, 3, 6, 6)
    first, _, third = module.branches
    torch.testing.assert_close(module(images), torch.cat([first(images), images, third(images)], dim=1))
    assert module(images).shape == (2, 9, 6, 6)


@pytest.mark.parametrize(
    ("token", "torchs"),
    [("lrelu0.2", nn.LeakyReLU(0.2)), ("silu", nn.SiLU()), ("hswish", nn.Hardswish()), ("lrelu", nn.LeakyReLU())],
)
def test_activations_are_pytorch_s(token, torchs):
    built = build_network(parse_line(f"plain {token} flatten fc"), (1, 1, 41), 3, Streams(0))
    values = torch.linspace(-5, 5, 41).view(1, 1, 1, 41)
    assert torch.equal(built[0](values), torchs(values))


def test_a_kernel_that_is_not_square_is_pytorch_s():
    built = build_network(
        parse_line("plain conv3x1-4:stride=2 conv2x3-2 local1x3-2 flatten fc"), (3, 7, 9), 3, Streams(0)
    )
    assert (built[0].kernel_size, built[0].padding, built[0].stride) == ((3, 1), (1, 0), (2, 2))
    images = torch.randn(2, 3, 7, 9)
    maps = built[0](images)
    assert maps.shape == (2, 4, 4, 5)
    same = nn.functional.conv2d(nn.functional.pad(maps, (1, 1, 0, 1)), built[1].weight, built[1].bias)
    torch.testing.assert_close(built[1](maps), same)
    assert built[2](same).shape == (2, 2, 4, 5)


def test_mobilenet_v3_small_is_its_authors():
    """Rows of the paper's table 2: what comes into each block, with the squeezed values of its gates."""
    preset = read_preset("mobilenet_v3_small")
    costs = {cost.layer.name: cost for cost in trace_network(preset.network, preset.input_shape, preset.classes)}
    ends = [costs[f"block{number}"].output_shape for number in range(1, 12)]
    assert [shape[0] for shape in ends] == [16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96]
    assert [shape[1] for shape in ends] == [56, 28, 28, 14, 14, 14, 14, 14, 7, 7, 7]
    gates = [layer.hidden for layer in preset.network.every_layer() if layer.kind == "squeeze_excite"]
    assert gates == [8, 24, 64, 64, 32, 40, 72, 144, 144]
    assert round(sum(cost.macs for cost in costs.values()) / 1e6) == 57  # the paper's 56 M leaves the gates out
