from __future__ import annotations

import math

import torch

from stepladder.network import load_preset
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


def test_glorot_s_bound():
    xavier = drawn(XavierInit())
    for name in ("conv2", "fc1", "fc2"):
        weight = xavier[f"{name}.weight"]
        area = weight[0, 0].numel() if weight.ndim == 4 else 1
        bound = math.sqrt(6 / (area * (weight.shape[0] + weight.shape[1])))
        assert 0.98 * bound < float(weight.abs().max()) <= bound


def test_the_same_seed_gives_the_same_weights():
    assert all(torch.equal(value, drawn(HeInit())[name]) for name, value in drawn(HeInit()).items())
