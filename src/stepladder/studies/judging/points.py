"""Everything that may be said of a sweep, worked out once: its points on validation, the best, and where that lies.

The best point is chosen by looking, so it is compared with the others by Tukey's method (The Problem of Multiple
Comparisons, 1953), which holds for all pairs of points at once. The spread is the one that all points share: what is
left of the accuracies once each point's mean and each seed's are taken out (randomized blocks, seeds being the blocks);
two points that spread more must lie further apart.
With one seed there is no spread, and no two points can be told apart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache, partial
from itertools import pairwise
from statistics import fmean, stdev
from typing import Any

import numpy as np

from stepladder.errors import RecipeError, printable
from stepladder.recipe import Recipe, change_settings, parse_recipe
from stepladder.studies.design.sweeps import BATCH, RATE, AxisRecord, SweepRecord, Value, as_text, is_number
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.curves import Curves, draw_up_curves
from stepladder.studies.judging.learning import advise_study
from stepladder.studies.judging.trial_facts import TrialFacts, gather_trial_facts
from stepladder.studies.judging.verdicts import rounding_sd
from stepladder.training.metrics import Metric

#: Chance of telling any two points apart that are alike.
ALPHA = 0.05
#: An accuracy that guessing would reach with this chance is no better than guessing.
_CHANCE = 0.025
#: Neighbors in a grid that are further apart than this are taken for steps of a factor.
_FACTOR = 1.5
#: This close to an end of a range, as a share of it, counts as the edge.
_NEAR = 0.05


@dataclass(frozen=True)
class Point:
    """One point of a sweep; figures are those of the plan's metric on validation images, after the last epoch.

    Attributes:
        name: as its rung has it.
        values: in the order of the axes.
        scores: by seed; one that diverged counts as guessing, and one that was stopped is left out.
        failed: seeds that failed, mostly since their loss was not finite.
        at_chance: other seeds that ended no better than guessing.
        missing: seeds that have not ended.
        pruned: whether a search gave it up, so that its missing seeds will not come.
        train: mean accuracy on plain training images, of the finished seeds.
        seconds: mean wall time of a finished trial.
        stopped: those of ``failed`` that a limit, the machine or an exception ended, which says nothing of the point.
        sign: 1 where a higher score is better, else -1.
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
    stopped: tuple[int, ...] = ()
    sign: int = 1

    @property
    def worth(self) -> float:
        """The mean, turned so that higher is better; below everything without any score."""
        return -math.inf if self.mean is None else self.sign * self.mean

    @property
    def diverged(self) -> int:
        """Seeds whose loss was not finite."""
        return len(self.failed) - len(self.stopped)

    @property
    def n(self) -> int:
        """Seeds that have ended and say something."""
        return len(self.scores)

    @property
    def ended(self) -> int:
        """Seeds that have ended, however."""
        return self.n + len(self.stopped)

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
    """The point with the best mean, and the others that learned.

    Attributes:
        points: the best one, or several of the same mean to the digit.
        ties: others that cannot be told from it; with one seed, all of them.
        beaten: those that can.
        margin: smallest difference of means that tells two points apart; None with one seed.
    """

    points: tuple[Point, ...]
    ties: tuple[Point, ...]
    beaten: tuple[Point, ...]
    margin: float | None

    @property
    def point(self) -> Point:
        """The first of the best."""
        return self.points[0]

    @property
    def by_chance(self) -> bool:
        """Whether its place may be chance, since other points learned and each has one seed."""
        return self.margin is None and len(self.points) == 1 and bool(self.ties)


@dataclass(frozen=True)
class Unlearned:
    """What did not learn.

    Attributes:
        key: the learning rate where it is swept, else the first key.
        values: of that key, at which nothing learned whatever the other keys.
        trials, diverged: how many trials ran at those values, and how many of them ended in a loss that was not finite.
        points: the points at other values of which some seed failed or ended no better than guessing.
        stopped: why the first trial of ``points`` that was stopped was; None without one.
    """

    key: str
    values: tuple[Value, ...]
    trials: int
    diverged: int
    points: tuple[Point, ...]
    stopped: str | None


@dataclass(frozen=True)
class Edge:
    """The best point has the smallest or the largest value of a key that was tried, so a better one may lie beyond it.

    Attributes:
        largest: which of the two.
        further: the value to try next.
    """

    axis: AxisRecord
    largest: bool
    further: Value


class Trend(StrEnum):
    """How the best learning rate goes as another key grows."""

    SAME = "same"
    RISES = "rises"
    FALLS = "falls"
    NEITHER = "neither"


@dataclass(frozen=True)
class RateMove:
    """The best learning rate at each value of another key of a grid.

    Attributes:
        best: pairs of a value of ``key`` and the rate of the best point there; of points that differ in further keys,
            the best.
        missing: values at which no point learned with all its seeds.
        told: whether at the first and at the last value of ``best`` each one's rate is told apart from the other's.
    """

    key: str
    best: tuple[tuple[Value, Value], ...]
    missing: tuple[Value, ...]
    trend: Trend
    told: bool


@dataclass(frozen=True)
class SweepFindings:
    """All that may be said of a sweep, on validation images. Test is never read.

    Attributes:
        study: as its folder holds it.
        metric: what decides.
        points: in the plan's order.
        best: the best point and its rivals; None where no point learned with all its seeds.
        chance_level: an accuracy up to this is no better than guessing; None where another program measured, as
            nothing is known of its images.
        unlearned: what diverged, failed or ended at chance.
        edges: keys of which the best point has the smallest or largest value.
        rates: how the best learning rate moves with the other keys of a grid.
        curves: of every point.
        facts: what the trials took, failed at and warned of.
        advice: what to try where no trial learned anything, a sentence each; empty where one did.
    """

    study: SavedStudy
    metric: Metric
    points: tuple[Point, ...]
    best: Best | None
    chance_level: float | None
    unlearned: Unlearned
    edges: tuple[Edge, ...]
    rates: tuple[RateMove, ...]
    curves: Curves
    facts: TrialFacts
    advice: tuple[str, ...] = ()

    @property
    def nothing_learned(self) -> bool:
        """Whether every trial so far diverged or ended no better than guessing; False where one failed otherwise."""
        return learned_nothing(self.points)

    @property
    def sweep(self) -> SweepRecord:
        """The keys, their values, and the search."""
        return sweep_of(self.study)

    @property
    def validation_images(self) -> int | None:
        """What every accuracy is a share of; None where another program measured."""
        return self.study.record.data.counts.get("validation")

    @property
    def complete(self) -> int:
        """How many points have all their seeds."""
        return sum(point.ended > 0 and not point.missing for point in self.points)

    def __repr__(self) -> str:
        best = "no best point" if self.best is None else f"best {self.best.point.name}"[:200]
        return printable(f"<SweepFindings of {str(self.study.folder)[-200:]}: {len(self.points)} points, {best}>")


def make_sweep_findings(study: SavedStudy) -> SweepFindings:
    """Work out everything that may be said of a sweep or a search, finished or not."""
    points = summarize_points(study)
    metric = study.record.measured_by
    best = find_best(points, study.record.data.counts.get("validation") if metric.share else None)
    return SweepFindings(
        study=study,
        metric=metric,
        points=points,
        best=best,
        chance_level=chance_level(study),
        unlearned=_unlearned(study, points),
        edges=() if best is None else _edges(study, best),
        rates=() if best is None else _rate_moves(study, points, best),
        curves=draw_up_curves(study),
        facts=gather_trial_facts(study),
        advice=advise_study(study) if learned_nothing(points) and study.record.scores is None else (),
    )


def to_sweep_document(findings: SweepFindings) -> dict[str, Any]:
    """Return findings as plain values, as ``points.json`` has them; shares are fractions of 1."""
    best = findings.best
    return {
        "plan": findings.study.record.plan,
        "metric": findings.metric.name,
        "keys": [axis.model_dump(mode="json") for axis in findings.sweep.axes],
        "validation_images": findings.validation_images,
        "no_better_than_guessing": findings.chance_level,
        "unfinished_trials": findings.study.missing,
        "nothing_learned": list(findings.advice) if findings.nothing_learned else None,
        "points": [
            {**asdict(point), "mean": point.mean, "sd": point.sd, "learned": point.learned} for point in findings.points
        ],
        "best": None
        if best is None
        else {
            "points": [point.name for point in best.points],
            "not_told_apart": [point.name for point in best.ties],
            "told_apart": [point.name for point in best.beaten],
            "margin": best.margin,
        },
        "edges": [{"key": edge.axis.key, "largest": edge.largest, "further": edge.further} for edge in findings.edges],
        "rates": [asdict(move) for move in findings.rates],
    }


def sweep_of(study: SavedStudy) -> SweepRecord:
    """Return the sweep of a study that is one."""
    assert study.record.sweep is not None, "this study is no sweep"
    return study.record.sweep


def summarize_points(study: SavedStudy) -> tuple[Point, ...]:
    """Return every point of a sweep, in the plan's order."""
    record, sweep, metric = study.record, sweep_of(study), study.record.measured_by
    guessing = chance_level(study)
    pruned = sweep.search.pruned if sweep.search else ()
    trials: dict[str, list[tuple[int, float, bool, float | None, float]]] = {}
    at_chance: dict[str, list[int]] = {}
    stopped: dict[str, list[int]] = {}
    for trial in study.trials:
        result = trial.result
        measured = metric.on_validation(result)
        # What another program measures has no accuracy beside it.
        unmeasured = measured is None or (result.val_accuracy is None and record.scores is None)
        failed = result.status == "failed" or unmeasured
        score = sweep.diverged if failed or measured is None else measured
        accuracy = None if failed else result.val_accuracy
        if accuracy is not None and guessing is not None and accuracy <= guessing:
            at_chance.setdefault(trial.rung, []).append(trial.seed)
        row = (trial.seed, score, failed, None if failed else result.train_accuracy, result.seconds)
        trials.setdefault(trial.rung, []).append(row)
        if result.stopped:
            stopped.setdefault(trial.rung, []).append(trial.seed)
    points = []
    for rung, values in zip(record.rungs, sweep.points, strict=True):
        rows, ended_early = trials.get(rung.name, []), stopped.get(rung.name, [])
        train = [accuracy for *_, accuracy, _ in rows if accuracy is not None]
        seconds = [took for *_, failed, _, took in rows if not failed]
        points.append(
            Point(
                name=rung.name,
                values=values,
                scores={seed: score for seed, score, *_ in rows if seed not in ended_early},
                failed=tuple(seed for seed, _, failed, *_ in rows if failed),
                at_chance=tuple(at_chance.get(rung.name, ())),
                missing=len(record.seeds) - len(rows),
                pruned=rung.name in pruned,
                train=fmean(train) if train else None,
                seconds=fmean(seconds) if seconds else None,
                stopped=tuple(ended_early),
                sign=metric.sign,
            )
        )
    return tuple(points)


def learned_nothing(points: Sequence[Point]) -> bool:
    """Whether there are trials, and every one diverged or ended no better than guessing (:func:`chance_level`)."""
    ended = [point for point in points if point.ended]
    return bool(ended) and all(not one.stopped and one.n == len(one.failed) + len(one.at_chance) for one in ended)


def chance_level(study: SavedStudy) -> float | None:
    """Return the accuracy that guessing passes with a chance of 2.5 % at most, on as many validation images.

    Guessing is naming the largest class always; binomial. None where another program measured.
    """
    if study.record.scores is not None:
        return None
    from scipy import stats  # longer to import than all that judges a study; only sweeps need it

    images = study.record.data.counts["validation"]
    return float(stats.binom.ppf(1 - _CHANCE, images, sweep_of(study).guess)) / images


def find_best(points: Sequence[Point], images: int | None) -> Best | None:
    """Return the best of the points that learned, and which others cannot be told from it; None where none learned.

    Args:
        images: validation images: shares come in steps of one; None where scores are no shares.
    """
    learned = [point for point in points if point.learned]
    if not learned:
        return None
    top = max(point.worth for point in learned)
    first = tuple(point for point in learned if point.worth == top)
    others = [point for point in learned if point.worth < top]
    margin = tukey_margin(learned, images)
    beaten = tuple(point for point in others if is_above(first[0], point, margin, len(learned)))
    return Best(first, tuple(point for point in others if point not in beaten), beaten, margin)


def is_above(one: Point, other: Point, margin: float | None, points: int) -> bool:
    """Whether the mean of one point is better than another's by more than chance.

    By the margin of all points, and by that of the two alone, q(1 - α; k, n - 1) · s / √n with the spread of their
    differences, s² / 2: a point whose seeds differ five times as much as the others' hides in the spread of all, and
    alone that would tell points apart in 28 % of the sweeps in which all are alike (docs/log.md).

    Args:
        margin: of :func:`tukey_margin` over all ``points`` that learned; None tells nothing apart.
    """
    if margin is None or one.mean is None or other.mean is None:
        return False
    differences = [one.scores[seed] - other.scores[seed] for seed in one.scores if seed in other.scores]
    if len(differences) < 2:
        return False
    own = stdev(differences) / math.sqrt(2)
    alone = _studentized_range(points, len(differences) - 1) * own / math.sqrt(len(differences))
    return one.worth - other.worth > max(margin, alone)


def tukey_margin(points: Sequence[Point], images: int | None) -> float | None:
    """Return the smallest difference of two means that is evidence of one; None below two points or two seeds.

    q(1 - α; k, (k - 1)(n - 1)) · s / √n for k points of n seeds, q of the studentized range, s² the mean square that is
    left in the two-way layout of points and seeds (Tukey 1953; Kutner et al., Applied Linear Statistical Models, 5th
    edition, section 21.5). s is taken as at least that of rounding to whole images, where scores are shares of them.
    """
    k, n = len(points), points[0].n if points else 0
    if k < 2 or n < 2:
        return None
    scores = np.array([[point.scores[seed] for seed in sorted(point.scores)] for point in points])
    left = scores - scores.mean(axis=1, keepdims=True) - scores.mean(axis=0, keepdims=True) + scores.mean()
    degrees = (k - 1) * (n - 1)
    floor = 0.0 if images is None else rounding_sd(images, (1.0,))
    s = max(math.sqrt(float((left**2).sum()) / degrees), floor)
    return _studentized_range(k, degrees) * s / math.sqrt(n)


@cache
def _studentized_range(k: int, degrees: int) -> float:
    """Its quantile at 1 - α; scipy integrates for some tenths of a second."""
    from scipy import stats

    return float(stats.studentized_range.ppf(1 - ALPHA, k, degrees))


def _unlearned(study: SavedStudy, points: Sequence[Point]) -> Unlearned:
    keys = [axis.key for axis in sweep_of(study).axes]
    position = keys.index(RATE) if RATE in keys else 0
    values = dict.fromkeys(point.values[position] for point in points)
    groups = {value: [point for point in points if point.values[position] == value] for value in values}
    hopeless = {
        value: there
        for value, there in groups.items()
        if len(there) > 1
        and not any(point.stopped for point in there)
        and all(0 < point.n == len(point.failed) + len(point.at_chance) for point in there)
    }
    there = [point for each in hopeless.values() for point in each]
    left = tuple(point for point in points if point not in there and (point.failed or point.at_chance))
    stopped = None
    if any(point.stopped for point in left):
        stopped = next(trial.result.failure for trial in study.trials if trial.result.stopped)
    return Unlearned(
        key=keys[position],
        values=tuple(hopeless),
        trials=sum(point.n for point in there),
        diverged=sum(len(point.failed) for point in there),
        points=left,
        stopped=stopped,
    )


def _edges(study: SavedStudy, best: Best) -> tuple[Edge, ...]:
    """Return the keys whose smallest or largest value all of the best have; none where a key takes no more."""
    found = []
    for position, axis in enumerate(sweep_of(study).axes):
        side = _side(axis, [point.values[position] for point in best.points])
        further = None if side is None else _next(study, axis, side)
        if side is not None and further is not None:
            found.append(Edge(axis, side > 0, further))
    return tuple(found)


def _side(axis: AxisRecord, values: Sequence[Value]) -> int | None:
    """1 where every one of the values is at the upper edge, -1 at the lower, None anywhere else."""
    numbers = [float(value) for value in values if is_number(value)]
    if len(numbers) < len(values):
        return None
    if axis.low is not None and axis.high is not None:
        places = [_place(axis.low, axis.high, axis.log, number) for number in numbers]
        return 1 if min(places) > 1 - _NEAR else -1 if max(places) < _NEAR else None
    grid = [float(value) for value in axis.values if is_number(value)]
    if len(grid) < len(axis.values) or len(grid) < 2:
        return None
    return 1 if min(numbers) == max(grid) else -1 if max(numbers) == min(grid) else None


def _place(low: float, high: float, log: bool, value: float) -> float:
    if log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _next(study: SavedStudy, axis: AxisRecord, side: int) -> Value | None:
    """Return the next value beyond the edge, by the last step of the grid or half of it; None where none is allowed."""
    grid = [float(value) for value in axis.values if is_number(value)]
    if axis.low is not None and axis.high is not None:
        grid = [axis.low, axis.high]
    last, before = (grid[-1], grid[-2]) if side > 0 else (grid[0], grid[1])
    ratio = last / before if before else 0.0
    if axis.low is not None:  # a range: ten times as far, or half as much again
        ratio = 10.0**side if axis.log else 0.0
        before = last - side * (grid[1] - grid[0]) / 2
    gaps = [later - earlier for earlier, later in pairwise(grid)]
    even = len(gaps) > 1 and max(gaps) < 1.01 * min(gaps)
    grows = ratio > 0 and max(ratio, 1 / ratio) >= _FACTOR and not even
    steps = (last * ratio, last * math.sqrt(ratio)) if grows else (2 * last - before, last + (last - before) / 2)
    whole = axis.whole or (all(isinstance(value, int) for value in axis.values) and bool(axis.values))
    for step in steps:
        rounded = round(step) if whole else float(f"{step:.2g}")
        if rounded != last and _allowed(study, axis.key, rounded):
            return rounded
    return None


def _allowed(study: SavedStudy, key: str, value: Value) -> bool:
    if study.record.scores is not None:  # what a program takes nobody knows; but where all are above 0, so is the next
        tried = [float(each) for each in _tried(sweep_of(study), key)]
        return min(tried) <= 0 or float(value) > 0
    if key == BATCH and is_number(value) and float(value) > study.record.data.counts["train"]:
        return False
    try:
        base: Recipe = parse_recipe(sweep_of(study).base)
        change_settings(base, {key: as_text(value)})
    except RecipeError:
        return False
    return True


def _tried(sweep: SweepRecord, key: str) -> Sequence[Value]:
    axis = next(axis for axis in sweep.axes if axis.key == key)
    return axis.values or tuple(end for end in (axis.low, axis.high) if end is not None)


def _rate_moves(study: SavedStudy, points: Sequence[Point], best: Best) -> tuple[RateMove, ...]:
    """Return how the best rate moves with each other key of numbers; of a search, or without rates, nothing."""
    sweep = sweep_of(study)
    keys = [axis.key for axis in sweep.axes]
    if RATE not in keys or sweep.search is not None:
        return ()
    rate = keys.index(RATE)
    moves = []
    for other, axis in enumerate(sweep.axes):
        numbers = all(is_number(value) for value in axis.values)
        if other == rate or not numbers or len(axis.values) < 2 or len(sweep.axes[rate].values) < 2:
            continue
        tops = {
            value: top for value in axis.values if (top := _top([one for one in points if one.values[other] == value]))
        }
        if len(tops) > 1:
            learned = len(best.points) + len(best.ties) + len(best.beaten)
            apart = partial(is_above, margin=best.margin, points=learned)
            moves.append(_rate_move(points, rate, other, axis, tops, apart))
    return tuple(moves)


def _rate_move(
    points: Sequence[Point],
    rate: int,
    other: int,
    axis: AxisRecord,
    tops: dict[Value, Point],
    apart: Callable[[Point, Point], bool],
) -> RateMove:
    rates = [float(top.values[rate]) for top in tops.values()]
    if len(set(rates)) == 1:
        trend = Trend.SAME
    elif all(one <= two for one, two in pairwise(rates)):
        trend = Trend.RISES
    elif all(one >= two for one, two in pairwise(rates)):
        trend = Trend.FALLS
    else:
        trend = Trend.NEITHER
    first, last = next(iter(tops)), list(tops)[-1]
    told = all(
        _told([one for one in points if one.values[other] == here], rate, tops[here], tops[there].values[rate], apart)
        for here, there in ((first, last), (last, first))
    )
    return RateMove(
        key=axis.key,
        best=tuple((value, top.values[rate]) for value, top in tops.items()),
        missing=tuple(value for value in axis.values if value not in tops),
        trend=trend,
        told=trend is not Trend.SAME and told,
    )


def _top(points: Sequence[Point]) -> Point | None:
    learned = [point for point in points if point.learned]
    return max(learned, key=lambda point: point.worth) if learned else None


def _told(
    here: Sequence[Point], rate: int, top: Point, rival_rate: Value, apart: Callable[[Point, Point], bool]
) -> bool:
    """Whether the best rate of the points ``here`` can be told from the one that is best elsewhere."""
    rivals = [point for point in here if point.values[rate] == rival_rate]
    rival = _top(rivals)
    if rival is not None:
        return apart(top, rival)
    # It did not learn there at all: that is plain once more than one seed has shown it.
    return bool(rivals) and all(
        point.n > 1 and not point.missing and len(point.failed) + len(point.at_chance) == point.n for point in rivals
    )
