"""What a study would run, for how long, and what it could find: worked out before its first trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import sqrt
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from stepladder.errors import StudyError
from stepladder.studies.design.rules import FEWEST_JUDGED, Look
from stepladder.studies.files.records import StudyRecord
from stepladder.studies.files.store import load_study, planned_trials
from stepladder.studies.judging.statistics import (
    judged_together,
    level_of,
    looks_of,
    overlap_of,
    summarize_rungs,
    weigh_effects,
)
from stepladder.studies.judging.verdicts import POWER, detectable_difference
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.cluster.session import connect
from stepladder.studies.running.dispatch import count_at_a_time
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.timing import Estimate, Range
from stepladder.studies.starts import Start
from stepladder.studies.study import PlannedStudy
from stepladder.training.metrics import Metric
from stepladder.training.unit import Unit

#: What the seeds of two rungs differ by where nobody states it: some 0.3 points on ten thousand test images and more.
_USUAL_SPREAD = {Unit.SHARE: 0.003, Unit.NATS: 0.01}
#: Of costs, so much of the smallest effect of interest: as of shares.
_USUAL_PART = 0.6

#: Share of test images on which the difference of two rungs changes by chance from seed to seed. Seen were 0.02 to
#: 0.09, from digits to photographs.
_USUAL_SHARE = 0.04


@dataclass(frozen=True)
class Spread:
    """The standard deviation of paired differences between two rungs, in the metric's unit.

    Attributes:
        pilot: the study whose ``comparisons`` it is the median of; None where it was stated, or nobody stated one.
        usual: whether nobody stated one.
    """

    sd: float
    pilot: Path | None = None
    comparisons: int = 0
    usual: bool = False


@dataclass(frozen=True)
class Forecast:
    """A study that nobody has run.

    Attributes:
        record: its plan.
        estimate: how long trials will probably take here.
        at_a_time: how many trials will run at the same time at the first look, and at the last.
        fewest, most: trials at the first look and at the last; equal for a fixed number of seeds.
        detectable: smallest true difference that is found with a chance of :data:`~verdicts.POWER`, at each look's
            seeds, in the metric's unit; None where one seed shows no spread.
        comparisons: that share the error rate.
        instead: how else these images could be learned from, where they are photographs.
    """

    record: StudyRecord
    metric: Metric
    looks: tuple[Look, ...]
    estimate: Estimate
    at_a_time: tuple[int, int]
    fewest: int
    most: int
    spread: Spread
    detectable: dict[int, float | None]
    comparisons: int
    power: float = POWER
    instead: tuple[Start, ...] = ()

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds that one trial will probably take, by rung, beside the others that run at the same time."""
        return self.estimate.seconds

    @property
    def shortest(self) -> Range:
        """Seconds of the study where it ends at the first look, with test and the report."""
        return self.estimate.study([*self.seconds] * self.looks[0].seeds, self.at_a_time[0])

    @property
    def longest(self) -> Range:
        """Seconds of the study where every look is taken."""
        return self.estimate.study([*self.seconds] * self.looks[-1].seeds, self.at_a_time[1])

    def __repr__(self) -> str:
        trials = f"{self.fewest}" if self.fewest == self.most else f"{self.fewest} to {self.most}"
        return (
            f"<Forecast {self.record.plan} on {self.record.data.name}: {trials} trials, {self.shortest.low:.0f} to "
            f"{self.longest.high:.0f} s>"
        )

    def to_document(self) -> dict[str, Any]:
        """Return it as plain values for programs."""
        return {
            "study": self.record.model_dump(mode="json"),
            "trials": {"fewest": self.fewest, "most": self.most},
            "seconds": {"fewest": asdict(self.shortest), "most": asdict(self.longest)},
            "trials_at_a_time": self.at_a_time[0],
            "seconds_a_trial": dict(self.seconds),
            "measurement": {
                "seconds": self.estimate.took,
                "busy": self.estimate.busy,
                "processor_seconds": self.estimate.processor([*self.seconds] * self.looks[0].seeds, self.at_a_time[0]),
            },
            "sd": self.spread.sd,
            "detectable": self.detectable,
            "instead": [start.to_document() for start in self.instead],
        }


def forecast_study(
    planned: PlannedStudy, spread: Spread | None, execution: Execution, callbacks: Callbacks
) -> Forecast:
    """Return what a planned study would take and could find, by a short measurement of its recipes.

    Args:
        spread: of paired differences; a usual one for so many test images where nobody states it.
    """
    record, level = planned.record, level_of(planned.record)
    if execution.cluster is not None:
        connect(execution.cluster).tell(callbacks.message)
    spread = spread or usual_spread(record.measured_by, _test_images(planned))
    looks = looks_of(record, level, planned.most) if planned.most >= FEWEST_JUDGED else (Look(1, 1.0),)
    first = planned_trials(record)
    estimate = planned.estimate(first, execution, callbacks)
    most = len(record.rungs) * looks[-1].seeds

    def at_a_time(trials: int) -> int:
        seconds = sum(estimate.seconds.values()) * trials / len(record.rungs)
        memory = record.machine.memory_gb
        return count_at_a_time(execution, planned.compute, trials, seconds, memory)

    return Forecast(
        record=record,
        metric=record.measured_by,
        looks=looks,
        estimate=estimate,
        at_a_time=(at_a_time(len(first)), at_a_time(most)),
        fewest=len(first),
        most=most,
        spread=spread,
        detectable={
            look.seeds: detectable_difference(spread.sd, look.seeds, level * look.share, overlap_of(record))
            for look in looks
        },
        comparisons=judged_together(record),
    )


def usual_spread(metric: Metric, test_images: int) -> Spread:
    """Return a usual standard deviation of paired differences on so many test images (of the metric's own count).

    Of a share it has two parts: what seeds do to the networks, and that two networks differ by chance on a few of the
    test images, which is binomial and all that counts where these are few.
    """
    seeds = _USUAL_SPREAD.get(metric.unit, _USUAL_PART * metric.smallest_effect)
    return Spread(sqrt(seeds**2 + _USUAL_SHARE / test_images) if metric.share else seeds, usual=True)


def _test_images(planned: PlannedStudy) -> int:
    """Return how many test images one step of the metric is a share of."""
    classes = len(planned.record.data.class_names)
    counts = np.bincount(planned.splits.test.labels, minlength=classes)
    return max(1, planned.record.measured_by.images(counts.tolist()))


def choose_spread(spread: float | Path | str | None, metric: str) -> Spread | None:
    """Return the standard deviation of paired differences, as stated or as a pilot study has it; None for neither.

    Raises:
        StudyError: the number is not above 0, or the pilot is judged by another metric or shows no spread.
    """
    if spread is None:
        return None
    if isinstance(spread, int | float):
        if not 0 < spread < float("inf"):
            raise StudyError(f"`spread` is {spread:g}; it must be above 0")
        return Spread(spread)
    pilot = Path(spread)
    study = load_study(pilot)
    if study.record.metric != metric:
        raise StudyError(
            f"the pilot {pilot} was judged by {study.record.metric}, not by {metric}; give `spread` a number instead"
        )
    spreads: Sequence[float] = [
        effect.sd for effect in weigh_effects(study, summarize_rungs(study)) if effect.sd and not effect.is_interaction
    ]
    if not spreads:
        raise StudyError(
            f"the pilot {pilot} has no comparison with two seeds; give `spread` a number, or a study of two seeds"
        )
    return Spread(median(spreads), pilot, len(spreads))
