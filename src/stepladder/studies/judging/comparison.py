"""Several studies side by side: what may be compared, and what their common rungs and seeds say.

Nobody planned such a comparison, so it claims less than a study does: it has intervals, adjusted for all of its
differences, and no verdict that a technique helped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any, Literal

import numpy as np

from stepladder.errors import StudyError, printable
from stepladder.studies.files.integrity import differences
from stepladder.studies.files.records import SavedStudy, StudyRecord
from stepladder.studies.judging.statistics import class_counts, cut_interval, guess_of, paired_interval, steps_of
from stepladder.studies.judging.verdicts import judge, rounding_sd, weigh
from stepladder.training.metrics import Metric, find_metric

#: What is compared where the studies are not judged by one metric: every study has it.
_COMMON = find_metric("accuracy")

Reading = Literal["higher", "lower", "equivalent", "undecided"]
_READINGS: tuple[Reading, ...] = ("higher", "lower", "equivalent", "undecided")
#: Settings named when two studies differ in more than these.
_MOST_NAMED = 4


@dataclass(frozen=True)
class RungScores:
    """One rung of one study, by the metric of the comparison, on test.

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
    """One rung that two studies have: the later study's figure on test less the first's, by seed; plus is better.

    Attributes:
        study, first: the labels of the two.
        by_seed: differences; a trial that diverged counts as guessing, one that was stopped is left
            out.
        same: whether both trained the very same trials, so that there is nothing to compare.
        other_budget: whether the two trained for other numbers of epochs or in other batches: then the difference is
            described and not judged.
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
    other_budget: bool = False


@dataclass(frozen=True)
class Comparison:
    """What several studies say together.

    Attributes:
        labels: a name for each study, in the order given; the first is what the others are compared with.
        metric: what all of them are judged by; accuracy where they differ in that.
        test_images: of every study; None where other programs measured.
        rungs: names of all rungs, in the order in which the studies have them.
        scores: a row a study and rung that it has.
        differences: a row a later study and rung that the first has too.
        alpha: chance that any of the intervals misses, over all of them.
        smallest_effect: what counts as equivalent, in the metric's unit.
        cautions: sentences on what the figures cannot say.
    """

    labels: tuple[str, ...]
    metric: Metric
    folders: tuple[Path, ...]
    data: str
    test_images: int | None
    rungs: tuple[str, ...]
    scores: tuple[RungScores, ...]
    differences: tuple[Difference, ...]
    alpha: float
    smallest_effect: float
    cautions: tuple[str, ...]

    def find(self, study: str, rung: str) -> RungScores | None:
        """Return a study's rung; None where it has none of that name."""
        return next((one for one in self.scores if (one.study, one.rung) == (study, rung)), None)

    def __repr__(self) -> str:
        studies, differences = f"{len(self.labels)} studies on {self.data}", f"{len(self.differences)} differences"
        return printable(f"<Comparison of {studies[:200]}: {differences} from {self.labels[0][:200]}>")


def compare_studies(studies: Sequence[SavedStudy]) -> Comparison:
    """Put studies of the same data and splits side by side.

    With m rungs that a later study shares with the first and has trained otherwise, each difference gets the t-interval
    of level 1 - α/m (see ``judging.verdicts``), α being the smallest of the studies'. A study with another budget than
    the first is described beside it and not judged.

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
        _refuse_unlike(labels[0], studies[0].record, label, study.record)
    rungs = tuple(dict.fromkeys(rung.name for study in studies for rung in study.record.rungs))
    metric = _common_metric(studies)
    scores = tuple(
        _scores(label, study, rung.name, metric)
        for label, study in zip(labels, studies, strict=True)
        for rung in study.record.rungs
    )
    first = studies[0].record
    alpha = min(study.record.alpha for study in studies)
    effects = [study.record.smallest_effect for study in studies if study.record.metric == metric.name]
    smallest = min(effects, default=metric.smallest_effect)
    shared = [
        (label, study, rung.name)
        for label, study in zip(labels[1:], studies[1:], strict=True)
        for rung in study.record.rungs
        if rung.name in {one.name for one in first.rungs}
    ]
    unlike = [bool(_budgets_that_differ(first, study.record)) for _, study, _ in shared]
    same = [_same_trials(studies[0], study, rung) for _, study, rung in shared]
    level = alpha / max(1, sum(not (one or other) for one, other in zip(same, unlike, strict=True)))
    # All have the same test images; only of a study with a trial that diverged are their labels looked at.
    diverged = [one for one in studies if any(trial.result.diverged for trial in one.trials)]
    guess = guess_of(diverged[0] if diverged else studies[0], metric)
    if first.scores is not None:
        images = steps_of(first, [value for one in scores for value in one.scores.values()])
    else:
        images = first.data.counts["test"] if metric.name == _COMMON.name else metric.images(class_counts(studies[0]))
    floor = rounding_sd(images) if metric.share else 0.0
    return Comparison(
        labels=labels,
        metric=metric,
        folders=tuple(study.folder for study in studies),
        data=first.data.name,
        test_images=first.data.counts.get("test"),
        rungs=rungs,
        scores=scores,
        differences=tuple(
            _difference(
                (labels[0], studies[0]),
                (label, study),
                rung,
                _Terms(metric, level, smallest, floor, guess, is_same, is_unlike),
            )
            for (label, study, rung), is_same, is_unlike in zip(shared, same, unlike, strict=True)
        ),
        alpha=alpha,
        smallest_effect=smallest,
        cautions=tuple(_find_cautions(labels, studies)),
    )


def _labels(folders: Sequence[Path]) -> tuple[str, ...]:
    """Name each study by its folder, and by its whole path where two folders are called alike."""
    names = [folder.resolve().name for folder in folders]
    return tuple(name if names.count(name) == 1 else str(folder) for name, folder in zip(names, folders, strict=True))


def _common_metric(studies: Sequence[SavedStudy]) -> Metric:
    """Return what all studies are judged by; accuracy where they differ in that."""
    found = {study.record.measured_by.key: study.record.measured_by for study in studies}
    return next(iter(found.values())) if len(found) == 1 else _COMMON


def _scores(label: str, study: SavedStudy, rung: str, metric: Metric) -> RungScores:
    trials = study.of_rung(rung)
    scores = {trial.seed: value for trial in trials if (value := metric.on_test(trial.result)) is not None}
    values = list(scores.values())
    return RungScores(
        study=label,
        rung=rung,
        scores=scores,
        failed=tuple(trial.seed for trial in trials if trial.result.status == "failed"),
        mean=math.fsum(values) / len(values) if values else None,
        sd=stdev(values) if len(values) > 1 else None,
        interval=cut_interval(paired_interval(values), metric.most, metric.least),
    )


def _same_trials(first: SavedStudy, study: SavedStudy, rung: str) -> bool:
    """Whether the two trained one recipe in one precision: a trial's name holds all that decides it."""
    ours, theirs = ({trial.result.trial for trial in one.of_rung(rung)} for one in (first, study))
    return bool(ours & theirs)


@dataclass(frozen=True)
class _Terms:
    """How a difference is judged: by what, the level of its interval, what counts as equivalent, the spread of rounding
    alone, what a trial that diverged counts as, and whether both trained the same trials, or with other budgets."""

    metric: Metric
    level: float
    smallest_effect: float
    floor: float
    guess: float
    same: bool
    other_budget: bool


def _difference(one: tuple[str, SavedStudy], other: tuple[str, SavedStudy], rung: str, terms: _Terms) -> Difference:
    (first_label, first), (label, study) = one, other
    metric = terms.metric
    ours, theirs = (_with_diverged(one, rung, metric, terms.guess) for one in (first, study))
    by_seed = {seed: metric.sign * (theirs[seed] - ours[seed]) for seed in sorted(ours.keys() & theirs.keys())}
    values = np.array(list(by_seed.values()))
    evidence = None
    if len(values) >= 2 and not terms.same and not terms.other_budget:
        evidence = weigh(values, terms.level, terms.floor)
    return Difference(
        study=label,
        first=first_label,
        rung=rung,
        by_seed=by_seed,
        same=terms.same,
        mean=math.fsum(values) / len(values) if len(values) else None,
        interval=cut_interval((float(evidence.low), float(evidence.high)), metric.reach) if evidence else None,
        level=terms.level,
        reading=_READINGS[int(judge(evidence.low, evidence.high, terms.smallest_effect))] if evidence else None,
        other_budget=terms.other_budget,
    )


def _with_diverged(study: SavedStudy, rung: str, metric: Metric, guess: float) -> dict[int, float]:
    if study.unread:  # that it diverged is only held against what has been measured
        return {}
    found = {}
    for trial in study.of_rung(rung):
        value = guess if trial.result.diverged else metric.on_test(trial.result)
        if value is not None:
            found[trial.seed] = value
    return found


def _refuse_unlike(first: str, one: StudyRecord, label: str, other: StudyRecord) -> None:
    """Refuse to compare two studies that differ in data or splits: their figures are of other images."""
    if one.scores is not None or other.scores is not None:
        _refuse_unlike_scores(first, one, label, other)
        return
    reasons = []
    if one.data.fingerprint != other.data.fingerprint:
        reasons.append(f"other data ({one.data.name} and {other.data.name}, whose images or labels differ)")
    elif one.data.split != other.data.split:
        counts = [", ".join(f"{n:,} {name}" for name, n in record.data.counts.items()) for record in (one, other)]
        reasons.append(f"other splits ({counts[0]} in the one; {counts[1]} in the other)")
    if reasons:
        raise StudyError(
            f"{first} and {label} cannot be compared, because they have {'; and '.join(reasons)}; "
            "run one of them again with the settings of the other"
        )


def _refuse_unlike_scores(first: str, one: StudyRecord, label: str, other: StudyRecord) -> None:
    """Refuse to compare scores that are not of one kind: whether they are of the same images, only their users know."""
    if one.sweep is not None or other.sweep is not None:
        which = first if one.sweep is not None else label
        raise StudyError(f"{which} is a sweep, which keeps no test score; compare studies")
    if one.scores is None or other.scores is None:
        which = first if one.scores is None else label
        raise StudyError(
            f"{first} and {label} cannot be compared: {which} trained on images here, and the other ran a program "
            "whose images nobody knows; compare studies of one kind"
        )
    if one.measured_by.key != other.measured_by.key or (
        (one.scores.share, one.scores.higher_is_better) != (other.scores.share, other.scores.higher_is_better)
    ):
        raise StudyError(
            f"{first} and {label} cannot be compared: their scores are {one.metric} and {other.metric}, in other units "
            "or with another direction; run one of them again with the settings of the other"
        )


def _budgets_that_differ(one: StudyRecord, other: StudyRecord) -> list[str]:
    """Return how two studies differ in epochs and images a batch, a phrase each."""
    phrases = []
    for name, unit in (("epochs", "epochs"), ("batch_size", "images a batch")):
        here, there = (sorted({str(rung.recipe.get(name)) for rung in record.rungs}) for record in (one, other))
        if here != there:
            phrases.append(f"{' or '.join(here)} and {' or '.join(there)} {unit}")
    return phrases


def _find_cautions(labels: Sequence[str], studies: Sequence[SavedStudy]) -> list[str]:
    """Return what a comparison of ``studies`` cannot say, and what else they differ in, a sentence each."""
    found = [
        "This comparison was not planned: the studies may have been chosen by their results. The intervals allow for "
        "the number of differences here, not for that choice. Where a difference matters, run one study with both as "
        "rungs."
    ]
    names = [study.record.metric for study in studies]
    if len({study.record.measured_by.key for study in studies}) > 1:
        found.append(f"The studies are judged by different metrics ({', '.join(names)}), so accuracy is compared here.")
    for label, study in zip(labels, studies, strict=True):
        if study.edited:
            found.append(f"{label}: {study.edited}.")
        if study.missing:
            found.append(
                f"{label} is unfinished: {study.missing} of {study.record.planned_trials} trials have not ended."
            )
        if study.unread:
            found.append(f"{label}: test was not read for all of its trials.")
        if study.record.scores is not None and not study.record.scores.reads_test:
            found.append(f"The command of {label} read test in every run, so nothing tells whether it chose anything.")
        elif study.record.scores is None and study.record.validation == 0:
            found.append(f"{label} had no validation images, so its test curve was watched.")
    first = studies[0].record
    if first.scores is not None:
        found.append(
            "Nothing here can tell whether the commands were scored on the same images, or whether a seed means the "
            "same in each. Differences are taken seed by seed."
        )
    for label, study in zip(labels[1:], studies[1:], strict=True):
        if phrases := _budgets_that_differ(first, study.record):
            found.append(
                f"{labels[0]} and {label} had other budgets ({'; '.join(phrases)}), so {label} stands beside it and is "
                "not judged: a difference may come from the budget alone."
            )
        # The images and seeds are either alike or said elsewhere.
        places = f"in {labels[0]}", f"in {label}"
        named = _settings_that_differ(first, study.record, places)
        more = f"; and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        if named:
            found.append(f"What differs: {'; '.join(named[:_MOST_NAMED])}{more}.")
        found += _unlike(labels[0], label, first, study.record)
    return found


def _settings_that_differ(one: StudyRecord, other: StudyRecord, places: tuple[str, str]) -> list[str]:
    """Return what the rungs that both have were trained with differently, a phrase each."""
    ours, theirs = ({rung.name: rung for rung in record.rungs} for record in (one, other))
    shared = [name for name in ours if name in theirs]
    trimmed = [
        record.model_copy(
            update={
                "rungs": tuple(
                    rungs[name].model_copy(update={"recipe": _without(rungs[name].recipe, "name", "network")})
                    for name in shared
                ),
                # What the study was to find out, and with how many seeds, is no setting of its trials.
                "plan": "",
                "looks": one.looks,
                "metric": one.metric,
                "costs": one.costs,
                "alpha": one.alpha,
                "smallest_effect": one.smallest_effect,
                "data": one.data,
                "contrasts": one.contrasts,
                "scores": one.scores,
            }
        )
        for record, rungs in ((one, ours), (other, theirs))
    ]
    phrases = differences(trimmed[0], trimmed[1], places)
    if one.scores is None and any(
        ours[name].recipe.get("network") != theirs[name].recipe.get("network") for name in shared
    ):
        phrases = [f"the networks ({ours[shared[0]].recipe['name']} and {theirs[shared[0]].recipe['name']})", *phrases]
    return phrases


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _unlike(first: str, label: str, one: StudyRecord, other: StudyRecord) -> list[str]:
    told: list[tuple[str, Callable[[StudyRecord], str]]] = [
        ("versions", lambda record: ", ".join(f"{name} {at}" for name, at in sorted(record.versions.items()))),
        ("machines", lambda record: record.machine.accelerator or record.machine.processor),
    ]
    return [
        f"{first} and {label} ran with different {what}, and may differ for that alone: {say(one)}; {say(other)}."
        for what, say in told
        if say(one) != say(other)
    ]
