"""Networks of other libraries, which are not in this environment: what is said of that, and a module that stands in."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import foreign_networks as room
from stepladder.datasets import load_image_set

_OWN = """from torch import nn


def build(shape, classes):
    {name}
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), *pool, nn.Linear(4, classes))
"""


def test_what_is_not_installed_is_said_with_the_line_that_installs_it(
    measure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "find_spec", lambda _: None)
    outcome = measure("foreign_networks", "digits")
    assert outcome.code == 2
    assert outcome.err == (
        "Error: timm and torchvision are not installed; pip install torch==2.14.1 torchvision==0.29.1 timm, in an "
        "environment of its own with stepladder[export]\n"
    )
    outcome = measure("foreign_networks", "digits", "--only", "swin_t")
    assert outcome.err.startswith("Error: torchvision is not installed; pip install ")
    outcome = measure("foreign_networks", "digits", "--only", "resnet81")
    assert outcome.err.startswith("Error: unknown network 'resnet81'; did you mean 'resnet18'? Known: ")


@pytest.mark.soak
def test_a_network_is_trained_twice_asked_and_exported(tmp_path: Path) -> None:
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    foreign = room._Foreign("here", "pass", text=_OWN)
    tried = room.try_network(foreign, load_image_set("digits", limit=20), 1, tmp_path)
    assert tried.why == ""
    # 3·3·4 + 4, 4·10 + 10; 36 at 6·6 positions, 40.
    assert (tried.network, tried.weights, tried.macs) == ("here pass", 90, 36 * 36 + 40)
    assert tried.works
    assert tried.onnx_difference is not None
    assert tried.onnx_difference < 1e-4


def test_what_does_not_work_is_counted_with_its_sentence(
    measure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that is here, under the name of one that is not."""
    failing = room._Foreign("numpy", "raise ValueError('too small')", text=_OWN)
    monkeypatch.setattr(room, "NETWORKS", (failing,))
    outcome = measure("foreign_networks", "digits", "--size", "8", "--json")
    assert outcome.code == 1
    (found,) = json.loads(outcome.out)["networks"]
    assert not found["trains"]
    assert found["why"] == "net.py:build raised ValueError: too small (net.py, line 5)"
