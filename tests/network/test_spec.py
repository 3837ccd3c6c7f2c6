"""The layer list as data: rewriting, and names."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset
from stepladder.network.spec import Conv, Flatten, Linear, Relu

REPORT = load_preset("report")


def names(network: Network) -> list[str]:
    return [layer.name for layer in network.layers]


def test_insert_after_every_layer_that_is_wanted():
    new = REPORT.insert_after(lambda layer: isinstance(layer, Linear), lambda layer: Relu(name=f"after_{layer.name}"))
    assert names(new)[-5:] == ["fc1", "after_fc1", "relu4", "fc2", "after_fc2"]
    assert len(REPORT.layers) == 13  # the old list is as it was


def test_insert_before_the_last_layer_that_is_wanted():
    new = REPORT.insert_before_last(lambda layer: isinstance(layer, Conv), lambda layer: Relu(name="before"))
    assert names(new)[5:8] == ["pool2", "before", "conv3"]
    assert REPORT.insert_before_last(lambda layer: layer.name == "none", lambda layer: layer) is REPORT


def test_a_list_survives_json():
    assert Network.model_validate(REPORT.model_dump(mode="json")) == REPORT
    assert Network.model_validate_json(REPORT.model_dump_json()) == REPORT


def test_two_layers_of_one_name_would_share_weights():
    with pytest.raises(RecipeError, match="the network has two layers called 'flat'; give each a name of its own"):
        Network(layers=(Flatten(name="flat"), Relu(name="flat")))


@pytest.mark.parametrize("name", ["", "a.b", "a b", "a/b", "a\n"])
def test_a_name_is_a_word(name):
    with pytest.raises(ValidationError):
        Relu(name=name)
