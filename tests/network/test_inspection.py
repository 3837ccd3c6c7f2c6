"""All figures of a network in one document."""

from __future__ import annotations

import json

import pytest

from stepladder.errors import RecipeError
from stepladder.network import load_preset, preset_names
from stepladder.network.inspection import inspect_network


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
        ({"precision": "float16"}, "precision is 'float16'; it must be float32 or bfloat16"),
        ({"batch_size": 0}, "batch_size is 0; it must be at least 1"),
        ({"num_classes": 0}, "there are 0 classes; there must be at least 1"),
        ({"input_shape": (3, 0, 3)}, "channels, height and width must be at least 1"),
    ],
)
def test_figures_that_make_no_sense(options, message):
    with pytest.raises(RecipeError, match=message):
        inspect_network("report", **options)
