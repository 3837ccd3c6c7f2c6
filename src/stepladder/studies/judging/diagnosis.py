"""What the curves of each rung show, by rules that stand here, with the figures and the next experiment worth running.

Read on the mean over the finished seeds, epoch by epoch. Losses are cross-entropy in nats an image, in evaluation mode
on plain images; "watched" is validation, or test where no image was left for validation. A rung can have several
findings; one that has none is healthy. Of a rung that learned nothing (``judging.learning``) the curves say no more.
The rules describe; they choose nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, stdev
from types import MappingProxyType

from stepladder.studies.files.records import SavedStudy, SavedTrial
from stepladder.studies.judging.distributions import falling_slope
from stepladder.studies.judging.learning import NothingLearned
from stepladder.studies.judging.points import is_broken

#: Over-fitting: training accuracy is so far above the watched one, and the watched loss so far above its lowest.
GAP, TURNED = 0.10, 1.10
#: Under-fitting: training accuracy is below this and the gap below that.
LEARNED, CLOSE = 0.90, 0.05
#: Memorized: the training loss is below this many nats, 95 % sure of every label.
MEMORIZED = 0.05
#: Still improving: the watched loss falls by so large a share an epoch, at this one-sided p-value of its slope, over
#: the last quarter of the epochs, at least as many as given.
FALL, SLOPE_P, LAST_EPOCHS = 0.01, 0.05, 5
#: Dead start: the training loss is within this share of ln(classes), what guessing costs, for so large a part of the
#: epochs and at least two.
GUESSING, STUCK = 0.02, 0.1
#: Diverging: the training loss ends above guessing and so many times above its lowest.
DIVERGED = 1.5
#: Learning rate too high: the training loss rises by more than the one share in at least the other share of epochs.
JUMP, JUMPS = 0.05, 1 / 3
#: Learning rate too low: the training loss still is above this share of ln(classes), never jumps, and falls in the last
#: quarter at least that much as fast as on average.
HIGH_LOSS, STEADY = 0.5, 0.5
#: Unstable: the watched accuracy of the seeds at the last epoch has this standard deviation, or this range.
SEEDS_SD, SEEDS_RANGE = 0.02, 0.05


@dataclass(frozen=True)
class Finding:
    """One thing that the curves of a rung show.

    Attributes:
        name: what it is called.
        evidence: the figures, one sentence without its end.
        experiment: what is worth trying next; empty where nothing is.
    """

    name: str
    evidence: str
    experiment: str


@dataclass(frozen=True)
class Diagnosis:
    """The findings of one rung, at least one."""

    rung: str
    findings: tuple[Finding, ...]

    def names(self) -> tuple[str, ...]:
        """What the findings are called."""
        return tuple(finding.name for finding in self.findings)

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.rung}: {', '.join(self.names())}>"


@dataclass(frozen=True)
class Curves:
    """Mean curves of a rung from epoch 0 on, and what belongs to them.

    Attributes:
        watched: what the second split is called, ``validation`` or ``test``.
        guessing: ln(classes), the loss of a network that knows nothing.
    """

    train_loss: list[float]
    train_accuracy: list[float]
    watched_loss: list[float]
    watched_accuracy: list[float]
    watched: str
    guessing: float

    @property
    def epochs(self) -> int:
        """The last epoch."""
        return len(self.train_loss) - 1

    @property
    def gap(self) -> float:
        """Training accuracy less the watched one, at the last epoch."""
        return self.train_accuracy[-1] - self.watched_accuracy[-1]

    def last(self, values: list[float]) -> list[float]:
        """The last quarter of a curve, never epoch 0."""
        return values[max(1, len(values) - max(LAST_EPOCHS, self.epochs // 4)) :]


def diagnose(
    study: SavedStudy, unlearned: Mapping[str, NothingLearned] = MappingProxyType({})
) -> tuple[Diagnosis, ...]:
    """Return what the curves of each rung show, in plan order; a rung that has no ended trial is left out.

    Args:
        unlearned: the rungs that learned nothing, by name.
    """
    guessing = math.log(len(study.record.data.class_names))
    found = []
    for rung in study.record.rungs:
        trials = study.of_rung(rung.name)
        if not trials:
            continue
        finished = [trial for trial in trials if trial.result.status == "finished"]
        findings = _failures(trials)
        if finished and rung.name in unlearned:
            nothing = unlearned[rung.name]
            findings.append(Finding("nothing learned", nothing.evidence, nothing.experiment))
        elif finished:
            curves = mean_curves(finished, study.record.validation == 0, guessing)
            findings += [finding for rule in _RULES if (finding := rule(curves)) is not None]
            findings += _unstable(finished, study.record.validation == 0)
        found.append(Diagnosis(rung.name, tuple(findings) or (_healthy(curves),)))
    return tuple(found)


def mean_curves(trials: list[SavedTrial], watch_test: bool, guessing: float) -> Curves:
    """Return the mean over trials of each epoch that all of them have."""
    split = "test" if watch_test else "val"
    rows = list(zip(*(trial.history for trial in trials), strict=False))

    def curve(column: str) -> list[float]:
        return [fmean(getattr(record, column) for record in row) for row in rows]

    return Curves(
        curve("train_loss"),
        curve("train_accuracy"),
        curve(f"{split}_loss"),
        curve(f"{split}_accuracy"),
        "test" if watch_test else "validation",
        guessing,
    )


def _failures(trials: tuple[SavedTrial, ...]) -> list[Finding]:
    failed = [trial for trial in trials if trial.result.status == "failed"]
    if not failed:
        return []
    broken = [trial for trial in failed if is_broken(trial.result)]
    findings = []
    if len(failed) > len(broken):
        evidence = f"{len(failed) - len(broken)} of {len(trials)} seeds ended in a loss that is no number"
        findings.append(Finding("diverging", evidence, "try a learning rate of a third, or a warm-up"))
    if broken:
        evidence = f"{len(broken)} of {len(trials)} seeds failed: {broken[0].result.failure}"
        findings.append(Finding("failed", evidence, "mend what the sentence names, and run the failed trials again"))
    return findings


def _diverging(curves: Curves) -> Finding | None:
    lowest, last = min(curves.train_loss), curves.train_loss[-1]
    if last <= curves.guessing or last < DIVERGED * lowest:
        return None
    evidence = f"training loss fell to {lowest:.3f} and ends at {last:.3f}, above the {curves.guessing:.3f} of guessing"
    return Finding("diverging", evidence, "try a learning rate of a third, or a warm-up")


def _dead_start(curves: Curves) -> Finding | None:
    stuck = 0
    for loss in curves.train_loss[1:]:
        if abs(loss - curves.guessing) > GUESSING * curves.guessing:
            break
        stuck += 1
    if stuck == curves.epochs:
        evidence = f"training loss stays at {curves.train_loss[-1]:.3f}, ln(classes) being {curves.guessing:.3f}"
        return Finding("dead start", evidence, "try ten times the learning rate, then standardized inputs")
    if stuck < max(2, STUCK * curves.epochs):
        return None
    evidence = f"training loss stays at ln(classes) = {curves.guessing:.3f} through epoch {stuck}, then falls"
    return Finding("dead start", evidence, "try a higher learning rate or standardized inputs; it lost those epochs")


def _over_fitting(curves: Curves) -> Finding | None:
    lowest = min(curves.watched_loss)
    turn = curves.watched_loss.index(lowest)
    if curves.gap < GAP or curves.watched_loss[-1] < TURNED * lowest or curves.train_loss[-1] > curves.train_loss[turn]:
        return None
    evidence = (
        f"{curves.watched} loss turned at epoch {turn} ({lowest:.3f}) and rose to {curves.watched_loss[-1]:.3f} while "
        f"training loss went on to {curves.train_loss[-1]:.3f}; accuracy is {100 * curves.train_accuracy[-1]:.1f} % on "
        f"training and {100 * curves.watched_accuracy[-1]:.1f} % on {curves.watched} images"
    )
    return Finding("over-fitting", evidence, "try more augmentation, dropout or weight decay, or more images")


def _under_fitting(curves: Curves) -> Finding | None:
    accuracy = curves.train_accuracy[-1]
    if accuracy >= LEARNED or curves.gap >= CLOSE:
        return None
    evidence = (
        f"accuracy on the training images themselves ends at {100 * accuracy:.1f} %, {100 * curves.gap:.1f} points "
        f"from that on {curves.watched} images"
    )
    return Finding("under-fitting", evidence, "try more epochs, a wider network, or less regularization")


def _memorized(curves: Curves) -> Finding | None:
    if curves.train_loss[-1] > MEMORIZED:
        return None
    epoch = next(epoch for epoch, loss in enumerate(curves.train_loss) if loss <= MEMORIZED)
    evidence = f"training loss ends at {curves.train_loss[-1]:.4f}, below {MEMORIZED:g} since epoch {epoch}"
    return Finding(
        "memorized", evidence, "more epochs will teach it little: try stronger augmentation, or fewer epochs"
    )


def _still_improving(curves: Curves) -> Finding | None:
    losses = curves.last(curves.watched_loss)
    if len(losses) < 3 or len(set(losses)) == 1:
        return None
    slope, p_value = falling_slope(losses)
    fall = -slope / fmean(losses)
    if fall < FALL or p_value > SLOPE_P:
        return None
    evidence = f"{curves.watched} loss falls by {100 * fall:.1f} % an epoch over the last {len(losses)} epochs"
    return Finding("still improving", evidence, "try more epochs; the comparison with other rungs may then change")


def _lr_too_high(curves: Curves) -> Finding | None:
    losses = curves.train_loss[1:]
    steps = list(pairwise(losses))
    jumps = sum(after > (1 + JUMP) * before for before, after in steps if before > MEMORIZED)
    if len(steps) < LAST_EPOCHS or jumps < JUMPS * len(steps):
        return None
    evidence = f"training loss rose by more than {100 * JUMP:.0f} % in {jumps} of {len(steps)} epochs"
    return Finding("learning rate too high", evidence, "try a third of it, or a schedule that lowers it")


def _lr_too_low(curves: Curves) -> Finding | None:
    losses = curves.train_loss
    if curves.epochs < LAST_EPOCHS or losses[-1] < HIGH_LOSS * curves.guessing:
        return None
    if any(after > before for before, after in pairwise(losses)):
        return None
    tail = curves.last(losses)
    late, average = (tail[0] - tail[-1]) / (len(tail) - 1), (losses[0] - losses[-1]) / curves.epochs
    if average <= 0 or late < STEADY * average:
        return None
    evidence = (
        f"training loss falls in every epoch, by {late:.3f} in the last ones and {average:.3f} on average, and still "
        f"is {losses[-1]:.3f}"
    )
    return Finding("learning rate too low", evidence, "try three times the learning rate")


#: Each rule reads the mean curves of a rung and finds one thing or nothing.
_RULES: tuple[Callable[[Curves], Finding | None], ...] = (
    _diverging,
    _dead_start,
    _over_fitting,
    _memorized,
    _under_fitting,
    _lr_too_high,
    _lr_too_low,
    _still_improving,
)


def _unstable(trials: list[SavedTrial], watch_test: bool) -> list[Finding]:
    split, column = ("test", "test_accuracy") if watch_test else ("validation", "val_accuracy")
    ends = [value for trial in trials if (value := getattr(trial.history[-1], column)) is not None]
    if len(ends) < 2 or (stdev(ends) < SEEDS_SD and max(ends) - min(ends) < SEEDS_RANGE):
        return []
    evidence = (
        f"{split} accuracy ends between {100 * min(ends):.1f} and {100 * max(ends):.1f} % over {len(ends)} seeds (sd "
        f"{100 * stdev(ends):.1f} points)"
    )
    return [Finding("unstable between seeds", evidence, "try a lower learning rate or a warm-up, and more seeds")]


def _healthy(curves: Curves) -> Finding:
    evidence = (
        f"accuracy ends at {100 * curves.train_accuracy[-1]:.1f} % on training and "
        f"{100 * curves.watched_accuracy[-1]:.1f} % on {curves.watched} images, and no rule finds fault"
    )
    return Finding("healthy", evidence, "")
