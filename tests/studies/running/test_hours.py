"""A long job is said to be one before its first step."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from stepladder.datasets import ImageSet, make_splits
from stepladder.recipe import Recipe
from stepladder.studies.prepare import describe_data
from stepladder.studies.running import hours
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.hours import LONG, say_hours, say_hours_of_training
from stepladder.training.device import Compute, choose_compute


class Told(Callbacks):
    def __init__(self) -> None:
        self.sentences: list[str] = []
        self.measured = 0

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def measuring(self, rungs: int) -> None:
        self.measured += rungs


def test_hours_are_said_from_half_a_day_on() -> None:
    told = Told()
    say_hours(LONG - 1, (224, 224, 3), told)
    assert told.sentences == []
    say_hours(LONG, (224, 224, 3), told)
    say_hours(36_000, (64, 64, 3), told)
    rest = (
        "fewer `epochs`, fewer `seeds` or a GPU shorten it. It can be stopped at any time, and the same call goes on."
    )
    assert told.sentences == [
        f"This will take about 4 hours: `size=64`, {rest}",
        f"This will take about 10 hours: {rest}",
    ]


def test_one_training_is_measured_only_where_it_may_be_long(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    splits, compute, told = make_splits(digits, 0.1), choose_compute("cpu", "float32", 1), Told()
    assert isinstance(compute, Compute)
    data = describe_data(digits, splits)
    say_hours_of_training(tiny_recipe(), splits, data, compute, told)
    assert told.measured == 0
    monkeypatch.setattr(hours, "LONG", 0.0)
    say_hours_of_training(tiny_recipe(epochs=2**31 - 1), splits, data, compute, told)
    assert told.measured == 1
    (sentence,) = told.sentences
    assert sentence.startswith("This will take about ")
