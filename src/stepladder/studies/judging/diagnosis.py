"""What the curves of each rung show: one state a rung, out of a small table, with the figures.

Read on the mean over the finished seeds, epoch by epoch. Losses are cross-entropy in nats an image, in evaluation mode
on plain images; "watched" is validation, or test where no image was left for validation.

Nothing is said that noise could have made. A share of N images has its binomial error, on the watched images and on
the training images that are measured; a mean over seeds has that of their spread; one epoch differs from the next. A
figure is *told* where it is at least :data:`TOLD` standard errors from what it is held against.

The states are asked in the order of :data:`RULES`, and the first that holds is the rung's: a state stands before those
that its cure may remove. So a trial that failed is mended before anything else is asked, and training that goes on is
ended before it is called under-fitting. What to try next is said in ``judging.advice``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import fmean, median, stdev

from stepladder.citations import cite, written
from stepladder.studies.files.records import RungRecord, SavedStudy, SavedTrial
from stepladder.studies.judging.distributions import falling_slope, residual_spread, share_error, spreads_more
from stepladder.studies.judging.learning import Learning
from stepladder.training.history import TRAIN_SAMPLE

#: Standard errors from which a figure is told from chance: 97.7 % on one side.
TOLD = 2.0
#: A gap between training and watched accuracy that matters; a watched loss that has turned is so many times its lowest.
GAP, TURNED = 0.10, 1.10
#: Under-fitting: training accuracy is below this.
LEARNED = 0.90
#: Below this many nats the training images are memorized, 95 % sure of every label, and a rise of their loss is none.
MEMORIZED = 0.05
#: Falling: by so large a share an epoch, at this one-sided p-value of the slope, over the last quarter of the epochs,
#: at least as many as given.
FALL, SLOPE_P, LAST_EPOCHS = 0.01, 0.05, 5
#: A loss ends where the median of so many epochs lies, so that one epoch alone is no turn.
END_EPOCHS = 3
#: Diverging: the training loss ends above guessing and so many times above its lowest.
DIVERGED = 1.5
#: Jumping: the training loss rises by more than the one share in at least the other share of epochs.
JUMP, JUMPS = 0.05, 1 / 3
#: Learning slowly: the training loss still is above this share of ln(classes), never rises, and falls in the last
#: quarter at least that much as fast as on average. Stuck: it is within that share of ln(classes) in every epoch.
HIGH_LOSS, STEADY, STUCK = 0.5, 0.5, 0.02
#: Noisy: the watched accuracy differs by this standard deviation, between seeds or between the last epochs.
SWING = 0.02


class State(StrEnum):
    """What the curves of a rung show; each rung has exactly one."""

    FAILED = "failed"
    DIVERGING = "diverging"
    NOTHING_LEARNED = "nothing learned"
    MEMORIZING = "memorizing"
    IMPROVING = "still improving"
    UNDER_FITTING = "under-fitting"
    LIMITED = "limited by data"
    NOISY = "noisy"
    UNCLEAR = "unclear"
    GOOD = "good"


class Step(StrEnum):
    """What an experiment changes; ``judging.advice`` has the words."""

    MEND = "mend"
    OTHER_RUNG = "other rung"
    LOWER_RATE = "lower rate"
    HIGHER_RATE = "higher rate"
    MORE_EPOCHS = "more epochs"
    AUGMENTATION = "augmentation"
    REGULARIZATION = "regularization"
    LARGER_NETWORK = "larger network"
    MORE_IMAGES = "more images"
    MORE_SEEDS = "more seeds"
    MORE_WATCHED = "more watched images"


@dataclass(frozen=True)
class Sign:
    """That a rule holds: the figures, a sentence without its end, and what may be tried, the likeliest cure first."""

    evidence: str
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """The state of one rung.

    Attributes:
        evidence: the figures, one sentence without its end.
        steps: what may be tried, the likeliest cure first, by the curves alone.
        advice: what to try next, as an order without its end; None where there is nothing, or where it would speak
            against what is said of another rung. Given by ``judging.advice``.
    """

    rung: str
    state: State
    evidence: str
    steps: tuple[Step, ...] = ()
    advice: str | None = None

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.rung}: {self.state}>"


@dataclass(frozen=True, repr=False)
class Curves:
    """Mean curves of a rung from epoch 0 on, and what belongs to them; accuracies are fractions of 1.

    Attributes:
        watched: what the second split is called, ``validation`` or ``test``.
        guessing: ln(classes), the loss of a network that knows nothing.
        chance: what naming the largest class always is right on.
        train_images, watched_images: what the accuracies are shares of.
        seeds_train, seeds_watched, seeds_loss: accuracies at the last epoch, and the watched loss, of each seed.
    """

    train_loss: list[float]
    train_accuracy: list[float]
    watched_loss: list[float]
    watched_accuracy: list[float]
    watched: str
    guessing: float
    chance: float
    train_images: int
    watched_images: int
    seeds_train: list[float]
    seeds_watched: list[float]
    seeds_loss: list[list[float]]

    @property
    def epochs(self) -> int:
        """The last epoch."""
        return len(self.train_loss) - 1

    @property
    def train(self) -> float:
        """Training accuracy at the last epoch."""
        return self.train_accuracy[-1]

    @property
    def end(self) -> float:
        """Watched accuracy at the last epoch."""
        return self.watched_accuracy[-1]

    @property
    def gap(self) -> float:
        """Training accuracy less the watched one, at the last epoch."""
        return self.train - self.end

    @property
    def train_error(self) -> float:
        """Standard error of the training accuracy."""
        images = share_error(self.train, self.train_images)
        return math.hypot(images, self._jitter(self.train_accuracy, self.seeds_train))

    @property
    def end_error(self) -> float:
        """Binomial standard error of the watched accuracy."""
        return share_error(self.end, self.watched_images)

    @property
    def gap_jitter(self) -> float:
        """The part of the gap's error that seeds and epochs have."""
        curve = [one - other for one, other in zip(self.train_accuracy, self.watched_accuracy, strict=True)]
        seeds = [one - other for one, other in zip(self.seeds_train, self.seeds_watched, strict=True)]
        return self._jitter(curve, seeds)

    @property
    def gap_error(self) -> float:
        """Standard error of the gap: that of both shares of images, and what seeds and epochs add."""
        return math.hypot(share_error(self.train, self.train_images), self.end_error, self.gap_jitter)

    @property
    def has_gap(self) -> bool:
        """Whether the gap matters and is told from none."""
        return self.gap >= GAP and self.gap >= TOLD * self.gap_error

    @property
    def rise_error(self) -> float:
        """Standard error of how far the watched loss ends above its lowest."""
        turn = self.watched_loss.index(min(self.watched_loss))
        return self._jitter(self.watched_loss, [end_of(losses) - losses[turn] for losses in self.seeds_loss])

    def last(self, values: Sequence[float]) -> list[float]:
        """The last quarter of a curve, never epoch 0."""
        return list(values[max(1, len(values) - max(LAST_EPOCHS, self.epochs // 4)) :])

    def falls(self, values: Sequence[float]) -> float | None:
        """By which share of itself a loss falls an epoch, over the last quarter; None where that is not told."""
        losses = self.last(values)
        if len(losses) < 3 or len(set(losses)) == 1:
            return None
        slope, p_value = falling_slope(losses)
        fall = -slope / fmean(losses)
        return fall if fall >= FALL and p_value <= SLOPE_P else None

    @property
    def jumps(self) -> int | None:
        """In how many epochs the training loss jumped up; None where that is not often."""
        steps = list(pairwise(self.train_loss[1:]))
        jumps = sum(after > (1 + JUMP) * before for before, after in steps if before > MEMORIZED)
        return jumps if len(steps) >= LAST_EPOCHS and jumps >= JUMPS * len(steps) else None

    @property
    def is_slow(self) -> bool:
        """Whether the training loss creeps down in every epoch, or has not left what guessing costs."""
        losses = self.train_loss
        if self.epochs < LAST_EPOCHS or losses[-1] < HIGH_LOSS * self.guessing:
            return False
        if all(abs(loss - self.guessing) <= STUCK * self.guessing for loss in losses):
            return True
        tail = self.last(losses)
        late, average = (tail[0] - tail[-1]) / (len(tail) - 1), (losses[0] - losses[-1]) / self.epochs
        return average > 0 and late >= STEADY * average and all(one >= other for one, other in pairwise(losses))

    def _jitter(self, curve: Sequence[float], seeds: Sequence[float]) -> float:
        """What seeds and epochs add to the error of a mean curve's end; that of epochs is in that of seeds."""
        over_seeds = stdev(seeds) / math.sqrt(len(seeds)) if len(seeds) > 1 else 0.0
        return max(over_seeds, residual_spread(self.last(curve)))


def end_of(losses: Sequence[float]) -> float:
    """Return where a loss ends, whatever its last epoch alone."""
    return median(losses[-END_EPOCHS:])


def mean_curves(study: SavedStudy, rung: RungRecord, trials: Sequence[SavedTrial], chance: float | None) -> Curves:
    """Return the mean over finished trials of a rung, of each epoch that all of them have.

    Args:
        chance: what naming the largest class always is right on; None where that is not known.
    """
    data, split = study.record.data, "test" if study.record.validation == 0 else "val"
    rows = list(zip(*(trial.history for trial in trials), strict=False))

    def curve(column: str) -> list[float]:
        return [fmean(getattr(record, column) for record in row) for row in rows]

    def ends(column: str) -> list[float]:
        return [getattr(record, column) for record in rows[-1]]

    return Curves(
        train_loss=curve("train_loss"),
        train_accuracy=curve("train_accuracy"),
        watched_loss=curve(f"{split}_loss"),
        watched_accuracy=curve(f"{split}_accuracy"),
        watched="test" if split == "test" else "validation",
        guessing=math.log(len(data.class_names)),
        chance=chance or 1 / len(data.class_names),
        train_images=min(rung.images or data.counts["train"], TRAIN_SAMPLE),
        watched_images=data.counts["test" if split == "test" else "validation"],
        seeds_train=ends("train_accuracy"),
        seeds_watched=ends(f"{split}_accuracy"),
        seeds_loss=[[getattr(record, f"{split}_loss") for record in each] for each in zip(*rows, strict=True)],
    )


def diagnose(study: SavedStudy, learning: Learning) -> tuple[Diagnosis, ...]:
    """Return the state of each rung, in plan order; a rung that has no ended trial is left out."""
    found = []
    for rung in study.record.rungs:
        trials = study.of_rung(rung.name)
        finished = [trial for trial in trials if trial.result.status == "finished"]
        failure = _failure(trials) or _not_finite(trials)
        if failure is not None:
            found.append(Diagnosis(rung.name, failure[0], failure[1].evidence, failure[1].steps))
        elif finished and rung.name in learning.rungs:
            evidence = learning.rungs[rung.name].evidence
            found.append(Diagnosis(rung.name, State.NOTHING_LEARNED, evidence, (Step.OTHER_RUNG,)))
        elif finished:
            state, sign = read_curves(mean_curves(study, rung, finished, learning.largest))
            found.append(Diagnosis(rung.name, state, sign.evidence, sign.steps))
    return tuple(found)


def read_curves(curves: Curves) -> tuple[State, Sign]:
    """Return the first state whose rule holds, with its sign; the last rule always does."""
    return next((rule.state, sign) for rule in RULES if rule.reads and (sign := rule.reads(curves)) is not None)


def _failure(trials: Sequence[SavedTrial]) -> tuple[State, Sign] | None:
    broken = [trial for trial in trials if trial.result.stopped]
    if not broken:
        return None
    evidence = f"{len(broken)} of {len(trials)} seeds failed: {broken[0].result.failure}"
    return State.FAILED, Sign(evidence, (Step.MEND,))


def _not_finite(trials: Sequence[SavedTrial]) -> tuple[State, Sign] | None:
    failed = sum(trial.result.diverged for trial in trials)
    if not failed:
        return None
    evidence = f"{failed} of {len(trials)} seeds ended in a loss that is no number"
    return State.DIVERGING, Sign(evidence, (Step.LOWER_RATE,))


def _diverging(curves: Curves) -> Sign | None:
    lowest, last = min(curves.train_loss), curves.train_loss[-1]
    if last <= curves.guessing or last < DIVERGED * lowest:
        return None
    turn = curves.train_loss.index(lowest)
    evidence = (
        f"training loss fell to {lowest:.3f} at epoch {turn} and ends at {last:.3f}, above the {curves.guessing:.3f} "
        "of guessing"
    )
    return Sign(evidence, (Step.LOWER_RATE,))


def _memorizing(curves: Curves) -> Sign | None:
    lowest, end = min(curves.watched_loss), end_of(curves.watched_loss)
    turn = curves.watched_loss.index(lowest)
    if not curves.has_gap or end < TURNED * lowest or end - lowest < TOLD * curves.rise_error:
        return None
    if curves.train_loss[-1] > curves.train_loss[turn]:
        return None
    evidence = (
        f"{curves.watched} loss turned at epoch {turn} ({lowest:.3f}) and rose to {end:.3f} while training loss went "
        f"on to {curves.train_loss[-1]:.3f}; {_accuracies(curves)}"
    )
    return Sign(evidence, (Step.AUGMENTATION, Step.REGULARIZATION, Step.MORE_IMAGES))


def _improving(curves: Curves) -> Sign | None:
    fall = curves.falls(curves.watched_loss)
    if fall is None or curves.train_loss[-1] >= curves.last(curves.train_loss)[0]:
        return None
    if 1 - curves.end <= TOLD * curves.end_error:
        return None  # so few images are still wrong that more right ones could not be told
    number = len(curves.last(curves.watched_loss))
    evidence = (
        f"{curves.watched} loss falls by {100 * fall:.1f} % an epoch over the last {number} epochs, to "
        f"{curves.watched_loss[-1]:.3f} at epoch {curves.epochs}"
    )
    return Sign(evidence, (*((Step.HIGHER_RATE,) if curves.is_slow else ()), Step.MORE_EPOCHS))


def _under_fitting(curves: Curves) -> Sign | None:
    if curves.train + TOLD * curves.train_error >= LEARNED or (curves.has_gap and curves.gap > 1 - curves.train):
        return None
    steps = [Step.LARGER_NETWORK]
    if curves.epochs < LAST_EPOCHS or curves.falls(curves.train_loss):
        steps.insert(0, Step.MORE_EPOCHS)
    evidence = f"accuracy on the training images themselves ends at {100 * curves.train:.1f} %"
    if curves.jumps is not None:
        steps.insert(0, Step.LOWER_RATE)
        evidence += f", and their loss rose by more than {100 * JUMP:.0f} % in {curves.jumps} of {curves.epochs} epochs"
    elif curves.is_slow:
        steps.insert(0, Step.HIGHER_RATE)
        evidence += f", and their loss still is {curves.train_loss[-1]:.3f}, {curves.guessing:.3f} being a guess's"
    else:
        evidence += f", {_points(curves.gap)} from that on {curves.watched} images"
    return Sign(evidence, tuple(steps))


def _limited(curves: Curves) -> Sign | None:
    if not curves.has_gap:
        return None
    evidence = f"{curves.watched} loss ends at {curves.watched_loss[-1]:.3f} and has not turned, yet "
    return Sign(evidence + _accuracies(curves), (Step.MORE_IMAGES,))


def _noisy(curves: Curves) -> Sign | None:
    if curves.jumps is not None:
        evidence = f"training loss rose by more than {100 * JUMP:.0f} % in {curves.jumps} of {curves.epochs} epochs"
        return Sign(evidence, (Step.LOWER_RATE, Step.MORE_SEEDS))
    last = curves.last(curves.watched_accuracy)
    swing = residual_spread(last)
    if swing >= SWING and spreads_more(swing, len(last) - 2, curves.end_error):
        evidence = f"{curves.watched} accuracy swings by {_points(swing)} (sd) over the last {len(last)} epochs"
        return Sign(evidence, (Step.LOWER_RATE, Step.MORE_SEEDS))
    ends = curves.seeds_watched
    if len(ends) < 2 or stdev(ends) < SWING or not spreads_more(stdev(ends), len(ends) - 1, curves.end_error):
        return None
    evidence = (
        f"{curves.watched} accuracy ends between {100 * min(ends):.1f} and {100 * max(ends):.1f} % over {len(ends)} "
        f"seeds (sd {_points(stdev(ends))}; {curves.watched_images:,} images explain {_points(curves.end_error)})"
    )
    return Sign(evidence, (Step.MORE_SEEDS,))


def _unclear(curves: Curves) -> Sign | None:
    steps = (Step.MORE_WATCHED,) if curves.end_error >= curves.gap_jitter else (Step.MORE_SEEDS,)
    if TOLD * curves.gap_error > GAP:
        evidence = (
            f"on {curves.watched_images:,} {curves.watched} images and {_seeds(curves)} the gap to training accuracy "
            f"is {_gap(curves)}, so one of {100 * GAP:.0f} would not show"
        )
        return Sign(evidence, steps)
    if curves.end - TOLD * curves.end_error <= curves.chance:
        evidence = (
            f"accuracy on {curves.watched_images:,} {curves.watched} images ends at {100 * curves.end:.1f} %, and "
            f"naming one class always gives {100 * curves.chance:.1f} %"
        )
        return Sign(evidence, steps)
    return None


def _good(curves: Curves) -> Sign:
    return Sign(_accuracies(curves))


def _accuracies(curves: Curves) -> str:
    return (
        f"accuracy is {100 * curves.train:.1f} % on training and {100 * curves.end:.1f} % on {curves.watched} images, "
        f"a gap of {_gap(curves)}"
    )


def _gap(curves: Curves) -> str:
    return f"{100 * curves.gap:.1f} ± {100 * TOLD * curves.gap_error:.1f} points".replace("-", "−")


def _points(share: float) -> str:
    return f"{100 * share:.1f} points".replace("-", "−")


def _seeds(curves: Curves) -> str:
    number = len(curves.seeds_watched)
    return f"{number} seed{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Rule:
    """One row of the table of states; ``docs/report.md`` has the same rows.

    Attributes:
        curve: which curve tells it.
        words: when it holds.
        source: where it comes from.
        reads: returns its sign, or None; None itself for what the trials tell, and not the curves.
    """

    state: State
    curve: str
    words: str
    source: str
    reads: Callable[[Curves], Sign | None] | None = None


def _sources(*works: tuple[str, str]) -> str:
    """Return the works of these keys, with their sections, as one line."""
    return written(cite(key, where) for key, where in works)


_LEARNING = "goodfellow2016deep"

#: The table of states, in the order in which they are asked.
RULES: tuple[Rule, ...] = (
    Rule(
        State.FAILED,
        "none",
        "a seed ended for another reason than its loss: a technique raised, memory ran out, it took too long",
        "the trial's own words",
    ),
    Rule(
        State.DIVERGING,
        "training loss",
        "of any seed it is no number, or the mean ends above ln(classes) and at 1.5 times its lowest or more",
        _sources((_LEARNING, "section 11.4.1")),
        _diverging,
    ),
    Rule(
        State.NOTHING_LEARNED,
        "none",
        "the answers do not depend on the class of the image (permutation test)",
        "docs/statistics.md, Nothing learned",
    ),
    Rule(
        State.MEMORIZING,
        "validation loss, accuracies",
        "validation loss turned: it ends at 1.1 times its lowest or more, told, while training loss went on down; and "
        "training accuracy is 10 points or more above that on validation, told",
        _sources(("prechelt1998early", "criterion GL"), (_LEARNING, "section 7.8")),
        _memorizing,
    ),
    Rule(
        State.IMPROVING,
        "validation loss",
        "it falls by 1 % an epoch or more over the last quarter of the epochs, at least five (slope below zero, "
        "p ≤ 0.05), training loss falls too, and more images are wrong than noise explains",
        _sources(("nakkiran2020deep", "section 6"), ("smith2018disciplined", "section 3.2")),
        _improving,
    ),
    Rule(
        State.UNDER_FITTING,
        "training accuracy",
        "it ends below 90 %, told, and no gap larger than what it lacks is told",
        _sources((_LEARNING, "sections 5.2 and 11.3"), ("smith2018disciplined", "section 3.2")),
        _under_fitting,
    ),
    Rule(
        State.LIMITED,
        "accuracies",
        "training accuracy is 10 points or more above that on validation, told, and validation loss has not turned",
        _sources((_LEARNING, "section 11.3")),
        _limited,
    ),
    Rule(
        State.NOISY,
        "training loss, validation accuracy",
        "training loss, while above 0.05 nats, rises by more than 5 % in a third of the epochs, or validation accuracy "
        "has a standard deviation of 2 points or more between the last epochs or between seeds, more than its images "
        "explain (χ² test, 5 %)",
        _sources((_LEARNING, "section 8.3.1"), ("bouthillier2021accounting", "")),
        _noisy,
    ),
    Rule(
        State.UNCLEAR,
        "accuracies",
        "a gap of 10 points could not be told, or validation accuracy is not told from naming one class always",
        f"the binomial error of so many images ({cite('agresti2000simple').short})",
        _unclear,
    ),
    Rule(State.GOOD, "all", "none of these", "none", _good),
)
