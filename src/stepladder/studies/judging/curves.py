"""The curves of a study: mean, lowest and highest over the seeds, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stepladder.studies.files.records import SavedStudy, SavedTrial

Measure = Literal["accuracy", "loss"]
_MEASURES: tuple[Measure, ...] = ("accuracy", "loss")


@dataclass(frozen=True)
class MeanCurve:
    """Mean, lowest and highest by epoch; accuracies are fractions of 1, losses nats an image.

    Of a user's own command, "accuracy" is the metric that decides, in its own unit, and a loss what it calls so.
    """

    epochs: list[int]
    mean: list[float]
    low: list[float]
    high: list[float]

    def at(self, epoch: int) -> float | None:
        """Return the mean at an epoch; None where not every trial measured it."""
        return dict(zip(self.epochs, self.mean, strict=True)).get(epoch)


@dataclass(frozen=True)
class SplitCurves:
    """Accuracy and loss on two splits: ``train``, on plain training images in evaluation mode, and ``watched``."""

    train: dict[Measure, MeanCurve]
    watched: dict[Measure, MeanCurve]


@dataclass(frozen=True)
class RungCurves:
    """The curves of one rung.

    Attributes:
        finished: how many seeds finished; ``mean`` is over them.
        failed: the curves of each failed trial alone, as far as it came, by seed.
    """

    rung: str
    finished: int
    mean: SplitCurves
    failed: dict[int, SplitCurves]

    def __repr__(self) -> str:
        return f"<RungCurves of {self.rung}: {self.finished} seeds finished, {len(self.failed)} failed>"


@dataclass(frozen=True)
class Curves:
    """The curves of a study.

    Attributes:
        watched: the split beside training: ``validation``, or ``test`` where no image was left for validation.
        rungs: in plan order.
        last_epoch: of any trial.
        loss_ceiling: where an axis of losses should end: guessing costs ln(classes), and finished curves are shown up
            to four times that; a failed one, which may pass 10⁶ before it stops, does not stretch the axis.
        clipped: whether that cuts a curve.
        measures: what there are curves of: of a user's own command, what it told.
        score_range: of an axis of accuracies, fractions of 1; of another metric, from the lowest to the highest.
        loss_floor: where an axis of losses begins.
    """

    watched: Literal["validation", "test"]
    rungs: tuple[RungCurves, ...]
    last_epoch: int
    loss_ceiling: float
    clipped: bool
    measures: tuple[Measure, ...] = ("accuracy", "loss")
    score_range: tuple[float, float] = (0.0, 1.0)
    loss_floor: float = 0.0

    def __repr__(self) -> str:
        return f"<Curves of {len(self.rungs)} rungs over {self.last_epoch} epochs, train and {self.watched}>"


def draw_up_curves(study: SavedStudy) -> Curves:
    """Return the curves of a study, finished or not."""
    if study.record.scores is not None:
        return _curves_of_commands(study)
    prefix = "test" if study.record.validation == 0 else "val"
    rungs = []
    for rung in study.record.rungs:
        trials = study.of_rung(rung.name)
        finished = [trial for trial in trials if trial.result.status == "finished"]
        failed = {trial.seed: _both([trial], prefix) for trial in trials if trial.result.status == "failed"}
        rungs.append(RungCurves(rung.name, len(finished), _both(finished, prefix), failed))
    guess = math.log(max(len(study.record.data.class_names), 2))
    highest = {"finished": 0.0, "failed": 0.0}
    for trial in study.trials:
        both = _both([trial], prefix)
        for curve in (both.train["loss"], both.watched["loss"]):
            highest[trial.result.status] = max([highest[trial.result.status], *curve.high])
    ceiling = min(1.06 * max(highest["finished"], 1.1 * guess), 4 * guess)
    return Curves(
        watched="test" if prefix == "test" else "validation",
        rungs=tuple(rungs),
        last_epoch=max((row.epoch for trial in study.trials for row in trial.history), default=0),
        loss_ceiling=ceiling,
        clipped=max(highest.values()) > ceiling,
    )


def _curves_of_commands(study: SavedStudy) -> Curves:
    """Return what a command told of its training, on axes that nothing is known of but their figures."""
    rungs = []
    for rung in study.record.rungs:
        trials = [trial for trial in study.of_rung(rung.name) if trial.told]
        finished = [trial for trial in trials if trial.result.status == "finished"]
        failed = {trial.seed: _both([trial], "val", "score") for trial in trials if trial.result.status == "failed"}
        rungs.append(RungCurves(rung.name, len(finished), _both(finished, "val", "score"), failed))
    finished_curves = [rung.mean for rung in rungs]
    failed_curves = [curves for rung in rungs for curves in rung.failed.values()]
    scores = _figures([*finished_curves, *failed_curves], "accuracy")
    losses, failed_losses = _figures(finished_curves, "loss"), _figures(failed_curves, "loss")
    # A failed run, which may pass any bound before it stops, does not stretch the axis.
    ceiling = 1.06 * max(losses or failed_losses, default=0.0) or 1.0
    told = {"accuracy": bool(scores), "loss": bool(losses or failed_losses)}
    room = 0.05 * (max(scores) - min(scores)) or 0.5 if scores else 0.0
    share = study.record.measured_by.share
    return Curves(
        watched="validation",
        rungs=tuple(rungs),
        last_epoch=max((row.epoch for trial in study.trials for row in trial.told), default=0),
        loss_ceiling=ceiling,
        clipped=max(failed_losses, default=0.0) > ceiling,
        measures=tuple(measure for measure in _MEASURES if told[measure]),
        score_range=(0.0, 1.0) if share or not scores else (min(scores) - room, max(scores) + room),
        loss_floor=min([0.0, *losses, *failed_losses]),
    )


def _figures(curves: Iterable[SplitCurves], measure: Measure) -> list[float]:
    """Return the lowest and the highest of every curve, epoch by epoch."""
    each = (curve for both in curves for curve in (both.train[measure], both.watched[measure]))
    return [value for curve in each for value in (*curve.low, *curve.high)]


def mean_curve(trials: Iterable[SavedTrial], column: str) -> MeanCurve:
    """Return a column of ``history.csv`` over the epochs that every trial measured."""
    values: dict[int, list[float]] = {}
    for trial in trials:
        for row in trial.history or trial.told:
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


def _both(trials: list[SavedTrial], prefix: str, score: str = "accuracy") -> SplitCurves:
    def of(split: str) -> dict[Measure, MeanCurve]:
        return {
            "accuracy": mean_curve(trials, f"{split}_{score}"),
            "loss": mean_curve(trials, f"{split}_loss"),
        }

    return SplitCurves(of("train"), of(prefix))
