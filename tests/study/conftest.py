"""Small real studies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.data import ImageSet
from stepladder.recipe import Recipe
from stepladder.study.plan import Trial
from stepladder.study.records import SavedStudy
from stepladder.study.run import run_study
from stepladder.study.watch import Watch
from stepladder.training.device import choose_compute

RunStudy = Callable[..., SavedStudy]


class Count(Watch):
    """Notes the trials that really run."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []

    def trial_started(self, trial: Trial) -> None:
        self.started.append((trial.rung, trial.seed))


@pytest.fixture
def counter() -> Count:
    return Count()


@pytest.fixture
def two_rungs(tiny_recipe: Callable[..., Recipe]) -> Recipe:
    return tiny_recipe(
        {"name": "standardize"},
        {"name": "random_crop", "rung": "augment"},
        {"name": "horizontal_flip", "rung": "augment"},
        epochs=1,
    )


@pytest.fixture
def study(digits: ImageSet, two_rungs: Recipe, tmp_path: Path) -> RunStudy:
    """Run three rungs of one epoch on few digits; every option of run_study may be changed."""

    def run(**options: Any) -> SavedStudy:
        settings: dict[str, Any] = {
            "image_set": digits,
            "recipe": two_rungs,
            "out": tmp_path / "study",
            "compute": choose_compute("cpu", "float32"),
            "seeds": 2,
            "command": "stepladder study digits",
        }
        settings |= options
        return run_study(
            settings.pop("image_set"), settings.pop("recipe"), settings.pop("out"), settings.pop("compute"), **settings
        )

    return run
