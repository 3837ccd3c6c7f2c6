"""Figures written out: every formula's numbers give its result."""

from __future__ import annotations

import math
import re

import pytest
from hypothesis import given

from stepladder.network import load_preset, parse_line, trace_network
from stepladder.network.explain import explain_layer, general_rules
from stepladder.network.receptive_field import follow_fields

from .random_networks import CLASSES, fitting, thorough


def workings(network, shape, classes=CLASSES) -> dict[str, dict[str, str]]:
    costs = trace_network(network, shape, classes)
    fields = follow_fields(network, costs)
    return {cost.layer.name: dict(explain_layer(cost, *fields[cost.layer.name])) for cost in costs}


def test_the_report_s_figures():
    found = workings(load_preset("report"), (3, 32, 32), 10)
    assert found["conv1"] == {
        "output": "⌊(32 + 2·2 − 5)/1⌋ + 1 = 32 rows and columns; 32×32×32",
        "weights": "5·5·3·32 + 32 = 2,432",
        "MACs": "5·5·3·32 at each of 32·32 positions = 2,457,600",
        "field": "r = 1 + (5 − 1)·1 = 5, j = 1·1 = 1, center 0",
    }
    assert found["pool1"]["output"] == "⌈(32 + 2·0 − 2)/2⌉ + 1 = 16 rows and columns; 32×16×16"
    assert found["flatten"]["output"] == "64·4·4 = 1,024 values in a row"
    assert found["fc1"]["weights"] == "1024·1000 + 1000 = 1,025,000"
    rules = general_rules(trace_network(load_preset("report"), (3, 32, 32), 10))
    assert "(2k − 1)² pixels: with k = 5, r = 1 + 4 + 4 = 9, 9·9 = 81." in rules[3]


def evaluated(working: str) -> list[tuple[float, int]]:
    """Each ``formula = result`` of a working, the formula worked out."""
    pairs = []
    for formula, result in re.findall(r"([\d⌊⌈(][\d\s+−·/()⌊⌋⌈⌉,]*) = (\d[\d,]*)", working):
        text = formula.replace("·", "*").replace("−", "-").replace(",", "")
        text = text.replace("⌊", "math.floor(").replace("⌈", "math.ceil(").replace("⌋", ")").replace("⌉", ")")
        pairs.append((eval(text, {"math": math}), int(result.replace(",", ""))))
    return pairs


@thorough
@given(network_and_shape=fitting())
def test_every_formula_gives_its_result(network_and_shape):
    network, shape = network_and_shape
    checked = 0
    costs = {cost.layer.name: cost for cost in trace_network(network, shape, CLASSES)}
    for name, words in workings(network, shape).items():
        for word, working in words.items():
            plain = working.replace("(no bias)", "").replace("(the last window would start beyond the map)", "")
            plain = plain.replace(" at each of ", "·").replace(" positions · (", "·(").replace(" positions", "")
            for value, result in evaluated(plain):
                assert value == result, (name, word, working)
                checked += 1
        if costs[name].weights:
            assert words["weights"].endswith(f"= {costs[name].weights:,}")
        if costs[name].macs:
            assert words["MACs"].endswith(f"= {costs[name].macs:,}")
    assert checked >= 2  # the last layer's weights and MACs at least


@pytest.mark.parametrize(
    ("line", "name", "word", "working"),
    [
        ("conv3-8:groups=4 gap fc", "conv1", "weights", "3·3·(4/4)·8 + 8 = 80"),
        ("dw3:dilation=2 gap fc", "dw1", "output", "⌊(9 + 2·2 − (2·(3 − 1) + 1))/1⌋ + 1 = 9 rows and columns; 4×9×9"),
        ("local3-2:padding=0 fc", "local1", "weights", "7·7 positions · (3·3·4·2 + 2) = 3,626"),
        ("pad16 conv3-8 fc", "pad", "output", "9 + 3 + 4 = 16 rows and columns; 4×16×16"),
        ("conv3x1-8 gap fc", "conv1", "weights", "3·1·4·8 + 8 = 104"),
        ("conv3x1-8 gap fc", "conv1", "field", "r = 1 + (3 − 1)·1 = 3, j = 1·1 = 1, center 0"),
        ("conv1x5-8 gap fc", "conv1", "columns", "r = 1 + (5 − 1)·1 = 5, j = 1·1 = 1, center 0"),
        ("conv5x3-8 gap fc", "gap", "columns", "all 9 columns: r = 3 + (9 − 1)·1 = 11"),
        ("se2 gap fc", "se1", "weights", "4·2 + 2 + 2·4 + 4 = 22"),
        ("se2 gap fc", "se1", "MACs", "2·4·2 = 16"),
        ("cat(conv3-8 | conv5-2) fc", "cat1", "output", "the channels of 2 branches one behind another, 10×9×9"),
        ("cat(conv3-8 | conv5-2) fc", "cat1", "field", "what the branches together see: r = 5, j = 1, center 0"),
        ("res(conv3-8:stride=2 relu) fc", "res1", "weights", "shortcut 1·1·4·8 (no bias) = 32"),
    ],
)
def test_other_layers(line, name, word, working):
    assert workings(parse_line(line), (4, 9, 9))[name][word] == working
