"""Small real studies."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.rules import Rules
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import (
    ContrastRecord,
    DataRecord,
    LookRecord,
    Machine,
    RungRecord,
    SavedStudy,
    SavedTrial,
    StudyRecord,
    TrialResult,
)
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import run_study
from stepladder.training.history import EpochRecord

RunStudy = Callable[..., SavedStudy]


class Count(Callbacks):
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
    """Run three rungs of one epoch on few digits.

    Everything may be changed by its name: what ``run_study`` and ``make_design`` take, and each rule and each setting
    of the execution, as ``study(validation=0, workers=2)``.
    """

    def run(**options: Any) -> SavedStudy:
        rules, options = _changed(Rules(), options)
        execution, options = _changed(Execution("cpu", "float32", command="stepladder study digits"), options)
        settings: dict[str, Any] = {
            "image_set": digits,
            "recipe": two_rungs,
            "plan": "ladder",
            "out": tmp_path / "study",
            "seeds": 2,
            "callbacks": None,
        }
        assert options.keys() <= settings.keys()
        settings |= options
        return run_study(
            settings["image_set"],
            make_design(settings["plan"], settings["recipe"]),
            settings["out"],
            seeds=settings["seeds"],
            rules=rules,
            execution=execution,
            callbacks=settings["callbacks"],
        )

    return run


def _changed(value: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return a dataclass with those of its fields changed that are among the options, and the other options."""
    names = {field.name for field in fields(value)} & options.keys()
    changed = replace(value, **{name: options[name] for name in names})
    return changed, {name: option for name, option in options.items() if name not in names}


@pytest.fixture
def made_up(tmp_path: Path) -> Callable[..., SavedStudy]:
    """Return a study with the given test accuracies, a value a seed; None is a seed that failed."""

    def make(scores: dict[str, list[float | None]], looks: tuple[int, ...] = (), **settings: Any) -> SavedStudy:
        seeds = max(len(values) for values in scores.values())
        sizes = looks or (seeds,)
        names = list(scores)
        pairs = itertools.pairwise(names)
        record = StudyRecord(
            plan="ladder",
            plan_hash="",
            rungs=tuple(RungRecord(name=name, adds=(), recipe={"name": "tiny"}) for name in names),
            contrasts=tuple(
                ContrastRecord(name=rung, design="ladder", weights={rung: 1.0, below: -1.0}) for below, rung in pairs
            ),
            looks=tuple(
                LookRecord(seeds=size, share=(size - before) / sizes[-1])
                for before, size in zip((0, *sizes), sizes, strict=False)
            ),
            seeds=tuple(range(seeds)),
            validation=0.1,
            precision="float32",
            device="cpu",
            data=DataRecord(
                name="digits",
                fingerprint="images",
                split="split",
                class_names=tuple("0123456789"),
                image_shape=(8, 8, 1),
                counts={"train": 9000, "validation": 1000, "test": 10_000},
                notes=(),
            ),
            versions={},
            machine=MACHINE,
            command="stepladder study digits",
            created="2026-01-31T12:00:00+00:00",
        ).model_copy(update=settings)
        trials = tuple(
            SavedTrial(name, seed, tmp_path / f"{name}-{seed}", _result(f"{name}-{seed}", seed, value), _HISTORY)
            for name, values in scores.items()
            for seed, value in enumerate(values)
        )
        return SavedStudy(tmp_path, record.model_copy(update={"plan_hash": hash_plan(record)}), trials)

    return make


MACHINE = Machine(processor="Xeon", cores=2, memory_gb=7.5, accelerator=None, system="Linux 6.1")

#: Of any trial; it serves a study that watches validation, and one that watches test.
_HISTORY = tuple(
    EpochRecord(epoch, 0.1, loss, loss, accuracy, 1.0, None, loss, accuracy, loss, accuracy)
    for epoch, (loss, accuracy) in enumerate(((2.3, 0.1), (1.2, 0.6)))
)


def _result(trial: str, seed: int, accuracy: float | None) -> TrialResult:
    return TrialResult(
        trial=trial,
        seed=seed,
        techniques=(),
        status="failed" if accuracy is None else "finished",
        epochs=1,
        test_accuracy=accuracy,
        test_loss=None if accuracy is None else 1 - accuracy,
        failure="the training loss was not finite in epoch 1" if accuracy is None else None,
        seconds=1.0,
        images_per_second=None,
        versions={},
        machine=MACHINE,
        finished="2026-01-31T13:00:00+00:00",
    )
