from __future__ import annotations

import math

import torch

from stepladder.network import load_preset, parse_line
from stepladder.network.build import build_network
from stepladder.techniques.he_init import HeInit
from stepladder.techniques.xavier_init import XavierInit
from stepladder.training.rng import Streams


def drawn(technique: HeInit | XavierInit | None) -> dict[str, torch.Tensor]:
    module = build_network(load_preset("report"), (3, 8, 8), 10, Streams(0))
    if technique is not None:
        with torch.no_grad():
            technique.initialize(module, Streams(0), [])
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_he_s_variance_in_all_layers_but_the_last():
    plain, he = drawn(None), drawn(HeInit())
    for name in ("conv1", "conv2", "fc1"):
        weight = he[f"{name}.weight"]
        assert abs(float(weight.std()) / math.sqrt(2 / weight[0].numel()) - 1) < 0.03
        assert not he[f"{name}.bias"].any()
    assert torch.equal(he["fc2.weight"], plain["fc2.weight"])


def test_he_s_variance_before_a_leaky_relu():
    network = parse_line("conv3-64 bn lrelu0.5 res(conv3-64 se4) lrelu0.5 conv3-64 relu gap fc64 lrelu0.5 fc")
    module = build_network(network, (3, 8, 8), 10, Streams(0))
    with torch.no_grad():
        HeInit().initialize(module, Streams(0), [])
    weights = {name.split(".")[-2]: value for name, value in module.state_dict().items() if name.endswith("weight")}
    slopes = {"conv1": 0.5, "res1_conv1": 0.5, "conv2": 0.0, "fc1": 0.5}
    for name, slope in slopes.items():
        weight = weights[name]
        expected = math.sqrt(2 / (1 + slope**2) / weight[0].numel())
        assert abs(float(weight.std()) / expected - 1) < 0.06, name
    # What makes gates is followed by a sigmoid.
    assert (
        abs(float(weights["se1_reduce" if "se1_reduce" in weights else "res1_se1_reduce"].std()) * 32**0.5 - 1) < 0.12
    )


def test_glorot_s_bound():
    xavier = drawn(XavierInit())
    for name in ("conv2", "fc1", "fc2"):
        weight = xavier[f"{name}.weight"]
        area = weight[0, 0].numel() if weight.ndim == 4 else 1
        bound = math.sqrt(6 / (area * (weight.shape[0] + weight.shape[1])))
        assert 0.98 * bound < float(weight.abs().max()) <= bound


def test_the_same_seed_gives_the_same_weights():
    first, second = drawn(HeInit()), drawn(HeInit())
    assert len(first) > 3
    assert all(torch.equal(value, second[name]) for name, value in first.items())
