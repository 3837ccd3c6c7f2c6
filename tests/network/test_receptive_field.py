"""What outputs see, against hand-worked numbers and against the gradients of built networks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given
from torch import nn

from stepladder.network import load_preset, parse_line, receptive_fields, trace_network
from stepladder.network.build import build_network
from stepladder.network.layers import GlobalPool, LocallyConnected2d, SqueezeExcitation
from stepladder.network.receptive_field import pixels_behind
from stepladder.training.rng import Streams

from .random_networks import CLASSES, fitting, thorough


def fields_of(line_or_name: str, shape: tuple[int, int, int] = (3, 32, 32)):
    network = parse_line(line_or_name) if " " in line_or_name else load_preset(line_or_name)
    fields = receptive_fields(network, trace_network(network, shape, 10))
    return {name: rows for name, (rows, _) in fields.items()}


def test_the_report_s_own_fields():
    fields = fields_of("report")
    assert [fields[name].size for name in ("conv1", "conv2", "conv3")] == [5, 14, 32]
    assert [fields[name].jump for name in ("conv1", "pool1", "pool2", "pool3")] == [1, 2, 4, 8]
    # Padding of (k − 1)/2 leaves the center where it is; a 2×2 window moves it by half of its input's jump.
    assert [fields[name].center for name in ("conv1", "pool1", "conv2", "pool2")] == [0, 0.5, 0.5, 1.5]


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_two_convolutions_of_stride_1_see_2k_minus_1(k):
    assert fields_of(f"conv{k}-4 conv{k}-4 fc")["conv2"].size == 2 * k - 1


def test_published_fields():
    # Araujo, Norris and Sim 2019 give these rules; 3×3 layers of VGG: 5, 6, 10, 14, 16.
    fields = fields_of("conv3-8 conv3-8 pool2 conv3-8 conv3-8 pool2 fc")
    assert [fields[name].size for name in ("conv2", "pool1", "conv3", "conv4", "pool2")] == [5, 6, 10, 14, 16]
    # ResNet-20 before its global average pooling, taps beyond the first times jump: 8 layers at 1, 6 at 2, 5 at 4.
    assert fields_of("resnet20")["res9"].size == 1 + 2 * (8 * 1 + 6 * 2 + 5 * 4)


def test_a_residual_sees_what_its_wider_way_sees():
    fields = fields_of("conv3-4 res(conv5-4 relu conv1-4) gap fc")
    assert (fields["res1"].size, fields["res1"].start) == (7, -3)
    assert fields_of("conv3-4 res(relu) gap fc")["res1"] == fields_of("conv3-4 gap fc")["conv1"]


def test_a_concatenation_sees_what_its_branches_see_together():
    fields = fields_of("conv3-4 cat(conv5-4 | conv1-4 | pool3:stride=1,padding=1) gap fc")
    assert (fields["cat1"].size, fields["cat1"].start, fields["cat1"].jump) == (7, -3, 1)
    assert fields_of("conv3-4 cat(conv1-4) gap fc")["cat1"] == fields_of("conv3-4 gap fc")["conv1"]


def test_a_kernel_that_is_not_square_sees_more_along_one_axis():
    network = parse_line("conv7x1-4 conv1x3-4 pool2 conv3x1-4 gap fc")
    fields = receptive_fields(network, trace_network(network, (3, 32, 32), 10))
    assert [(rows.size, columns.size) for rows, columns in (fields[f"conv{number}"] for number in (1, 2, 3))] == [
        (7, 1),
        (7, 3),
        (7 + 1 + 2 * 2, 3 + 1),
    ]


def test_gates_of_a_squeeze_and_excitation_count_as_constants():
    fields = fields_of("conv3-8 se4 gap fc")
    assert fields["se1"] == fields["conv1"]


def test_a_pad_moves_the_first_field_into_the_zeros():
    field = fields_of("pad32 conv3-4:padding=0 fc", (1, 8, 8))["conv1"]
    assert (field.size, field.start, field.seen_from(15)) == (3, -12, (3, 5))


def linear_and_positive(module: nn.Module) -> nn.Module:
    """Give all weights positive values, average where a maximum was, and take out what is not linear."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.MaxPool2d):
            average = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, ceil_mode=child.ceil_mode)
            setattr(module, name, average)
        elif isinstance(child, SqueezeExcitation):
            setattr(module, name, nn.Identity())  # its gates count as constants
        elif isinstance(child, GlobalPool):
            setattr(module, name, GlobalPool(largest=False))
        elif isinstance(child, nn.Conv2d | nn.Linear | LocallyConnected2d):
            with torch.no_grad():
                child.weight.abs_().add_(0.1)
        elif isinstance(child, nn.Sequential) or any(True for _ in child.children()):
            linear_and_positive(child)
        elif not isinstance(child, nn.AvgPool2d | nn.Flatten) and type(child).__name__ not in (
            "PadTo",
            "Scaled",
            "SubsampledShortcut",
        ):
            setattr(module, name, nn.Identity())
    return module


@pytest.mark.long
@thorough
@given(network_and_shape=fitting())
@example(
    network_and_shape=(parse_line("pool1 res(conv2:padding=same,dilation=2,bias=no,channels=1) flatten fc"), (1, 1, 3))
)
def test_the_field_is_the_bounding_box_of_the_gradient(network_and_shape):
    network, shape = network_and_shape
    costs = trace_network(network, shape, CLASSES)
    fields = receptive_fields(network, costs)
    built = linear_and_positive(build_network(network, shape, CLASSES, Streams(0)).double())
    outputs: dict[str, torch.Tensor] = {}
    modules = {path.rpartition(".")[2]: module for path, module in built.named_modules()}
    for cost in costs:
        modules[cost.layer.name].register_forward_hook(
            lambda _module, _inputs, output, name=cost.layer.name: outputs.update({name: output})
        )
    images = torch.rand(1, *shape, dtype=torch.float64, requires_grad=True)
    built(images)
    assert len(costs) > 0
    for cost in costs:
        output = outputs[cost.layer.name]
        if cost.layer.kind == "relu":
            continue  # a pooling after it may have been moved before it
        center = [size // 2 for size in output.shape[2:]]
        picked = output[(0, slice(None), *center)].sum()
        (gradient,) = torch.autograd.grad(picked, images, retain_graph=True, materialize_grads=True)
        seen = gradient[0].abs().sum(dim=0) > 0
        exact = pixels_behind(network, costs, cost.layer.name, tuple(center) if center else (0, 0))
        if not all(exact):
            assert not seen.any()  # an output of nothing but padding
            continue
        spans = [fields[cost.layer.name][axis].seen_from(center[axis] if center else 0) for axis in (0, 1)]
        # Beyond the border of one axis there is only padding, and a way that sees no row sees no column either.
        whole = all(first >= 0 and last < shape[1 + axis] for axis, (first, last) in enumerate(spans))
        for axis in (0, 1):
            inside = seen.any(dim=1 - axis).nonzero().flatten().tolist()
            assert (inside[0], inside[-1]) == (min(exact[axis]), max(exact[axis])), cost.place
            first, last = spans[axis]
            assert first <= inside[0]
            assert inside[-1] <= last
            drops = any(c.windows and c.windows[axis].unread(c.input_shape[1 + axis]) for c in costs)
            if whole and not drops:
                assert (inside[0], inside[-1]) == (first, last), cost.place
