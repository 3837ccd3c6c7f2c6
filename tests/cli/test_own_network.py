"""A network of the user's own on the command line: named, it does all that others do; unnamed, nothing of it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stepladder.network import own

Call = Callable[..., Any]

NETWORK = """import pathlib

from torch import nn

with pathlib.Path(__file__).with_name("ran").open("a") as log:
    log.write("ran\\n")


def build(shape, classes):
    channels, height, width = shape
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(4 * (height // 2) * (width // 2), classes),
    )
"""
LITTLE = ("--limit", "20", "--epochs", "2", "--batch-size", "16")
NOT_NAMED = (
    "Error: this network is built by net.py:build, whose code is not run unless you name it: --network net.py:build\n"
)


@pytest.fixture(autouse=True)
def file(monkeypatch: pytest.MonkeyPatch, stepladder: Call) -> None:
    forget(monkeypatch)
    Path("net.py").write_text(NETWORK)  # in the empty folder that the command runs in
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save("one.png")


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know as little of the file as another process."""
    monkeypatch.setattr(own, "_NAMED", {})
    monkeypatch.setattr(own, "_MODULES", {})
    Path("ran").unlink(missing_ok=True)


def test_inspect(stepladder: Call) -> None:
    outcome = stepladder("inspect", "net.py:build", "--input", "1x8x8", "--classes", "3")
    assert outcome.code == 0
    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[2] == ["0", "Conv2d", "4×8×8", "40", "2,304", "3"]
    assert lines[4] == ["2", "MaxPool2d", "4×4×4", "4"]
    assert ["total", "235", "2,496"] in lines
    assert "net on 1×8×8, 3 classes: 235 weights (940 B in float32); 2,496 MACs an image, as torch's" in outcome.out
    document = json.loads(stepladder("inspect", "net.py:build", "--data", "digits", "--json").out)
    assert (document["input_shape"], document["num_classes"]) == ([1, 8, 8], 10)
    assert document["parts"][0] == {
        "name": "0",
        "kind": "Conv2d",
        "output_shape": [4, 8, 8],
        "weights": 40,
        "macs": 2304,
        "sees": {"height": 3, "width": 3},
    }
    for option in ("--compare", "--explore"):
        outcome = stepladder("inspect", "net.py:build", option)
        said = f"Error: {option} goes by a list of layers, and this network is a module of your own; leave it out\n"
        assert (outcome.code, outcome.err) == (2, said)


def test_a_model_is_asked_only_where_its_file_is_named(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = stepladder("train", "digits", "--network", "net.py:build", "--out", "out", *LITTLE)
    assert outcome.code == 0, outcome.err
    note = (
        "Recipe: small without dropout and batch_norm, as your network is a module and these rewrite a list of layers."
    )
    assert note in outcome.out
    forget(monkeypatch)
    for command in (("predict", "out/model", "one.png"), ("export", "out/model"), ("explain", "out/model", "one.png")):
        outcome = stepladder(*command)
        assert (outcome.code, outcome.err) == (2, NOT_NAMED), command
    shown = stepladder("inspect", "out/model")
    assert shown.code == 0
    assert "690 weights" in shown.out
    assert "stepladder inspect net.py:build --input 1x8x8 --classes 10" in shown.out
    assert not Path("ran").exists()
    outcome = stepladder("predict", "out/model", "one.png", "--network", "net.py:build")
    assert outcome.code == 0, outcome.err
    assert Path("ran").exists()


@pytest.mark.soak
def test_a_study_by_several_processes_and_its_report_without_the_code(
    stepladder: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = ("--rung", "base:", "--rung", "+standardize:standardize", "--seeds", "1", "--out", "out")
    command = ("study", "digits", "--network", "./net.py:build", *plan, *LITTLE, "--workers", "2")
    outcome = stepladder(*command)
    assert outcome.code == 0, outcome.err + outcome.out
    record = json.loads(Path("out/study.json").read_text())
    assert record["rungs"][0]["recipe"]["network"]["layers"][0]["text"] == NETWORK
    assert stepladder(*command).code == 0
    forget(monkeypatch)
    for words in (("report", "out"), ("check", "out")):
        outcome = stepladder(*words)
        assert outcome.code == 0, outcome.err
    assert not Path("ran").exists()
    page = Path("out/report.html").read_text()
    assert "module of net.py:build" in page
    Path("net.py").write_text(NETWORK.replace("0.1", "0.2"))
    outcome = stepladder(*command)
    assert outcome.code == 2
    assert "sha256 is " in outcome.err
    assert "text differs" in outcome.err


def test_a_technique_that_rewrites_layers_is_refused(stepladder: Call) -> None:
    outcome = stepladder("study", "digits", "--recipe", "small", "--network", "net.py:build", *LITTLE)
    assert outcome.code == 2
    assert outcome.err.startswith("Error: rung dropout: dropout rewrites the layers of a list, and net.py:build builds")
    assert not list(Path("studies").glob("*/trials"))


def test_a_sweep_over_networks(stepladder: Call) -> None:
    over = "network=net.py:build,conv3-4 pool2 fc"
    words = ("--recipe", "small", "--rung", "standardize", "--seeds", "1", *LITTLE, "--out", "out")
    outcome = stepladder("sweep", "digits", "--over", over, *words)
    assert outcome.code == 0, outcome.err
    assert "net.py:build" in outcome.out


def test_a_shape_that_does_not_fit_is_said_before_a_step(stepladder: Call) -> None:
    Path("net.py").write_text(NETWORK.replace("height // 2", "height"))
    outcome = stepladder("train", "digits", "--network", "net.py:build", *LITTLE)
    assert outcome.code == 2
    assert outcome.err.startswith(
        "Error: net.py:build: its module, given 2 images of 1×8×8, raised RuntimeError: mat1 and mat2 shapes cannot be"
    )
