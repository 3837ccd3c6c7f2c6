"""What the points of a sweep have on validation: mean and spread, which learned, and which cannot be told apart.

The best point is chosen by looking, so it is compared with the others by Tukey's method (The Problem of Multiple
Comparisons, 1953), which holds for all pairs of points at once. The spread is the one that all points share: what is
left of the accuracies once each point's mean and each seed's are taken out (randomized blocks, seeds being the blocks).
With one seed there is no spread, and nothing can be told.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import fmean, stdev

import numpy as np
from scipy import stats

from stepladder.study.design.sweep_records import Value
from stepladder.study.files.records import SavedStudy, TrialResult
from stepladder.study.judging.verdicts import rounding_sd

#: Chance of telling any two points apart that are alike.
ALPHA = 0.05
#: An accuracy that guessing would reach with this chance is no better than guessing.
_CHANCE = 0.025


@dataclass(frozen=True)
class Point:
    """One point of a sweep; accuracies are fractions of 1, on validation images, after the last epoch.

    Attributes:
        name: as its rung has it.
        values: in the order of the axes.
        scores: accuracy by seed; a failed trial counts as guessing.
        failed: seeds that failed, mostly since their loss was not finite.
        at_chance: other seeds that ended no better than guessing.
        missing: seeds that have not ended.
        pruned: whether a search gave it up, so that its missing seeds will not come.
        train: mean accuracy on plain training images, of the finished seeds.
        seconds: mean wall time of a finished trial.
        broken: those of ``failed`` that ended for another reason than the loss, as an error.
    """

    name: str
    values: tuple[Value, ...]
    scores: dict[int, float]
    failed: tuple[int, ...]
    at_chance: tuple[int, ...]
    missing: int
    pruned: bool
    train: float | None
    seconds: float | None
    broken: tuple[int, ...] = ()

    @property
    def diverged(self) -> int:
        """Seeds whose loss was not finite."""
        return len(self.failed) - len(self.broken)

    @property
    def n(self) -> int:
        """Seeds that have ended."""
        return len(self.scores)

    @property
    def mean(self) -> float | None:
        """Of the scores; None without any."""
        return fmean(self.scores.values()) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (n - 1) of the scores; None below two."""
        return stdev(self.scores.values()) if self.n > 1 else None

    @property
    def learned(self) -> bool:
        """Whether all its seeds have ended, and every one better than guessing."""
        return self.n > 0 and not (self.missing or self.failed or self.at_chance)


@dataclass(frozen=True)
class Best:
    """The point with the highest mean, and the others that learned.

    Attributes:
        points: the best one, or several of the same mean to the digit.
        ties: others that cannot be told from it; with one seed, all of them.
        beaten: those that can.
        margin: smallest difference of means that tells two points apart, a fraction of 1; None with one seed.
    """

    points: tuple[Point, ...]
    ties: tuple[Point, ...]
    beaten: tuple[Point, ...]
    margin: float | None

    @property
    def point(self) -> Point:
        """The first of the best."""
        return self.points[0]


def is_broken(result: TrialResult) -> bool:
    """Whether a trial failed for another reason than a loss that was not finite: a hook raised, the memory ran out."""
    return result.failure is not None and "not finite" not in result.failure


def summarize_points(study: SavedStudy) -> tuple[Point, ...]:
    """Return every point of a sweep, in the plan's order."""
    record = study.record
    assert record.sweep is not None, "this study is no sweep"
    bar = chance_bar(study)
    pruned = record.sweep.search.pruned if record.sweep.search else ()
    trials: dict[str, list[tuple[int, float, bool, float | None, float]]] = {}
    broken: dict[str, list[int]] = {}
    for trial in study.trials:
        result = trial.result
        failed = result.status == "failed" or result.val_accuracy is None
        score = record.sweep.guess if failed or result.val_accuracy is None else result.val_accuracy
        row = (trial.seed, score, failed, None if failed else result.train_accuracy, result.seconds)
        trials.setdefault(trial.rung, []).append(row)
        if is_broken(result):
            broken.setdefault(trial.rung, []).append(trial.seed)
    points = []
    for rung, values in zip(record.rungs, record.sweep.points, strict=True):
        rows = trials.get(rung.name, [])
        train = [accuracy for *_, accuracy, _ in rows if accuracy is not None]
        seconds = [took for *_, failed, _, took in rows if not failed]
        points.append(
            Point(
                name=rung.name,
                values=values,
                scores={seed: score for seed, score, *_ in rows},
                failed=tuple(seed for seed, _, failed, *_ in rows if failed),
                at_chance=tuple(seed for seed, score, failed, *_ in rows if not failed and score <= bar),
                missing=len(record.seeds) - len(rows),
                pruned=rung.name in pruned,
                train=fmean(train) if train else None,
                seconds=fmean(seconds) if seconds else None,
                broken=tuple(broken.get(rung.name, ())),
            )
        )
    return tuple(points)


def chance_bar(study: SavedStudy) -> float:
    """Return the accuracy that guessing passes with a chance of 2.5 % at most, on as many validation images.

    Guessing is naming the largest class always; binomial.
    """
    assert study.record.sweep is not None
    images = study.record.data.counts["validation"]
    return float(stats.binom.ppf(1 - _CHANCE, images, study.record.sweep.guess)) / images


def find_best(points: Sequence[Point], images: int) -> Best | None:
    """Return the best of the points that learned, and which others cannot be told from it; None where none learned.

    Args:
        images: validation images: accuracies come in steps of one.
    """
    learned = [point for point in points if point.learned]
    if not learned:
        return None
    means = {point.name: fmean(point.scores.values()) for point in learned}
    top = max(means.values())
    first = tuple(point for point in learned if means[point.name] == top)
    others = [point for point in learned if means[point.name] < top]
    margin = tell_apart(learned, images)
    ties = tuple(point for point in others if margin is None or top - means[point.name] <= margin)
    beaten = tuple(point for point in others if margin is not None and top - means[point.name] > margin)
    return Best(first, ties, beaten, margin)


def tell_apart(points: Sequence[Point], images: int) -> float | None:
    """Return the smallest difference of two means that is evidence of one; None below two points or two seeds.

    q(1 - α; k, (k - 1)(n - 1)) · s / √n for k points of n seeds, q of the studentized range, s² the mean square that is
    left in the two-way layout of points and seeds (Tukey 1953; Kutner et al., Applied Linear Statistical Models, 5th
    edition, section 21.5). s is taken as at least that of rounding to whole images.
    """
    k, n = len(points), points[0].n if points else 0
    if k < 2 or n < 2:
        return None
    scores = np.array([[point.scores[seed] for seed in sorted(point.scores)] for point in points])
    left = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0, keepdims=True) + scores.mean()
    degrees = (k - 1) * (n - 1)
    s = max(math.sqrt(float((left**2).sum()) / degrees), rounding_sd(images, (1.0,)))
    return _studentized_range(k, degrees) * s / math.sqrt(n)


@cache
def _studentized_range(k: int, degrees: int) -> float:
    """Its quantile at 1 - α; scipy integrates for some tenths of a second."""
    return float(stats.studentized_range.ppf(1 - ALPHA, k, degrees))
