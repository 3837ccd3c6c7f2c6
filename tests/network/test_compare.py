"""What a convolution saves, against layers that were built."""

from __future__ import annotations

import pytest
from torch import nn

from stepladder.network import load_preset, parse_line, trace_network
from stepladder.network.build import build_network
from stepladder.network.compare import compare_convolutions
from stepladder.network.layers import LocallyConnected2d
from stepladder.training.rng import Streams


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
