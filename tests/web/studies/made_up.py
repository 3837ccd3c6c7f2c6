"""Made-up studies on the disk, of any size, without a training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from stepladder.files import json_text
from stepladder.recipe import Recipe, change_settings, load_recipe
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.design.sweeps import SweepRecord, make_points, parse_axes, with_swept_techniques
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import (
    ContrastRecord,
    DataRecord,
    LookRecord,
    Machine,
    Reading,
    RungRecord,
    StudyRecord,
    TrialResult,
)
from stepladder.studies.files.store import planned_trials
from stepladder.training.history import EpochRecord, history_text

MACHINE = Machine(processor="Xeon", cores=2, memory_gb=7.5, accelerator=None, system="Linux 6.1")
DATA = DataRecord(
    name="digits",
    fingerprint="images",
    split="split",
    class_names=tuple("0123456789"),
    image_shape=(8, 8, 1),
    counts={"train": 900, "validation": 1000, "test": 100},
    notes=(),
)
#: What a page must never show between two looks: no other figure of a made-up study is written so.
TEST_FIGURE = 0.8642


def make_record(rungs: Sequence[RungRecord], seeds: int, first: int, **more: Any) -> StudyRecord:
    """Return the record of a study that looks first at ``first`` seeds, and has ``seeds`` by now."""
    values: dict[str, Any] = {
        "plan": "ladder",
        "plan_hash": "",
        "rungs": tuple(rungs),
        "contrasts": tuple(
            ContrastRecord(name=one.name, design=ContrastKind.LADDER, weights={one.name: 1.0, below.name: -1.0})
            for below, one in pairwise(rungs)
        ),
        "looks": (LookRecord(seeds=first, share=0.78),),
        "spending": "open",
        "seeds": tuple(range(seeds)),
        "validation": 0.1,
        "precision": "float32",
        "device": "cpu",
        "data": DATA,
        "versions": {"stepladder": "0.2.0", "torch": "2.13.0"},
        "machine": MACHINE,
        "command": "stepladder study digits --recipe first",
        "created": "2026-01-31T12:00:00+00:00",
    }
    record = StudyRecord(**values | more)
    return record.model_copy(update={"plan_hash": hash_plan(record)})


def ladder(rungs: int = 3, seeds: int = 5, first: int = 5, **more: Any) -> StudyRecord:
    """Return the record of a ladder of so many rungs."""
    recipe = load_recipe("small")
    recipes = [change_settings(recipe, {"optimizer.lr": round(0.01 * (i + 1), 4)}) for i in range(rungs)]
    return make_record([_rung(f"rung {i}", one) for i, one in enumerate(recipes)], seeds, first, **more)


def grid(over: Iterable[str], seeds: int) -> StudyRecord:
    """Return the record of a sweep over a grid."""
    axes = parse_axes(list(over), ranges=False)
    recipe = with_swept_techniques(load_recipe("small"), axes)
    rungs, values = make_points(axes, recipe, {})
    sweep = SweepRecord(base=recipe.to_table(), axes=axes, points=values, guess=0.1)
    more: dict[str, Any] = {"plan": "sweep", "contrasts": (), "spending": "declared", "sweep": sweep}
    return make_record([_rung(str(one.name), one.recipe) for one in rungs], seeds, seeds, **more)


def _rung(name: str, recipe: Recipe) -> RungRecord:
    return RungRecord(name=name, adds=(), recipe=recipe.to_table())


def write_record(folder: Path, record: StudyRecord) -> list[Trial]:
    """Write ``study.json``, and return the trials that there should be."""
    (folder / "trials").mkdir(parents=True, exist_ok=True)
    replace(folder / "study.json", json_text(record.model_dump(mode="json")))
    return list(planned_trials(record))


def write_trial(folder: Path, trial: Trial, *, read: bool = False, failure: str | None = None, **more: Any) -> Path:
    """Write a trial that has ended; a thousand of them take a second, as nothing is synced."""
    place = folder / "trials" / trial.id
    place.mkdir(exist_ok=True)
    epochs = trial.recipe.epochs
    final = 0.5 + 0.03 * (trial.seed % 7)
    test = {"test_accuracy": TEST_FIGURE, "test_loss": 0.4} if read and failure is None else {}
    values: dict[str, Any] = {
        "trial": trial.id,
        "seed": trial.seed,
        "techniques": tuple(setting.name for setting in trial.recipe.techniques),
        "status": "finished" if failure is None else "failed",
        "epochs": epochs,
        "selected_epoch": epochs if failure is None else None,
        "train_loss": 0.5,
        "train_accuracy": final,
        "val_loss": 0.6,
        "val_accuracy": final,
        "seconds": 10.0,
        "images_per_second": 1000.0,
        "precision": "float32",
        "failure": failure,
        "versions": {"torch": "2.13.0"},
        "machine": MACHINE,
        "finished": "2026-01-31T13:00:00+00:00",
    }
    result = TrialResult(**values | test | more)
    replace(place / "history.csv", history_text(_rows(trial, result)))
    replace(place / "result.json", json_text(result.model_dump(mode="json")))
    return place


def write_checkpoint(folder: Path, trial: Trial, epochs: int) -> None:
    """Write the part of a checkpoint that tells how far a trial is."""
    place = folder / "trials" / trial.id / "checkpoint" / f"{epochs:08d}"
    place.mkdir(parents=True)
    rows = [_row(epoch, 0.1 + 0.05 * epoch, 2.0 - 0.1 * epoch) for epoch in range(epochs + 1)]
    replace(place / "state.json", json.dumps({"values": {"history": history_text(rows)}}))


def write_readings(folder: Path, record: StudyRecord, trials: Iterable[Trial]) -> None:
    """Write that test was read for some trials."""
    reading = Reading(
        time="2026-01-31T14:00:00+00:00",
        kind="planned",
        look=1,
        plan_hash=record.plan_hash,
        trials=tuple(trial.id for trial in trials),
        ended=True,
    )
    document = {"schema_version": 4, "readings": [reading.model_dump(mode="json")]}
    replace(folder / "test-readings.json", json_text(document))


def write_study(
    folder: Path, record: StudyRecord, *, ended: Callable[[Trial], bool] = lambda _: True, read: bool = False
) -> list[Trial]:
    """Write a study of which some trials have ended."""
    trials = write_record(folder, record)
    for trial in trials:
        if ended(trial):
            write_trial(folder, trial, read=read)
    if read:
        write_readings(folder, record, trials)
    return trials


def replace(path: Path, text: str) -> None:
    """Replace a file in one piece, as everything that is watched is; unsynced, as no test pulls the plug."""
    part = path.with_name(f".{path.name}.made-up.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _row(epoch: int, accuracy: float, loss: float) -> EpochRecord:
    return EpochRecord(epoch, 0.1, loss, loss, accuracy, 0.5, 1000.0, val_loss=loss, val_accuracy=accuracy)


def _rows(trial: Trial, result: TrialResult) -> list[EpochRecord]:
    last, epochs = result.val_accuracy or 0.5, trial.recipe.epochs
    rows = [_row(epoch, 0.1 + (last - 0.1) * epoch / epochs, 2.3 - 1.7 * epoch / epochs) for epoch in range(epochs)]
    end = _row(epochs, last, result.val_loss or 0.6)
    return [*rows, EpochRecord(**{**vars(end), "train_loss": 0.5, "train_accuracy": last})]
