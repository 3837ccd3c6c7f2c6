"""Studies of made-up but plausible numbers, and golden files."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import Split, Splits
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.files.gallery import write_gallery
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import (
    ContrastRecord,
    DataRecord,
    LookRecord,
    Machine,
    Reading,
    RungRecord,
    SavedStudy,
    SavedTrial,
    StudyRecord,
    TrialResult,
)
from stepladder.studies.findings import Findings, find_shown_model, make_findings
from stepladder.training.history import EpochRecord

MACHINE = Machine(processor="Xeon", cores=2, memory_gb=7.5, accelerator=None, system="Linux 6.1")
VERSIONS = {"stepladder": "0.1.0", "python": "3.11.2", "torch": "2.13.0"}

#: name, adds, accuracy that test and train tend to, epochs that it takes.
LADDER: tuple[tuple[str, tuple[str, ...], float, float, float], ...] = (
    ("baseline", (), 0.677, 0.995, 3.0),
    ("standardize", ("standardize",), 0.747, 0.998, 2.4),
    ("augment", ("random_crop", "horizontal_flip"), 0.781, 0.905, 3.4),
    ("schedule", ("exponential_lr",), 0.793, 0.880, 3.2),
    ("dropout", ("dropout",), 0.791, 0.862, 3.6),
    ("batchnorm", ("batch_norm",), 0.803, 0.902, 2.6),
)

MakeStudy = Callable[..., SavedStudy]
#: Test images of a complete study.
IMAGES = 200


def build_study(
    folder: Path,
    *,
    rungs: int = 6,
    seeds: int = 3,
    epochs: int = 20,
    failed: Iterable[tuple[str, int]] = (),
    missing: Iterable[tuple[str, int]] = (),
    validation: float = 0.1,
    classes: int = 10,
    channels: int = 3,
    ladder: tuple[tuple[str, tuple[str, ...], float, float, float], ...] = LADDER,
    spread: float = 0.003,
    data: dict[str, Any] | None = None,
    warnings: tuple[str, ...] = (),
    read: bool = True,
    contrasts: tuple[ContrastRecord, ...] | None = None,
    **settings: Any,
) -> SavedStudy:
    """Return a study whose curves rise like real ones; the same arguments give the same numbers."""
    levels = [ladder[i % len(ladder)] for i in range(rungs)]
    names = [name if i < len(ladder) else f"{name}_{i}" for i, (name, *_) in enumerate(levels)]
    counts = {"train": 45_000, "validation": 5_000, "test": 10_000}
    if validation == 0:
        counts = {"train": 50_000, "validation": 0, "test": 10_000}
    record = StudyRecord(
        plan="ladder",
        plan_hash="5f0c" * 16,
        rungs=tuple(
            RungRecord(name=name, adds=level[1], recipe={"epochs": epochs, "name": "report", "techniques": techniques})
            for name, level, techniques in zip(names, levels, _techniques(names, levels), strict=True)
        ),
        contrasts=neighbors(names) if contrasts is None else contrasts,
        looks=(LookRecord(seeds=seeds, share=1.0),),
        seeds=tuple(range(seeds)),
        validation=validation,
        precision="bfloat16",
        device="cpu",
        data=DataRecord(
            **{
                "name": "cifar10-jpeg",
                "fingerprint": "ab12" * 16,
                "split": "9c3e" * 16,
                "class_names": tuple(f"class {i}" for i in range(classes)),
                "image_shape": (32, 32, channels),
                "counts": counts,
                "notes": (),
                **(data or {}),
            }
        ),
        versions=VERSIONS,
        machine=MACHINE,
        command=f"stepladder study data/cifar10-jpeg --seeds {seeds}",
        created="2026-01-31T12:00:00+00:00",
    ).model_copy(update=settings)
    trials = []
    for name, level in zip(names, levels, strict=True):
        for seed in range(seeds):
            if (name, seed) not in set(missing):
                stop = 7 if (name, seed) in set(failed) else None
                trials.append(_trial(folder, name, level, seed, epochs, stop, classes, spread, warnings, validation))
    # As in a real study: test is read once, when all trials have ended.
    if not read or len(trials) < rungs * seeds:
        nothing = {"test_accuracy": None, "test_loss": None}
        trials = [replace(trial, result=trial.result.model_copy(update=nothing)) for trial in trials]
        return SavedStudy(folder=folder, record=record, trials=tuple(trials))
    return SavedStudy(folder, record, tuple(trials), (make_reading(record),))


#: What each technique of a made-up design gives: two that help, one that hurts, and two that help more together.
WORTH = {"standardize": 0.05, "mixup": 0.02, "cutmix": -0.03, "ema": 0.0}
TOGETHER = {frozenset({"standardize", "mixup"}): 0.02}


def build_design(
    folder: Path, plan: str, recipe: Recipe, *, max_trials: int | None = None, **options: Any
) -> SavedStudy:
    """Return a made-up study of a plan: its rungs and contrasts are those that the plan makes of the recipe."""
    seeds = options.pop("seeds", 5)
    design = make_design(plan, recipe, seeds, max_trials)
    levels = []
    for rung in design.rungs:
        there = {setting.name for setting in rung.recipe.techniques}
        worth = sum(WORTH[name] for name in there) + sum(more for pair, more in TOGETHER.items() if pair <= there)
        levels.append((rung.name, rung.adds, 0.75 + worth, 0.97, 3.0))
    study = build_study(
        folder,
        rungs=len(levels),
        seeds=seeds,
        ladder=tuple(levels),
        contrasts=tuple(
            ContrastRecord(name=one.name, design=one.design, weights=one.weights) for one in design.contrasts
        ),
        plan=design.name,
        notes=design.notes,
        spending="open",
        looks=(LookRecord(seeds=seeds, share=0.78),),
        **options,
    )
    rungs = tuple(
        RungRecord(
            name=rung.name,
            adds=rung.adds,
            lacks=rung.lacks,
            recipe={
                "epochs": 20,
                "name": "report",
                "techniques": [{"name": one.name, "rung": one.rung} for one in rung.recipe.techniques],
            },
        )
        for rung in design.rungs
    )
    return replace(study, record=study.record.model_copy(update={"rungs": rungs}))


def _techniques(names: Sequence[str], levels: Sequence[tuple[Any, ...]]) -> list[list[dict[str, str]]]:
    """What each rung of a ladder has, as a recipe lists it."""
    added = [[{"name": one, "rung": name} for one in level[1]] for name, level in zip(names, levels, strict=True)]
    return [[one for group in added[: place + 1] for one in group] for place in range(len(added))]


def make_reading(record: StudyRecord, kind: str = "planned", time: str = "2026-01-31T13:30:00+00:00") -> Reading:
    return Reading.model_validate(
        {"time": time, "kind": kind, "look": 1, "plan_hash": record.plan_hash, "trials": ("0",), "ended": True}
    )


def neighbors(names: Sequence[str]) -> tuple[ContrastRecord, ...]:
    """The contrasts of a ladder."""
    return tuple(
        ContrastRecord(name=rung, design="ladder", weights={rung: 1.0, below: -1.0}) for below, rung in pairwise(names)
    )


def _trial(
    folder: Path,
    name: str,
    level: tuple[str, tuple[str, ...], float, float, float],
    seed: int,
    epochs: int,
    stop: int | None,
    classes: int,
    spread: float,
    warnings: tuple[str, ...],
    validation: float,
) -> SavedTrial:
    draw = random.Random(f"{name} {seed}")
    _, adds, test_end, train_end, pace = level
    test_end = min(max(test_end + draw.gauss(0, spread), 0.0), 1.0)
    rows = []
    for epoch in range((stop or epochs) + 1):
        share = 1 - math.exp(-epoch / pace)
        train = min(1 / classes + (train_end - 1 / classes) * share + (draw.gauss(0, 0.004) if epoch else 0), 1.0)
        other = 1 / classes + (test_end - 1 / classes) * (1 - math.exp(-epoch / (0.6 * pace)))
        other += draw.gauss(0, 0.012) * math.exp(-epoch / 15) if epoch else 0
        other = min(max(other, 0.0), 1.0)
        train_loss = math.log(classes) * (1 - train) / (1 - 1 / classes)
        other_loss = math.log(classes) * (1 - other) / (1 - 1 / classes) + max(train - other, 0) ** 2 * epoch
        if stop and epoch >= stop - 1:
            train, other, train_loss, other_loss = 1 / classes, 1 / classes, 40.0 * epoch, 42.0 * epoch
        seen: dict[str, Any] = {"val_loss": other_loss, "val_accuracy": other}
        if validation == 0:
            seen = {"val_loss": None, "val_accuracy": None, "test_loss": other_loss, "test_accuracy": other}
        rows.append(
            EpochRecord(
                epoch=epoch,
                lr=0.1 if epoch else None,
                train_loss_running=train_loss + 0.1 if epoch else None,
                train_loss=train_loss,
                train_accuracy=train,
                seconds=11.0,
                images_per_second=4400.0 if epoch else None,
                **seen,
            )
        )
    end = rows[-1]
    finished: dict[str, Any] = {}
    if stop is None:
        finished = {
            "train_loss": end.train_loss,
            "train_accuracy": round(end.train_accuracy, 4),
            "val_loss": end.val_loss,
            "val_accuracy": None if end.val_accuracy is None else round(end.val_accuracy, 4),
            "test_loss": end.test_loss if validation == 0 else end.val_loss,
            "test_accuracy": round(test_end, 4),
        }
    result = TrialResult(
        trial=f"{name}-{seed}",
        seed=seed,
        techniques=adds,
        status="failed" if stop else "finished",
        epochs=stop or epochs,
        seconds=11.0 * (stop or epochs),
        images_per_second=4400.0,
        failure=f"the loss was not finite in epoch {stop + 1}" if stop else None,
        warnings=warnings,
        versions=VERSIONS,
        machine=MACHINE,
        finished="2026-01-31T13:00:00+00:00",
        **finished,
    )
    return SavedTrial(rung=name, seed=seed, folder=folder / "trials" / result.trial, result=result, history=tuple(rows))


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    def make(**options: Any) -> SavedStudy:
        return build_study(tmp_path, **options)

    return make


@pytest.fixture
def make_design_study(tmp_path: Path, tiny_recipe: Callable[..., Recipe]) -> MakeStudy:
    def make(plan: str, **options: Any) -> SavedStudy:
        return build_design(tmp_path, plan, tiny_recipe(*WORTH), **options)

    return make


@pytest.fixture
def findings_of(make_study: MakeStudy) -> Callable[..., Findings]:
    """The findings of a made-up study; the options are those of :func:`build_study`."""

    def make(**options: Any) -> Findings:
        return make_findings(make_study(**options))

    return make


@pytest.fixture(scope="session")
def study_builder() -> MakeStudy:
    """``build_study`` for fixtures that outlive one test; the folder comes first."""
    return build_study


@pytest.fixture
def a_reading() -> Callable[..., Reading]:
    return make_reading


@pytest.fixture
def check_golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in tests/report/golden; ``--refresh-golden`` writes it."""

    def check(name: str, text: str) -> None:
        path = Path(__file__).parent / "golden" / name
        if request.config.getoption("--refresh-golden", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        assert text == path.read_text(encoding="utf-8"), f"{name} changed; if that is right, run with --refresh-golden"

    return check


@pytest.fixture(scope="session")
def complete_study(study_builder: MakeStudy, tiny_recipe: Callable[..., Recipe]) -> MakeStudy:
    """Make up a study and write what a reading of the test images leaves: predictions, probabilities, a gallery."""

    def make(folder: Path, **options: Any) -> SavedStudy:
        study = study_builder(folder, **options)
        recipe = tiny_recipe().to_table()
        rungs = tuple(RungRecord(name=rung.name, adds=rung.adds, recipe=recipe) for rung in study.record.rungs)
        study = SavedStudy(
            folder, study.record.model_copy(update={"rungs": rungs}), study.trials, study.readings, study.edited
        )
        if study.unread or study.missing:
            return study
        random = np.random.default_rng(0)
        classes = len(study.record.data.class_names)
        height, width, channels = study.record.data.image_shape
        labels = np.arange(IMAGES, dtype=np.int64) % classes
        pixels = random.integers(0, 256, (IMAGES, height, width, channels), dtype=np.uint8)
        split = Split(pixels, labels)
        answers = {}
        for trial in study.trials:
            logits = random.normal(0, 1, (IMAGES, classes))
            logits[np.arange(IMAGES), labels] += 3
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            answers[trial.result.trial] = shares
            write_predictions(trial.folder, shares.argmax(axis=1), labels, classes, shares)
        shown = find_shown_model(study)
        if shown is not None:
            name = shown.trial.result.trial
            write_gallery(folder, name, answers[name], Splits(split, None, split, (), ""), classes)
        return study

    return make


@pytest.fixture(scope="module", autouse=True)
def _rendered(pictures_rendered: None) -> None:
    """Reports are looked at here, so their pictures are as users get them."""
