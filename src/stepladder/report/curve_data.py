"""The curves of a study as numbers, for whatever draws them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from stepladder.study.files.records import SavedStudy, SavedTrial


@dataclass(frozen=True)
class MeanCurve:
    """Mean, lowest and highest by epoch."""

    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]


def watched_prefix(study: SavedStudy) -> str:
    """Return how the columns of the second split in ``history.csv`` begin: validation, or test where there is none."""
    return "test" if study.record.validation == 0 else "val"


def mean_curve(trials: Iterable[SavedTrial], column: str) -> MeanCurve:
    """Return a column of ``history.csv`` over the epochs that every trial measured."""
    values: dict[int, list[float]] = {}
    for trial in trials:
        for row in trial.history:
            value = getattr(row, column)
            if value is not None and math.isfinite(value):
                values.setdefault(row.epoch, []).append(value)
    most = max((len(each) for each in values.values()), default=0)
    epochs = sorted(epoch for epoch, each in values.items() if len(each) == most)
    return MeanCurve(
        epochs,
        [math.fsum(values[epoch]) / most for epoch in epochs],
        [min(values[epoch]) for epoch in epochs],
        [max(values[epoch]) for epoch in epochs],
    )


def loss_ceiling(study: SavedStudy) -> tuple[float, bool]:
    """Return where the loss axis ends and whether that cuts a curve.

    Guessing costs ln(classes). Finished curves are shown up to four times that; a failed one, which may pass 10⁶ before
    it stops, does not stretch the axis of the others.
    """
    guess = math.log(max(len(study.record.data.class_names), 2))
    highest = {"finished": 0.0, "failed": 0.0}
    for trial in study.trials:
        for prefix in ("train", watched_prefix(study)):
            curve = mean_curve([trial], f"{prefix}_loss")
            highest[trial.result.status] = max([highest[trial.result.status], *curve.high])
    ceiling = min(1.06 * max(highest["finished"], 1.1 * guess), 4 * guess)
    return ceiling, max(highest.values()) > ceiling
