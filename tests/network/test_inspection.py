"""All figures of a network in one place."""

from __future__ import annotations

import json

import pytest
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network import load_network, load_preset, parse_line, preset_names, trace_network
from stepladder.network.build import build_network
from stepladder.network.inspection import compare_convolutions, inspect_network
from stepladder.network.layers import LocallyConnected2d
from stepladder.training.rng import Streams


def test_the_report_on_its_images():
    inspection = inspect_network("report", (3, 32, 32))
    document = inspection.to_document()
    layers = {layer["name"]: layer for layer in document["layers"]}
    assert document["weights"] == 1_191_170
    assert document["macs"] == 23_152_400
    assert document["fully_connected_share"] == pytest.approx(1_035_010 / 1_191_170)
    assert layers["conv2"]["receptive_field"]["height"] == {"size": 14, "jump": 2, "start": -6, "center": 0.5}
    assert layers["conv1"]["activation_bytes"] == 32 * 32 * 32 * 128 * 4
    assert layers["flatten"]["activation_bytes"] == 0
    assert document["input_bytes"] == 3 * 32 * 32 * 128 * 4
    assert document["activation_bytes"] == document["input_bytes"] + sum(
        layer["activation_bytes"] for layer in layers.values()
    )
    assert layers["conv1"]["compare"]["fully_connected_weights"] == 100_696_064
    assert layers["pool1"]["compare"] is None
    assert document["other_sizes"]["height"] == [25, 32]
    assert document["weights_per_training_image"] is None
    with_data = inspect_network("report", training_images=50_000).to_document()
    assert with_data["weights_per_training_image"] == pytest.approx(23.8, abs=0.05)


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_plain_json(name):
    document = inspect_network(name).to_document()
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_half_the_bytes_in_half_the_precision():
    assert inspect_network("report").memory == 2 * inspect_network("report", precision="bfloat16").memory
    assert inspect_network("report").memory == 2 * inspect_network("report", batch_size=64).memory


def test_what_is_not_said_is_taken_from_the_network():
    assert inspect_network("lenet5").input_shape == (1, 32, 32)
    assert inspect_network("conv3-8 fc7").num_classes == 7
    assert inspect_network(load_preset("report")).num_classes == 10


def test_the_layers_that_see_more_than_their_input():
    assert [cost.layer.name for cost in inspect_network("report").widening] == [
        "conv1",
        "pool1",
        "conv2",
        "pool2",
        "conv3",
        "pool3",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float16"}, "`precision` is 'float16'; it must be float32 or bfloat16"),
        ({"batch_size": 0}, "`batch_size` is 0; it must be at least 1"),
        ({"num_classes": 0}, "`num_classes` is 0; it must be at least 1"),
        ({"input_shape": (3, 0, 3)}, "channels, height and width must be at least 1"),
    ],
)
def test_figures_that_make_no_sense(options, message):
    with pytest.raises(RecipeError, match=message):
        inspect_network("report", **options)


def test_the_report_s_first_convolution():
    first = compare_convolutions(trace_network(load_preset("report"), (3, 32, 32), 10))[0]
    assert first.weights == 2_432
    assert first.locally_connected == 32 * 32 * 32 * (5 * 5 * 3 + 1) == 2_490_368
    assert first.fully_connected == (3 * 32 * 32 + 1) * 32 * 32 * 32 == 100_696_064
    assert first.macs == 2_457_600
    assert first.fully_connected_macs == 3 * 32 * 32 * 32 * 32 * 32


@pytest.mark.parametrize("options", ["", ":bias=no", ":stride=2", ":padding=0,dilation=2"])
def test_built_layers_have_just_these_weights(options):
    network = parse_line(f"plain conv3-4{options} flatten fc")
    (comparison,) = compare_convolutions(trace_network(network, (2, 6, 7), 3))
    local = build_network(parse_line(f"plain local3-4{options} flatten fc"), (2, 6, 7), 3, Streams(0))[0]
    assert isinstance(local, LocallyConnected2d)
    assert comparison.locally_connected == sum(parameter.numel() for parameter in local.parameters())
    outputs = comparison.cost.output_shape
    connected = nn.Linear(2 * 6 * 7, outputs[0] * outputs[1] * outputs[2], bias="no" not in options)
    assert comparison.fully_connected == sum(parameter.numel() for parameter in connected.parameters())


def test_pools_and_fully_connected_layers_are_not_compared():
    names = [
        entry.cost.layer.name for entry in compare_convolutions(trace_network(load_preset("report"), (3, 32, 32), 10))
    ]
    assert names == ["conv1", "conv2", "conv3"]


def test_its_forms_are_short_and_say_the_figures():
    inspection = inspect_network("report")
    assert repr(inspection) == (
        "Inspection(report on 3×32×32, 10 classes: 13 layers, 1,191,170 weights, 23,152,400 MACs an image)"
    )
    lines = str(inspection).splitlines()
    assert lines[0].split() == ["layer", "output", "weights", "MACs", "sees"]
    assert lines[1].split() == ["conv1", "conv", "5×5,", "padding", "2", "32×32×32", "2,432", "2,457,600", "5"]
    assert lines[-1].split() == ["total", "1,191,170", "23,152,400"]
    assert len(lines) == len(inspection.costs) + 2


def test_a_network_is_shown_as_its_line_and_cut():
    assert repr(load_network("conv5-32 pool2 fc")) == "Network('conv5-32 pool2 fc')"
    for name in preset_names():
        assert len(repr(load_preset(name))) < 500
        assert len(str(load_preset(name))) < 500
        assert len(repr(inspect_network(name))) < 500
