"""The layer list as data: rewriting, and names."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset, parse_line
from stepladder.network.spec import Concat, Conv, Flatten, Linear, Relu, SqueezeExcite

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


@pytest.mark.parametrize("size", [3, (3, 3), [3, 3]])
def test_a_square_kernel_is_one_number(size):
    plain = Conv(name="a", channels=4, kernel_size=size)
    assert plain == Conv(name="a", channels=4, kernel_size=3)
    assert plain.model_dump(mode="json")["kernel_size"] == 3


def test_a_kernel_of_two_sides_survives_json():
    network = Network(
        layers=(
            Conv(name="a", channels=4, kernel_size=(3, 1), padding=(1, 0)),
            Concat(name="b", branches=((), (SqueezeExcite(name="c", hidden=2),))),
            Flatten(name="d"),
            Linear(name="e", features="classes"),
        )
    )
    assert Network.model_validate(network.model_dump(mode="json")) == network
    assert Network.model_validate_json(network.model_dump_json()) == network


def test_what_a_layer_is_written_as_has_no_new_options():
    """Or saved networks would change their fingerprint."""
    assert set(Conv(name="a", channels=4, kernel_size=3).model_dump()) == {
        "name",
        "kernel_size",
        "stride",
        "padding",
        "kind",
        "channels",
    }


def test_rewriting_goes_into_branches():
    network = parse_line("cat(conv3-4 relu | res(conv1-4 relu)) gap fc")
    new = network.insert_after(lambda layer: isinstance(layer, Conv), lambda layer: Relu(name=f"after_{layer.name}"))
    every = [layer.name for layer in new.every_layer()]
    assert every.count("after_cat1_conv1") == every.count("after_cat1_res1_conv1") == 1
    last = network.insert_before_last(lambda layer: isinstance(layer, Conv), lambda _: Relu(name="before"))
    assert [layer.name for layer in last.layers[0].branches[1][0].body] == [
        "before",
        "cat1_res1_conv1",
        "cat1_res1_relu1",
    ]


def test_names_within_gates_are_taken():
    with pytest.raises(RecipeError, match="a layer called 'gated_reduce', as a part of 'gated' is"):
        Network(layers=(SqueezeExcite(name="gated"), Relu(name="gated_reduce")))
