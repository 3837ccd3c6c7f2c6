"""What layers put out and cost, against hand-worked numbers and against PyTorch."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given
from torch.utils.flop_counter import FlopCounterMode

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset, trace_network
from stepladder.network.arithmetic import Window
from stepladder.network.build import build_network
from stepladder.training.rng import Streams

from .random_networks import CLASSES, fitting, networks, run_in_pytorch, shapes, thorough

BATCH = 2


def traced(*layers: dict[str, object], shape: tuple[int, int, int] = (3, 8, 8)):
    return trace_network(Network.model_validate({"layers": layers}), shape, CLASSES)


def test_the_report_s_own_numbers():
    costs = {cost.layer.name: cost for cost in trace_network(load_preset("report"), (3, 32, 32), 10)}
    weights = [costs[name].weights for name in ("conv1", "conv2", "conv3", "fc1", "fc2")]
    assert weights == [2_432, 51_264, 102_464, 1_025_000, 10_010]
    assert sum(cost.weights for cost in costs.values()) == 1_191_170
    assert [costs[name].output_shape for name in ("pool1", "pool2", "pool3")] == [(32, 16, 16), (64, 8, 8), (64, 4, 4)]
    # 5·5·3·32·32², 5·5·32·64·16², 5·5·64·64·8², 1024·1000, 1000·10
    macs = [costs[name].macs for name in ("conv1", "conv2", "conv3", "fc1", "fc2")]
    assert macs == [2_457_600, 13_107_200, 6_553_600, 1_024_000, 10_000]
    assert all(costs[name].macs == 0 for name in ("relu1", "pool1", "flatten"))


@pytest.mark.parametrize(("size", "maps"), [(32, (16, 8, 4)), (28, (14, 7, 4)), (8, (4, 2, 1)), (7, (4, 2, 1))])
def test_pooling_rounds_up(size, maps):
    costs = {cost.layer.name: cost for cost in trace_network(load_preset("report"), (1, size, size), 10)}
    assert tuple(costs[f"pool{number}"].output_shape[1] for number in (1, 2, 3)) == maps
    assert costs["flatten"].output_shape == (64 * maps[2] ** 2,)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@thorough
@given(network=networks(), shape=shapes)
def test_any_network_costs_what_pytorch_says(network, shape):
    try:
        with FlopCounterMode(display=False) as counter:
            logits, found = run_in_pytorch(network.layers, torch.zeros(BATCH, *shape))
    except (RuntimeError, ValueError):
        with pytest.raises(RecipeError, match=r"^layer [\d.]+ \(\w+\) (has|cannot|pads)"):
            trace_network(network, shape, CLASSES)
        return
    costs = trace_network(network, shape, CLASSES)
    assert logits.shape == (BATCH, CLASSES)
    assert {cost.layer.name: (cost.output_shape, cost.weights) for cost in costs} == found
    assert sum(cost.macs for cost in costs) * BATCH == counter.get_total_flops() / 2


@thorough
@given(network_and_shape=fitting())
def test_what_is_built_has_these_shapes_weights_and_macs(network_and_shape):
    network, shape = network_and_shape
    costs = trace_network(network, shape, CLASSES)
    built = build_network(network, shape, CLASSES, Streams(0)).eval()
    outputs = {}
    modules = {path.rpartition(".")[2]: module for path, module in built.named_modules()}
    for cost in costs:
        modules[cost.layer.name].register_forward_hook(
            lambda _module, _inputs, output, name=cost.layer.name: outputs.update({name: tuple(output.shape[1:])})
        )
    with FlopCounterMode(display=False) as counter:
        assert built(torch.zeros(BATCH, *shape)).shape == (BATCH, CLASSES)
    assert sum(cost.macs for cost in costs) * BATCH == counter.get_total_flops() / 2
    # A pooling and the ReLU before it are swapped, so the ReLU puts out what the pooling would.
    swapped = {cost.layer.name for cost in costs if cost.layer.kind == "relu"}
    expected = {cost.layer.name: cost.output_shape for cost in costs}
    assert {name: shape for name, shape in outputs.items() if name not in swapped} == {
        name: shape for name, shape in expected.items() if name not in swapped
    }
    for cost in costs:
        own = modules[cost.layer.name]
        parts = [getattr(own, f"{cost.layer.name}_shortcut", None)] if cost.layer.kind == "residual" else [own]
        parts = [] if cost.layer.kind == "concat" else parts
        assert cost.weights == sum(p.numel() for part in parts if part is not None for p in part.parameters())


FLATTEN = {"name": "flat", "kind": "flatten"}
LAST = {"name": "last", "kind": "linear", "features": "classes"}
CONV = {"channels": 4, "kernel_size": 3, "padding": 1}


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (
            [{"name": "big", "kind": "conv", "channels": 4, "kernel_size": 11, "padding": 1}, FLATTEN, LAST],
            "layer 1 (big) has a kernel of 11 and gets 8 + 2·1 = 10 pixels; "
            "use larger images, a smaller kernel or more padding",
        ),
        (
            [
                {"name": "relu", "kind": "relu"},
                {"name": "pool", "kind": "max_pool", "kernel_size": 9, "stride": 1},
                LAST,
            ],
            "layer 2 (pool) has a kernel of 9 and gets 8 + 2·0 = 8 pixels; "
            "use larger images, a smaller kernel or more padding",
        ),
        (
            [
                {
                    "name": "two",
                    "kind": "concat",
                    "branches": [[], [{"name": "in", "kind": "conv", **CONV, "stride": 2}]],
                },
                LAST,
            ],
            "layer 1 (two) cannot put the 3×8×8 and 4×4×4 of its branches behind one another; let all have one height "
            "and width, with the same strides and with padding = (kernel_size − 1)/2",
        ),
        (
            [
                {
                    "name": "two",
                    "kind": "concat",
                    "branches": [
                        [{"name": "a", "kind": "conv", "channels": 4, "kernel_size": 5}],
                        [{"name": "b", "kind": "conv", "channels": 4, "kernel_size": 2, "stride": 2}],
                    ],
                },
                LAST,
            ],
            "layer 1 (two) has branches with strides of 1 and 2, so that their pixels belong to different places of "
            "the image; give all the same stride",
        ),
        (
            [FLATTEN, {"name": "gated", "kind": "squeeze_excite"}, LAST],
            "layer 2 (gated) works on maps and gets 192 values; put it before the flatten",
        ),
        ([LAST], "layer 1 (last) is fully connected and gets maps of 3×8×8; put a flatten before it"),
        (
            [FLATTEN, {"name": "late", "kind": "conv", "channels": 4, "kernel_size": 1}, LAST],
            "layer 2 (late) works on maps and gets 192 values; put it before the flatten",
        ),
        (
            [FLATTEN, {"name": "last", "kind": "linear", "features": 7}],
            "the network puts out 7 values where 3 classes need 3 values; let it end in a linear layer with features = "
            '"classes" in place of 7 in layer 2 (last)',
        ),
        (
            [{"name": "relu", "kind": "relu"}],
            "the network puts out 3×8×8 where 3 classes need 3 values; let it end in a linear layer with features = "
            '"classes"',
        ),
    ],
)
def test_a_layer_that_does_not_fit_is_named_with_its_figures_and_the_fix(layers, message):
    with pytest.raises(RecipeError) as caught:
        traced(*layers)
    assert str(caught.value) == message


def test_an_empty_list_is_no_network():
    with pytest.raises(RecipeError, match="the network puts out 3×8×8"):
        traced()


def test_what_no_window_reaches_is_what_gets_no_gradient():
    """Of every window that reads along an axis, with padding before it or without."""
    left_over = 0
    for kernel, stride, padding, size in product((1, 2, 3, 5), (1, 2, 3, 4), (0, 1, 2), (9, 10, 12)):
        if stride > kernel:  # pixels between two windows are no end
            continue
        window = Window(kernel, stride, before=padding, after=padding)
        pixels = torch.zeros(1, 1, size, requires_grad=True)
        weight = torch.ones(1, 1, kernel)
        torch.nn.functional.conv1d(pixels, weight, stride=stride, padding=padding).sum().backward()
        read = pixels.grad[0, 0].nonzero()[:, 0].tolist()
        assert window.unread(size) == size - 1 - max(read), (window, size)
        left_over += padding > 0 and window.unread(size) > 0
    assert left_over > 3
