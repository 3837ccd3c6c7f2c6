"""What a node is asked, and what it answers, through plain values as they travel."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stepladder.datasets import ImageSet, Splits, make_splits
from stepladder.recipe import Recipe
from stepladder.studies.files.records import DataRecord
from stepladder.studies.prepare import describe_data
from stepladder.studies.running import asked as module
from stepladder.studies.running.asked import answer, ask_to_estimate, ask_to_settle, estimated, settled
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.estimate import Work
from stepladder.training.device import Compute, compute_here


@pytest.fixture
def splits(digits: ImageSet) -> Splits:
    return make_splits(digits.limited(12), 0.2)


@pytest.fixture
def data(digits: ImageSet, splits: Splits) -> DataRecord:
    return describe_data(digits, splits)


@pytest.fixture
def node(tmp_path: Path) -> tuple[Callable[[np.ndarray], dict[str, Any]], Callable[[dict[str, Any]], dict[str, Any]]]:
    """What places an array on a node, and what asks that node."""

    def place(array: np.ndarray) -> dict[str, Any]:
        content = np.ascontiguousarray(array).tobytes()
        name = hashlib.sha256(content).hexdigest()
        (tmp_path / name).write_bytes(content)
        return {"shape": list(array.shape), "dtype": array.dtype.str, "path": name}

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        told = json.loads(json.dumps(question))
        return dict(json.loads(json.dumps(answer(told, tmp_path, tmp_path, Callbacks()))))

    return place, ask


def test_a_node_says_on_what_it_trains_and_what_it_is(
    node: Any, splits: Splits, data: DataRecord, tiny_recipe: Callable[..., Recipe]
) -> None:
    place, ask = node
    asked = ask_to_settle(tiny_recipe(), splits, data, ("cpu", "bfloat16", 3), place)
    compute, arithmetic, machine = settled(ask(asked))
    assert compute == Compute(torch.device("cpu"), "bfloat16", 3)
    assert (arithmetic.precision, arithmetic.reason) == ("bfloat16", "asked")
    assert machine.cores >= 1
    assert machine.accelerator is None


def test_a_question_on_arithmetic_brings_a_few_training_images_and_one_of_test(
    node: Any, digits: ImageSet, tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    place, _ = node
    monkeypatch.setattr(module, "_FEW", 20)
    splits = make_splits(digits, 0.2)
    asked = ask_to_settle(tiny_recipe(), splits, describe_data(digits, splits), ("auto", "auto", None), place)
    images = asked["images"]
    # Not the block of all images that a split is a part of.
    assert images["train"]["pixels"]["shape"] == [20, 8, 8, 1]
    assert (images["watched"]["pixels"]["shape"], images["has_validation"]) == ([1, 8, 8, 1], False)


def test_a_node_says_how_long_trials_take(
    node: Any, splits: Splits, data: DataRecord, tiny_recipe: Callable[..., Recipe]
) -> None:
    place, ask = node
    work = {"short": Work(tiny_recipe(), 100), "long": Work(tiny_recipe(epochs=200), 100)}
    more = {"limit": None, "at_a_time": 1, "reads_test": False}
    found = estimated(ask(ask_to_estimate(work, splits, data, Compute(torch.device("cpu"), "float32", 1), place, more)))
    assert set(found.seconds) == {"short", "long"}
    assert found.seconds["long"] > found.seconds["short"] > 0
    assert found.reading == {}


def test_what_is_read_here_is_read_on_what_is_here() -> None:
    there = Compute(torch.device("cuda"), "bfloat16", 2)
    if torch.cuda.is_available():
        assert compute_here(there) == there
    else:
        assert compute_here(there) == Compute(torch.device("cpu"), "bfloat16", 2)
    here = Compute(torch.device("cpu"), "float32")
    assert compute_here(here) is here
