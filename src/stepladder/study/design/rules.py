"""What a study is judged by, settled before its first trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stepladder.errors import StudyError, unknown
from stepladder.study.design.metrics import find_metric

#: Trials a rung at most: more is a slip of the finger.
MOST_SEEDS = 1000

#: Which epoch's weights a trial keeps.
SELECTIONS = ("last", "best-val")

Seeds = int | Literal["auto"]


@dataclass(frozen=True)
class Rules:
    """Metric, error rate and effect of interest; part of the plan and of its hash.

    Attributes:
        metric: what rungs are compared by, a name in ``metrics.METRICS``.
        alpha: chance of any wrong "helped" or "hurt" in the study, 0 to 1.
        smallest_effect: smallest effect of interest, in the metric's unit (a fraction of 1 or nats); None takes the
            metric's own.
        select: ``last``, or ``best-val``: keep the weights of the epoch with the highest validation accuracy.
        max_seeds: the last look of ``--seeds auto``.
        max_trials: a factorial larger than this is thinned out to a balanced fraction.
    """

    metric: str = "accuracy"
    alpha: float = 0.05
    smallest_effect: float | None = None
    select: str = "last"
    max_seeds: int = 10
    max_trials: int | None = None

    @property
    def effect_of_interest(self) -> float:
        """The smallest effect of interest, the metric's own where none was named."""
        return find_metric(self.metric).smallest_effect if self.smallest_effect is None else self.smallest_effect

    def check(self, seeds: Seeds, validation: float) -> None:
        """Refuse what cannot be.

        Raises:
            StudyError: a value out of range, or one that needs validation images where there are none.
        """
        metric = find_metric(self.metric)
        if seeds != "auto" and not 1 <= seeds <= MOST_SEEDS:
            raise StudyError(f"--seeds is {seeds}; it must be 1 to {MOST_SEEDS} or auto, and 3 give a first interval")
        if seeds == "auto" and not 2 <= self.max_seeds <= MOST_SEEDS:
            raise StudyError(f"--max-seeds is {self.max_seeds}; it must be 2 to {MOST_SEEDS}")
        if not 0 < self.alpha <= 0.5:
            raise StudyError(f"--alpha is {self.alpha:g}; it must be above 0 and at most 0.5, and 0.05 is usual")
        if not 0 <= self.effect_of_interest < float("inf"):
            raise StudyError(f"--smallest-effect is {self.smallest_effect}; it must be 0 or more")
        if self.max_trials is not None and self.max_trials < 1:
            raise StudyError(f"--max-trials is {self.max_trials}; it must be at least 1")
        if self.select not in SELECTIONS:
            raise StudyError(unknown("selection", self.select, SELECTIONS))
        if validation == 0 and self.select == "best-val":
            raise StudyError("--select best-val chooses by validation images; give --validation a share above 0")
        if validation == 0 and metric.name.endswith("_calibrated"):
            raise StudyError(
                f"--metric {metric.name} fits a temperature on validation images; give --validation a share above 0"
            )
