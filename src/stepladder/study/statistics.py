"""What the trials of a study say: a mean and a spread a rung, and paired differences with their interval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from statistics import stdev  # exact: no rounding where all seeds agree

from scipy import stats

from stepladder.study.records import SavedStudy

#: Confidence of every interval here.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class RungSummary:
    """Test accuracies of one rung, as fractions.

    Attributes:
        accuracies: test accuracy by seed, finished trials only.
        failed: seeds whose trial failed; they are counted and shown, never dropped silently.
        mean: over the finished seeds; None without any.
        sd: sample standard deviation (n - 1) over the finished seeds; None below two.
    """

    rung: str
    adds: tuple[str, ...]
    accuracies: dict[int, float]
    failed: tuple[int, ...]
    mean: float | None
    sd: float | None

    @property
    def n(self) -> int:
        """Finished seeds."""
        return len(self.accuracies)


@dataclass(frozen=True)
class Comparison:
    """One rung against the rung below it, paired by seed; differences are fractions (0.01 is one point).

    Attributes:
        differences: test accuracy of ``rung`` less that of ``below``, by seed, where both finished.
        mean: of the differences; None without any.
        interval: two-sided 95 % t-interval of the mean difference; None below two pairs. It is not adjusted for the
            number of comparisons, so it is no verdict.
    """

    rung: str
    below: str
    differences: dict[int, float]
    mean: float | None
    interval: tuple[float, float] | None

    @property
    def n(self) -> int:
        """Pairs."""
        return len(self.differences)


def summarize_rungs(study: SavedStudy) -> tuple[RungSummary, ...]:
    """Summarize every rung of the plan, in its order."""
    summaries = []
    for rung in study.record.rungs:
        trials = study.of_rung(rung.name)
        finished = {
            trial.seed: trial.result.test_accuracy
            for trial in trials
            if trial.result.status == "finished" and trial.result.test_accuracy is not None
        }
        failed = tuple(trial.seed for trial in trials if trial.result.status == "failed")
        values = list(finished.values())
        summaries.append(
            RungSummary(
                rung=rung.name,
                adds=rung.adds,
                accuracies=finished,
                failed=failed,
                mean=math.fsum(values) / len(values) if values else None,
                sd=stdev(values) if len(values) > 1 else None,
            )
        )
    return tuple(summaries)


def compare_with_below(rungs: tuple[RungSummary, ...]) -> tuple[Comparison, ...]:
    """Compare each rung with the one below it, seed by seed."""
    return tuple(_compare(rung, below) for below, rung in pairwise(rungs))


def paired_interval(differences: list[float]) -> tuple[float, float] | None:
    """Two-sided 95 % t-interval of the mean of paired differences; None below two.

    mean ± t(1 - α/2, n - 1) · s / √n (Student, "The Probable Error of a Mean", Biometrika 1908). Equal differences
    give an interval of width zero.
    """
    if len(differences) < 2:
        return None
    mean = math.fsum(differences) / len(differences)
    error = stdev(differences) / math.sqrt(len(differences))
    if error == 0:
        return mean, mean
    low, high = stats.t.interval(CONFIDENCE, len(differences) - 1, loc=mean, scale=error)
    return float(low), float(high)


def _compare(rung: RungSummary, below: RungSummary) -> Comparison:
    differences = {
        seed: accuracy - below.accuracies[seed]
        for seed, accuracy in rung.accuracies.items()
        if seed in below.accuracies
    }
    values = list(differences.values())
    return Comparison(
        rung=rung.rung,
        below=below.rung,
        differences=differences,
        mean=math.fsum(values) / len(values) if values else None,
        interval=paired_interval(values),
    )
