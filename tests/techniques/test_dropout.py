from __future__ import annotations

import pytest

from stepladder.network import load_preset, parse_line
from stepladder.network.build import build_network
from stepladder.network.layers import SeededDropout
from stepladder.network.spec import Linear, Network
from stepladder.techniques.dropout import Dropout
from stepladder.training.rng import Streams

REPORT = load_preset("report")


@pytest.mark.parametrize("p", [0.5, 0.25])
def test_the_layer_stands_before_the_last_fully_connected_one(p):
    rewritten = Dropout(p=p).rewrite(REPORT)
    assert [layer.name for layer in rewritten.layers][-4:] == ["fc1", "relu4", "fc2_dropout", "fc2"]
    assert rewritten.layers[-2].p == p
    assert [layer for layer in rewritten.layers if layer.name != "fc2_dropout"] == list(REPORT.layers)
    module = build_network(rewritten, (3, 8, 8), 10, Streams(0))
    assert isinstance(module.fc2_dropout, SeededDropout)
    assert module.fc2_dropout.p == p


def test_strength_zero_leaves_the_list_alone():
    assert Dropout(p=0).rewrite(REPORT) is REPORT


def test_without_a_fully_connected_layer_there_is_nowhere_to_put_it():
    network = Network(layers=tuple(layer for layer in REPORT.layers if not isinstance(layer, Linear)))
    assert Dropout().rewrite(network) is network


def test_the_last_layer_may_stand_in_a_body():
    network = parse_line("conv3-8 gap res(fc8 relu fc8:name=last)")
    rewritten = Dropout().rewrite(Network(layers=network.layers[:-1]))
    assert [layer.name for layer in rewritten.every_layer()][-4:] == ["res1_relu1", "last_dropout", "last", "res1"]


def test_everywhere_means_right_before_each_fully_connected_layer():
    network = parse_line("conv3-8 relu pool2 fc16 relu fc8 relu fc")
    rewritten = Dropout(p=0.3, where="all").rewrite(network)
    names = [layer.name for layer in rewritten.layers]
    linear = [layer.name for layer in network.layers if isinstance(layer, Linear)]
    assert len(linear) == 3
    assert [names[names.index(name) - 1] for name in linear] == [f"{name}_dropout" for name in linear]
    assert [name for name in names if not name.endswith("_dropout")] == [layer.name for layer in network.layers]
    assert [name for name in names if name.endswith("_dropout")] == [f"{name}_dropout" for name in linear]
    assert [layer.p for layer in rewritten.layers if layer.name.endswith("_dropout")] == [0.3] * 3
