"""Several studies side by side: what may be compared, and what their common rungs and seeds say.

Nobody planned such a comparison, so it claims less than a study does: it has intervals, adjusted for all of its
differences, and no verdict that a technique helped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Literal

import numpy as np

from stepladder.errors import StudyError
from stepladder.study.design.metrics import find_metric
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.alike import find_cautions, refuse_unlike
from stepladder.study.judging.statistics import paired_interval
from stepladder.study.judging.verdicts import judge, rounding_sd, weigh

#: What is compared, whatever metric each study judges by: every study has it.
METRIC = find_metric("accuracy")

Reading = Literal["higher", "lower", "equivalent", "undecided"]
_READINGS: tuple[Reading, ...] = ("higher", "lower", "equivalent", "undecided")


@dataclass(frozen=True)
class RungScores:
    """One rung of one study: test accuracies as fractions of 1.

    Attributes:
        study: its label.
        scores: by seed, finished trials whose test images were read.
        failed: seeds whose trial failed.
        mean, sd: over ``scores``, sd the sample standard deviation; None below one and two.
        interval: 95 % t-interval of the mean, for this rung alone; None below two seeds.
    """

    study: str
    rung: str
    scores: dict[int, float]
    failed: tuple[int, ...]
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None


@dataclass(frozen=True)
class Difference:
    """One rung that two studies have: the later study's test accuracy less the first's, paired by seed.

    Attributes:
        study, first: the labels of the two.
        by_seed: differences, fractions of 1; a failed trial counts as guessing.
        same: whether both trained the very same trials, so that there is nothing to compare.
        mean, interval: of the differences; the interval is adjusted for all differences of the comparison; None below
            one and two pairs.
        level: error of this one interval.
        reading: how the interval reads; None where there is none.
    """

    study: str
    first: str
    rung: str
    by_seed: dict[int, float]
    same: bool
    mean: float | None
    interval: tuple[float, float] | None
    level: float
    reading: Reading | None


@dataclass(frozen=True)
class Comparison:
    """What several studies say together.

    Attributes:
        labels: a name for each study, in the order given; the first is what the others are compared with.
        rungs: names of all rungs, in the order in which the studies have them.
        scores: a row a study and rung that it has.
        differences: a row a later study and rung that the first has too.
        alpha: chance that any of the intervals misses, over all of them.
        smallest_effect: what counts as equivalent, a fraction of 1.
        cautions: sentences on what the figures cannot say.
    """

    labels: tuple[str, ...]
    folders: tuple[Path, ...]
    data: str
    test_images: int
    rungs: tuple[str, ...]
    scores: tuple[RungScores, ...]
    differences: tuple[Difference, ...]
    alpha: float
    smallest_effect: float
    cautions: tuple[str, ...]

    def find(self, study: str, rung: str) -> RungScores | None:
        """Return a study's rung; None where it has none of that name."""
        return next((one for one in self.scores if (one.study, one.rung) == (study, rung)), None)


def compare_studies(studies: Sequence[SavedStudy]) -> Comparison:
    """Put studies of the same data, splits and budget side by side.

    With m rungs that a later study shares with the first and has trained otherwise, each difference gets the t-interval
    of level 1 - α/m (see ``study.judging.verdicts``), α being the smallest of the studies'.

    Raises:
        StudyError: fewer than two, one twice, or they cannot be compared; the sentence says in what they differ.
    """
    if len(studies) < 2:
        raise StudyError("a comparison takes two studies or more; give their folders")
    labels = _labels([study.folder for study in studies])
    for position, study in enumerate(studies):
        if study.folder.resolve() in [other.folder.resolve() for other in studies[:position]]:
            raise StudyError(f"{study.folder} is given twice; give each study once")
    for label, study in zip(labels[1:], studies[1:], strict=True):
        refuse_unlike(labels[0], studies[0].record, label, study.record)
    rungs = tuple(dict.fromkeys(rung.name for study in studies for rung in study.record.rungs))
    scores = tuple(
        _scores(label, study, rung.name)
        for label, study in zip(labels, studies, strict=True)
        for rung in study.record.rungs
    )
    first = studies[0].record
    alpha = min(study.record.alpha for study in studies)
    effects = [study.record.smallest_effect for study in studies if study.record.metric == METRIC.name]
    smallest = min(effects, default=METRIC.smallest_effect)
    shared = [
        (label, study, rung.name)
        for label, study in zip(labels[1:], studies[1:], strict=True)
        for rung in study.record.rungs
        if rung.name in {one.name for one in first.rungs}
    ]
    same = [_same_trials(studies[0], study, rung) for _, study, rung in shared]
    level = alpha / max(1, same.count(False))
    return Comparison(
        labels=labels,
        folders=tuple(study.folder for study in studies),
        data=first.data.name,
        test_images=first.data.counts["test"],
        rungs=rungs,
        scores=scores,
        differences=tuple(
            _difference(labels[0], studies[0], label, study, rung, level, smallest, is_same)
            for (label, study, rung), is_same in zip(shared, same, strict=True)
        ),
        alpha=alpha,
        smallest_effect=smallest,
        cautions=tuple(find_cautions(labels, studies)),
    )


def _labels(folders: Sequence[Path]) -> tuple[str, ...]:
    """Name each study by its folder, and by its whole path where two folders are called alike."""
    names = [folder.resolve().name for folder in folders]
    return tuple(name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True))


def _scores(label: str, study: SavedStudy, rung: str) -> RungScores:
    trials = study.of_rung(rung)
    scores = {trial.seed: trial.result.test_accuracy for trial in trials if trial.result.test_accuracy is not None}
    values = list(scores.values())
    return RungScores(
        study=label,
        rung=rung,
        scores=scores,
        failed=tuple(trial.seed for trial in trials if trial.result.status == "failed"),
        mean=math.fsum(values) / len(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        interval=paired_interval(values),
    )


def _same_trials(first: SavedStudy, study: SavedStudy, rung: str) -> bool:
    """Whether the two trained one recipe in one precision: a trial's name holds all that decides it."""
    ours, theirs = ({trial.result.trial for trial in one.of_rung(rung)} for one in (first, study))
    return bool(ours & theirs)


def _difference(
    first_label: str,
    first: SavedStudy,
    label: str,
    study: SavedStudy,
    rung: str,
    level: float,
    smallest_effect: float,
    same: bool,
) -> Difference:
    guess = METRIC.failed(len(first.record.data.class_names))
    ours, theirs = (_with_failures(one, rung, guess) for one in (first, study))
    by_seed = {seed: theirs[seed] - ours[seed] for seed in sorted(ours.keys() & theirs.keys())}
    values = np.array(list(by_seed.values()))
    evidence = None
    if len(values) >= 2 and not same:
        evidence = weigh(values, level, rounding_sd(first.record.data.counts["test"]))
    return Difference(
        study=label,
        first=first_label,
        rung=rung,
        by_seed=by_seed,
        same=same,
        mean=math.fsum(values) / len(values) if len(values) else None,
        interval=(float(evidence.low), float(evidence.high)) if evidence else None,
        level=level,
        reading=_READINGS[int(judge(evidence.low, evidence.high, smallest_effect))] if evidence else None,
    )


def _with_failures(study: SavedStudy, rung: str, guess: float) -> dict[int, float]:
    if study.unread:  # a failure is only held against what has been measured
        return {}
    found = {}
    for trial in study.of_rung(rung):
        value = guess if trial.result.status == "failed" else trial.result.test_accuracy
        if value is not None:
            found[trial.seed] = value
    return found
