"""What a curve over training images says: test accuracy by size, and a power law through it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

import numpy as np

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.curves import Curves, draw_up_curves
from stepladder.studies.judging.learning import NothingLearned, judge_learning
from stepladder.studies.judging.trial_facts import TrialFacts, gather_trial_facts

#: Confidence of the intervals here.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PowerLaw:
    """error = scale · images^(-exponent); errors are fractions of 1.

    Attributes:
        exponent: with ``exponent_interval``, its 95 % t-interval; where that holds zero, more images may bring nothing.
        images: the largest number of images that was tried.
        error: fitted at ``images``.
        gain: how much less the error would be with twice as many images, with ``gain_interval`` by the exponent's.
    """

    scale: float
    exponent: float
    exponent_interval: tuple[float, float]
    images: int
    error: float
    gain: float
    gain_interval: tuple[float, float]

    def at(self, images: float) -> float:
        """Return the fitted error."""
        return float(self.scale * images**-self.exponent)


@dataclass(frozen=True)
class SizeResult:
    """The trials of one size: test accuracy by seed, a failed one as guessing, with ``failed`` seeds named."""

    images: int
    scores: dict[int, float]
    failed: tuple[int, ...]

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
        law: fitted to all trials; None before test was read, and where nothing was learned.
        curves: of each size, epoch by epoch.
        facts: what the trials took, failed at and warned of.
        nothing_learned: that no trial of any size learned anything; None where one did, or it cannot be told.
    """

    study: SavedStudy
    sizes: tuple[SizeResult, ...]
    law: PowerLaw | None
    curves: Curves
    facts: TrialFacts
    nothing_learned: NothingLearned | None = None

    def __repr__(self) -> str:
        gain = "not read yet" if self.law is None else f"twice the images: {100 * self.law.gain:+.2f} points"
        return f"<CurveFindings of {str(self.study.folder)[-200:]}: {len(self.sizes)} sizes, {gain}>"


def make_curve_findings(study: SavedStudy) -> CurveFindings:
    """Work out everything that may be said of a curve, finished or not."""
    guess = 1 / len(study.record.data.class_names)
    sizes = []
    for rung in study.record.rungs:
        trials = () if study.unread or study.missing else study.of_rung(rung.name)
        scores = {
            trial.seed: guess if trial.result.test_accuracy is None else trial.result.test_accuracy for trial in trials
        }
        failed = tuple(trial.seed for trial in trials if trial.result.status == "failed")
        sizes.append(SizeResult(rung.images or study.record.data.counts["train"], scores, failed))
    points = [(size.images, 1 - score) for size in sizes for score in size.scores.values()]
    law = None
    nothing = judge_learning(study).study
    if nothing is None and len({images for images, _ in points}) > 1 and len(points) > 2:
        test_images = study.record.data.counts["test"]
        law = fit_power_law([images for images, _ in points], [error for _, error in points], test_images)
    return CurveFindings(study, tuple(sizes), law, draw_up_curves(study), gather_trial_facts(study), nothing)


def to_curve_document(findings: CurveFindings) -> dict[str, Any]:
    """Return findings as plain values, as ``verdicts.json`` has them; accuracies are fractions of 1."""
    return {
        "version": 4,
        "plan": findings.study.record.plan,
        "plan_hash": findings.study.record.plan_hash,
        "edited": findings.study.edited,
        "nothing_learned": None if findings.nothing_learned is None else asdict(findings.nothing_learned),
        "sizes": [asdict(size) for size in findings.sizes],
        "power_law": None if findings.law is None else asdict(findings.law),
    }


def fit_power_law(images: Sequence[int], errors: Sequence[float], test_images: int) -> PowerLaw:
    """Fit log error = log scale - exponent · log images by least squares, a point a trial.

    Errors fall so over wide ranges of size (Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017).
    A floor that no number of images gets under is not fitted: a few sizes cannot tell it from a smaller exponent, so
    what doubling brings may come out too large near such a floor.

    Args:
        images: training images, one a trial, at least two different ones and three trials.
        errors: 1 - test accuracy; a trial without any error counts as half an image wrong, since zero has no logarithm.
        test_images: what the errors are shares of.
    """
    import statsmodels.api as sm

    assert len(set(images)) > 1
    assert len(images) > 2
    logs = np.log(np.maximum(errors, 0.5 / test_images))
    fit = sm.OLS(logs, sm.add_constant(np.log(np.asarray(images, dtype=np.float64)))).fit()
    intercept, slope = (float(value) for value in fit.params)
    low, high = (float(value) for value in fit.conf_int(1 - CONFIDENCE)[1])
    largest = max(images)
    error = math.exp(intercept + slope * math.log(largest))

    def gain(exponent: float) -> float:
        return error * (1 - 2**-exponent)

    return PowerLaw(
        scale=math.exp(intercept),
        exponent=-slope,
        exponent_interval=(-high, -low),
        images=largest,
        error=error,
        gain=gain(-slope),
        gain_interval=(gain(-high), gain(-low)),
    )
