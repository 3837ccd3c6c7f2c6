"""The curves of one rung, or of a training alone, as a page draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from stepladder.report.units import Scale
from stepladder.studies.files.records import SavedTrial, StudyRecord
from stepladder.studies.files.run_history import RunEpoch
from stepladder.studies.judging.curves import mean_curve
from stepladder.training.history import EpochRecord
from stepladder.web.studies.cells import FAILED, FINISHED, PAUSED, RUNNING, Cell


def curves_of(cells: Sequence[Cell], record: StudyRecord, *, shows_test: bool) -> dict[str, Any]:
    """Return mean and band over the finished trials of a rung, and those that have not finished each alone.

    Validation is shown as it comes; a test curve, where no image was left for validation, when the study has ended.

    Args:
        cells: whose histories were read.
        shows_test: whether the study has ended.
    """
    own = record.scores is None
    watched = ""
    # Of a command that reports one score, that is judged as test is, and so is its curve.
    chosen_by = record.validation > 0 if own else any(one.result and one.result.val_score is not None for one in cells)
    if chosen_by or (shows_test and not own):
        watched = "val"
    elif shows_test:
        watched = "test"
    # What a command is judged by stands where accuracy does.
    score = _Column("accuracy", 100) if own else _Column("score", Scale(record.measured_by.unit).factor)
    return _draw(cells, watched, score)


def curves_of_training(cell: Cell) -> dict[str, Any]:
    """Return the same of a network that was trained alone, or still is: it has no seed beside it to be told from.

    Validation is shown as it comes; a test curve, where no image was left for validation, when the training has ended.
    """
    rows = cell.history or cell.epochs
    watched = watched_split(rows)
    drawn = _draw([cell], "" if watched == "test" and not cell.ended else watched, _Column("accuracy", 100))
    return {**drawn, "alone": [{**one, "seed": None} for one in drawn["alone"]]}


def watched_split(rows: Sequence[EpochRecord]) -> str:
    """Return which split a training's history follows beside its training images: ``val``, ``test`` or none."""
    for split in ("val", "test"):
        if any(getattr(row, f"{split}_accuracy") is not None for row in rows):
            return split
    return ""


def _draw(cells: Sequence[Cell], watched: str, score: _Column) -> dict[str, Any]:
    """Return the curves of training images and of the split ``watched``; without one, of training images alone."""
    splits = {"train": "train"} | ({"watched": watched} if watched else {})
    columns = {
        f"{split}_{measure}": replace(column, name=f"{prefix}_{column.name}")
        for split, prefix in splits.items()
        for measure, column in (("accuracy", score), ("loss", _Column("loss", 1)))
    }
    finished = [
        SavedTrial(cell.trial.rung, cell.trial.seed, cell.folder, cell.result, cell.history or (), cell.reported)
        for cell in cells
        if cell.state == FINISHED and cell.result is not None and (cell.history or cell.reported)
    ]
    return {
        "n": len(finished),
        **{name: _mean(finished, column) for name, column in columns.items()},
        "alone": [
            _alone(cell, columns)
            for cell in cells
            if cell.state in (RUNNING, PAUSED, FAILED) and (cell.history or cell.epochs or cell.reported)
        ],
    }


@dataclass(frozen=True)
class _Column:
    """A column of histories, and what a value of it is multiplied by to stand on its axis: 100 for percent."""

    name: str
    factor: int

    def plain(self, values: Iterable[float]) -> list[float]:
        """Return values as a page has them, with the digits that are read."""
        return [round(self.factor * value, 2 if self.factor == 100 else 4) for value in values]


def _alone(cell: Cell, columns: Mapping[str, _Column]) -> dict[str, Any]:
    rows = cell.history or cell.epochs or cell.reported
    return {
        "seed": cell.trial.seed,
        "state": cell.state,
        **{name: _line(rows, column) for name, column in columns.items()},
    }


def _mean(trials: Sequence[SavedTrial], column: _Column) -> dict[str, list[float]]:
    curve = mean_curve(trials, column.name)
    return {
        "x": [float(x) for x in curve.epochs],
        "mean": column.plain(curve.mean),
        "low": column.plain(curve.low),
        "high": column.plain(curve.high),
    }


def _line(rows: Sequence[EpochRecord] | Sequence[RunEpoch], column: _Column) -> dict[str, list[float]]:
    """Return one trial's own curve, over the epochs in which it was a number."""
    each = ((row.epoch, getattr(row, column.name)) for row in rows)
    known = [(epoch, value) for epoch, value in each if value is not None and math.isfinite(value)]
    return {"x": [float(epoch) for epoch, _ in known], "mean": column.plain(value for _, value in known)}
