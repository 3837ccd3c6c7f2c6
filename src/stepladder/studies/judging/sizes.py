"""What a curve over training images says: the plan's metric on test by size, and what twice the images would bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from stepladder.studies.files.records import RungRecord, SavedStudy
from stepladder.studies.judging.curves import Curves, draw_up_curves
from stepladder.studies.judging.learning import Learning, NothingLearned, judge_learning
from stepladder.studies.judging.power_law import Measured, PowerLaw, fit_power_law, is_above_guessing
from stepladder.studies.judging.statistics import class_counts
from stepladder.studies.judging.trial_facts import TrialFacts, gather_trial_facts
from stepladder.training.assembly import count_steps
from stepladder.training.metrics import Metric

#: Images of a step where a record does not say.
_USUAL_BATCH = 128


@dataclass(frozen=True)
class SizeResult:
    """The trials of one size: the metric on test by seed, one that diverged as guessing, with ``failed`` seeds named.

    Attributes:
        images: how many each of them was trained on; None of a command, which knows its images alone.
        epochs, steps: that each of them was to take; 0 of a command, which does not tell.
        at_chance: whether they are no better than guessing, so that the size is left out of the fit.
        share: of all training images, above 0 and at most 1.
    """

    images: int | None
    scores: dict[int, float]
    failed: tuple[int, ...]
    epochs: int
    steps: int
    at_chance: bool = False
    share: float = 1.0

    @property
    def amount(self) -> float:
        """What the law is fitted over: the number of images, or their share of all where nobody told it."""
        return self.share if self.images is None else self.images

    @property
    def mean(self) -> float | None:
        """Of the scores; None without any."""
        return fmean(self.scores.values()) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation (n - 1) of the scores; None below two."""
        return stdev(self.scores.values()) if len(self.scores) > 1 else None


@dataclass(frozen=True)
class CurveFindings:
    """All that may be said of a curve.

    Attributes:
        study: as its folder holds it; its rungs are the sizes.
        sizes: from the smallest on; without scores before test was read.
        metric: what decides.
        guess: what always naming the largest class has of it; of a command, what a run that diverged counts as.
        law: fitted to the sizes above chance; None before test was read, where fewer than two are, or the largest is
            not, and of a metric that is no share or whose most is not best: a law begins at guessing and ends at 1.
        curves: of each size, epoch by epoch.
        facts: what the trials took, failed at and warned of.
        nothing_learned: that no trial of any size learned anything; None where one did, or it cannot be told.
    """

    study: SavedStudy
    sizes: tuple[SizeResult, ...]
    metric: Metric
    guess: float
    law: PowerLaw | None
    curves: Curves
    facts: TrialFacts
    nothing_learned: NothingLearned | None = None

    @property
    def at_chance(self) -> tuple[SizeResult, ...]:
        """The sizes that are no better than guessing."""
        return tuple(size for size in self.sizes if size.at_chance)

    @property
    def of_command(self) -> bool:
        """Whether a command of the user's own was run: its images are not known, and sizes are shares of them."""
        return self.study.record.scores is not None

    @property
    def equal_steps(self) -> bool:
        """Whether every size was to take as many steps as the largest, and not as many epochs."""
        return len({size.epochs for size in self.sizes}) > 1

    def __repr__(self) -> str:
        gain = "not fitted" if self.law is None else f"twice the images: {100 * self.law.gain:+.2f} points"
        return f"<CurveFindings of {str(self.study.folder)[-200:]}: {len(self.sizes)} sizes, {gain}>"


def make_curve_findings(study: SavedStudy) -> CurveFindings:
    """Work out everything that may be said of a curve, finished or not."""
    learning, metric = judge_learning(study), study.record.measured_by
    largest = max(learning.largest or 0.0, 1 / len(study.record.data.class_names))
    counts = [study.record.data.counts["test"]] if metric.name == "accuracy" else class_counts(study)
    guess = largest if metric.name == "accuracy" else metric.diverged([count / sum(counts) for count in counts])
    told_by = _Told(metric, guess, largest)
    sizes = tuple(
        sorted((_size(study, rung, learning, told_by) for rung in study.record.rungs), key=lambda one: one.share)
    )
    law = None if learning.study is not None else _law(sizes, metric, metric.images(counts), guess)
    return CurveFindings(
        study, sizes, metric, guess, law, draw_up_curves(study), gather_trial_facts(study), learning.study
    )


def make_score_curve_findings(study: SavedStudy) -> CurveFindings:
    """Work out what may be said of a curve of a user's own command, which tells its scores and nothing of its images.

    The law begins at what a run that diverged counts as: for all that is known, at a share of 0.
    """
    metric = study.record.measured_by
    guess = metric.diverged([])
    sizes = tuple(
        sorted((_size_of_command(study, rung, metric, guess) for rung in study.record.rungs), key=lambda one: one.share)
    )
    law = _law(sizes, metric, None, guess)
    return CurveFindings(study, sizes, metric, guess, law, draw_up_curves(study), gather_trial_facts(study))


def _law(sizes: Sequence[SizeResult], metric: Metric, test_images: int | None, guess: float) -> PowerLaw | None:
    """Return the law through the sizes above chance; None where there are too few, or the largest is not above it.

    Args:
        test_images: None where they are not known, as no other images are.
    """
    told = [size for size in sizes if size.scores and not size.at_chance]
    if len(told) < 2 or told[-1] is not sizes[-1] or not has_law(metric):
        return None
    measured = [Measured(size.amount, tuple(1 - score for score in size.scores.values())) for size in told]
    return fit_power_law(measured, test_images, 1 - guess)


def has_law(metric: Metric) -> bool:
    """Whether a power law can be fitted to it: a share that is 1 at best."""
    return metric.share and metric.higher_is_better


@dataclass(frozen=True)
class _Told:
    """What sizes are measured by, what a trial that diverged counts as, and the accuracy of the largest class."""

    metric: Metric
    diverged: float
    largest: float


def _size(study: SavedStudy, rung: RungRecord, learning: Learning, by: _Told) -> SizeResult:
    record = study.record
    trials = () if study.unread or study.missing else study.of_rung(rung.name)
    # A trial that was stopped says nothing about accuracy; one that diverged counts as guessing.
    told = ((trial.seed, by.diverged if trial.result.diverged else by.metric.on_test(trial.result)) for trial in trials)
    scores = {seed: score for seed, score in told if score is not None}
    accuracies = [
        by.largest if one.result.diverged else one.result.test_accuracy or 0.0 for one in trials if one.seed in scores
    ]
    failed = tuple(trial.seed for trial in trials if trial.result.status == "failed")
    whole = record.data.counts["train"]
    images = rung.images or whole
    epochs, batch_size = int(rung.recipe["epochs"]), int(rung.recipe.get("batch_size", _USUAL_BATCH))
    above = bool(scores) and is_above_guessing(fmean(accuracies), by.largest, record.data.counts["test"])
    if above and has_law(by.metric):
        above = fmean(scores.values()) > by.diverged  # else a law has nowhere to begin
    at_chance = bool(scores) and (rung.name in learning.rungs or not above)
    steps = epochs * count_steps(images, batch_size)
    return SizeResult(images, scores, failed, epochs, steps, at_chance, images / whole)


def _size_of_command(study: SavedStudy, rung: RungRecord, metric: Metric, guess: float) -> SizeResult:
    trials = () if study.unread or study.missing else study.of_rung(rung.name)
    told = ((trial.seed, guess if trial.result.diverged else metric.on_test(trial.result)) for trial in trials)
    scores = {seed: score for seed, score in told if score is not None}
    failed = tuple(trial.seed for trial in trials if trial.result.status == "failed")
    # A law begins at guessing, and has no place for what is not above it.
    at_chance = bool(scores) and has_law(metric) and fmean(scores.values()) <= guess
    return SizeResult(None, scores, failed, 0, 0, at_chance, float(rung.recipe["fraction"]))


def to_curve_document(findings: CurveFindings) -> dict[str, Any]:
    """Return findings as plain values, as ``verdicts.json`` has them; shares are fractions of 1."""
    law = findings.law
    return {
        "version": 5,
        "plan": findings.study.record.plan,
        "metric": findings.metric.name,
        "plan_hash": findings.study.record.plan_hash,
        "edited": findings.study.edited,
        "nothing_learned": None if findings.nothing_learned is None else asdict(findings.nothing_learned),
        "guess": findings.guess,
        "sizes": [asdict(size) for size in findings.sizes],
        "power_law": None if law is None else _law_document(law),
    }


def _law_document(law: PowerLaw) -> dict[str, Any]:
    table = {key: value for key, value in asdict(law).items() if key != "line"}
    return table | {"gain": law.gain, "gain_interval": law.gain_interval}
