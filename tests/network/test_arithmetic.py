"""What layers put out and cost, against hand-worked numbers and against PyTorch."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset, trace_network
from stepladder.network.build import build_network
from stepladder.training.rng import Streams

BATCH, CLASSES = 2, 3


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


map_layers = st.one_of(
    st.fixed_dictionaries(
        {
            "kind": st.just("conv"),
            "channels": st.integers(1, 4),
            "kernel_size": st.integers(1, 5),
            "stride": st.integers(1, 3),
            "padding": st.integers(0, 2),
        }
    ),
    st.fixed_dictionaries(
        {
            "kind": st.just("max_pool"),
            "kernel_size": st.integers(1, 4),
            "stride": st.integers(1, 4),
            "ceil_mode": st.booleans(),
        }
    ),
    st.fixed_dictionaries({"kind": st.sampled_from(["relu", "batch_norm"])}),
    st.fixed_dictionaries({"kind": st.just("dropout"), "p": st.floats(0, 0.9)}),
)
row_layers = st.one_of(
    st.fixed_dictionaries({"kind": st.just("linear"), "features": st.integers(1, 9)}),
    st.fixed_dictionaries({"kind": st.sampled_from(["relu", "batch_norm", "flatten"])}),
)


@st.composite
def networks(draw) -> Network:
    last = {"kind": "linear", "features": "classes"}
    layers = [
        *draw(st.lists(map_layers, max_size=5)),
        {"kind": "flatten"},
        *draw(st.lists(row_layers, max_size=2)),
        last,
    ]
    named = [{**layer, "name": f"layer{number}"} for number, layer in enumerate(layers)]
    return Network.model_validate({"layers": named})


def as_written(network: Network, dims: int) -> nn.Sequential:
    """The same list in PyTorch's own lazy modules, which find their input sizes by themselves."""
    modules: list[nn.Module] = []
    for layer in network.layers:
        options = layer.model_dump(exclude={"kind", "name"})
        dims = 2 if layer.kind == "flatten" else dims
        if layer.kind == "conv":
            modules.append(nn.LazyConv2d(options.pop("channels"), **options))
        elif layer.kind == "max_pool":
            modules.append(nn.MaxPool2d(**options))
        elif layer.kind == "batch_norm":
            modules.append(nn.LazyBatchNorm2d() if dims == 4 else nn.LazyBatchNorm1d())
        elif layer.kind == "linear":
            modules.append(nn.LazyLinear(CLASSES if layer.features == "classes" else layer.features))
        elif layer.kind == "dropout":
            modules.append(nn.Dropout(layer.p))
        else:
            modules.append({"relu": nn.ReLU, "flatten": nn.Flatten}[layer.kind]())
    return nn.Sequential(*modules).eval()


@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
@settings(max_examples=150, deadline=None)
@given(network=networks(), shape=st.tuples(st.integers(1, 3), st.integers(1, 11), st.integers(1, 11)))
def test_any_network_costs_what_pytorch_says(network, shape):
    reference = as_written(network, dims=4)
    images = torch.zeros(BATCH, *shape)
    try:
        reference(images)
    except RuntimeError:
        with pytest.raises(RecipeError, match=r"^layer \d+ \(layer\d+\) has a kernel of"):
            trace_network(network, shape, CLASSES)
        assume(False)
    costs = trace_network(network, shape, CLASSES)

    shapes, values = [], images
    with FlopCounterMode(display=False) as counter:
        for module in reference:
            values = module(values)
            shapes.append(tuple(values.shape[1:]))
    assert [cost.output_shape for cost in costs] == shapes
    assert [cost.weights for cost in costs] == [sum(p.numel() for p in m.parameters()) for m in reference]
    assert sum(cost.macs for cost in costs) * BATCH == counter.get_total_flops() / 2

    built = build_network(network, shape, CLASSES, Streams(0))
    assert built.eval()(images).shape == (BATCH, CLASSES)
    assert sum(parameter.numel() for parameter in built.parameters()) == sum(cost.weights for cost in costs)


FLATTEN = {"name": "flat", "kind": "flatten"}
LAST = {"name": "last", "kind": "linear", "features": "classes"}


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
