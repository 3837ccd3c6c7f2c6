"""Everything that may be said of a study, worked out once; whoever draws it reads this and computes nothing.

Terminal, Markdown, page, figures, JSON and notebook say the same because they read the same value. ``verdicts.json``
is :class:`Findings`, serialized.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from functools import cached_property
from statistics import fmean, stdev
from typing import Any

import numpy as np

from stepladder.errors import StepladderError, printable
from stepladder.network.find import FoundNetwork, find_network
from stepladder.network.inspection import Inspection, inspect_network
from stepladder.recipe import parse_recipe
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.bag_files import SavedBag, study_bag
from stepladder.studies.files.gallery import Gallery, read_gallery
from stepladder.studies.files.images import read_labels
from stepladder.studies.files.records import SavedStudy, SavedTrial
from stepladder.studies.files.store import refuse_damaged_predictions
from stepladder.studies.judging.advice import advise
from stepladder.studies.judging.answers import ModelAnswers, read_answers
from stepladder.studies.judging.choice import SAME, Choice, choose_recipe, rank_on_validation
from stepladder.studies.judging.curves import Curves, draw_up_curves
from stepladder.studies.judging.diagnosis import Diagnosis, diagnose
from stepladder.studies.judging.learning import UNEVEN, Learning, NothingLearned, judge_learning
from stepladder.studies.judging.points import SweepFindings, make_sweep_findings
from stepladder.studies.judging.sizes import CurveFindings, make_curve_findings, make_score_curve_findings
from stepladder.studies.judging.statistics import (
    Effect,
    RungSummary,
    cut_interval,
    guess_of,
    judged_together,
    summarize_rungs,
    weigh_effects,
    welch_interval,
)
from stepladder.studies.judging.test_set import TestSet, judge_test_set
from stepladder.studies.judging.trial_facts import FailedTrial, TrialFacts, gather_trial_facts
from stepladder.training.metrics import Metric

#: Raised with every change of ``verdicts.json`` that a reader of the file would misread.
VERDICTS_VERSION = 5


@dataclass(frozen=True)
class Limits:
    """What a reader must know before any figure.

    Attributes:
        edited: how the plan was changed after it had been written, one sentence; None where it was not.
        added_before, added_after: seeds that were not in the plan, asked for before and after test was read.
        read_again: whether test was read again for trials that had been read before.
        failed: the trials that failed, in plan order.
        failed_counts_as: what a seed that diverged counts as in every difference, in the metric's unit. One that was
            stopped is in no difference.
        planned, missing: trials that there should be by now, and those that have not ended.
        finished: whether any trial has finished.
        read: whether test has been read for all trials that finished, and any did.
        watched_test: whether no image was left for validation, so that the test curve was watched.
    """

    edited: str | None
    added_before: tuple[int, ...]
    added_after: tuple[int, ...]
    read_again: bool
    failed: tuple[FailedTrial, ...]
    failed_counts_as: float
    planned: int
    missing: int
    finished: bool
    read: bool
    watched_test: bool

    def __repr__(self) -> str:
        trials = f"{self.planned} trials planned, {self.missing} missing, {len(self.failed)} failed"
        return f"<Limits: {trials}, test {'read' if self.read else 'not read'}{', edited' if self.edited else ''}>"


@dataclass(frozen=True)
class Uneven:
    """Classes of which one has several times the images of another: the largest and the smallest, in all splits.

    Attributes:
        images: of all classes together.
    """

    images: int
    largest: str
    most: int
    smallest: str
    fewest: int


class ShownReason(StrEnum):
    """How the one model was found whose mistakes are shown."""

    CHOSEN = "chosen"  # by validation, as the recipe to use now is
    NO_VALIDATION = "no validation"  # nothing may choose: the highest rung's first seed
    ALL_FAILED = "all failed"  # in every rung a trial failed: the highest rung's first seed


@dataclass(frozen=True)
class ShownModel:
    """A trial whose model stands for the study, and how it was found.

    Attributes:
        seeds: finished seeds of its rung; the one shown is the best of them on validation.
        best: the rung with the highest validation accuracy, where its own is another one, within noise and simpler.
    """

    trial: SavedTrial
    reason: ShownReason
    seeds: int
    best: str | None = None

    @property
    def recommended(self) -> bool:
        """Whether validation chose it."""
        return self.reason is ShownReason.CHOSEN


@dataclass(frozen=True)
class ShownNetwork:
    """The network of a rung on the study's images."""

    rung: str
    inspection: Inspection


@dataclass(frozen=True)
class Order:
    """Whether a technique does as much on the ladder as left out of all.

    Attributes:
        apart: techniques whose two intervals, which hold at once, do not meet.
        alike: those whose intervals do.
    """

    apart: tuple[str, ...]
    alike: tuple[str, ...]


@dataclass(frozen=True)
class BagResult:
    """The study's bag of words, which is no rung and takes part in no verdict.

    Attributes:
        scores: of the plan's metric on test by seed; none for a metric that needs probabilities.
        rung: the first rung, with which its accuracy is compared; ``difference`` is that rung's mean less the bag's.
        bounds: Welch's 95 % interval of the difference; the seeds of both have nothing in common, so nothing is paired.
    """

    saved: SavedBag
    scores: tuple[float, ...]
    mean: float | None
    sd: float | None
    train: float
    validation: float | None
    seconds: float
    missing: int
    rung: str
    difference: float | None
    bounds: tuple[float, float] | None


@dataclass(frozen=True)
class Findings:
    """All that may be said of a study that compares rungs on test.

    Attributes:
        study: as its folder holds it.
        metric: what rungs are compared by.
        rungs, effects: in plan order.
        together, interactions: contrasts that share the error rate: the techniques', and the interactions' apart.
        order: of a plan with ladder and leave-one-out; None for others.
        gain: what the Shapley values add up to; None where the plan has none, or their seeds differ.
        highest: rungs with the best mean on test: a description, which chooses nothing.
        test_set: what holds on new images like the test images; None before these were read.
        diagnosis: what the curves of each rung show, and what to try next.
        advice: what to try next, one sentence, for the rung that matters; None where there is nothing to say.
        shown, answers, gallery: the one model whose mistakes are shown; None where there is none.
        bag: the bag of words beside the rungs; None where there is none.
        facts: what the trials took, failed at and warned of.
        learning: which rungs learned nothing, and whether all did.
        uneven: the classes, where they are so uneven that accuracy says little of the small ones; None elsewhere, or
            where the folder keeps no labels.
    """

    study: SavedStudy
    metric: Metric
    limits: Limits
    rungs: tuple[RungSummary, ...]
    effects: tuple[Effect, ...]
    together: int
    interactions: int
    order: Order | None
    gain: float | None
    highest: tuple[str, ...]
    choice: Choice
    test_set: TestSet | None
    diagnosis: tuple[Diagnosis, ...]
    advice: str | None
    curves: Curves
    shown: ShownModel | None
    answers: ModelAnswers | None
    gallery: Gallery | None
    bag: BagResult | None
    facts: TrialFacts
    learning: Learning
    uneven: Uneven | None = None

    @property
    def nothing_learned(self) -> NothingLearned | None:
        """That no trial learned anything, which is said before all else; None where one did, or it cannot be told."""
        return self.learning.study

    @cached_property
    def unjudged(self) -> frozenset[tuple[str, ContrastKind]]:
        """The contrasts, by name and kind, all of whose rungs learned nothing: their difference says nothing."""
        return frozenset(
            (one.name, one.design)
            for one in self.study.record.contrasts
            if set(one.weights) <= self.learning.rungs.keys()
        )

    def on_new_images(self, effect: Effect) -> tuple[float, float] | None:
        """Return the interval of an effect on new images like the test images; None where there is none."""
        if self.test_set is None:
            return None
        return next(bounds for each, bounds in zip(self.effects, self.test_set.effects, strict=True) if each is effect)

    @cached_property
    def techniques(self) -> tuple[Effect, ...]:
        """The effects of techniques, without the interactions."""
        return tuple(effect for effect in self.effects if not effect.is_interaction)

    @property
    def unseen(self) -> int:
        """How many comparisons share the error rate of the techniques, and are not shown."""
        return self.together - len(self.techniques)

    @cached_property
    def kinds(self) -> tuple[ContrastKind, ...]:
        """What the plan asks of techniques, in its order."""
        return tuple(dict.fromkeys(effect.design for effect in self.techniques))

    @cached_property
    def network(self) -> ShownNetwork | None:
        """The network of the shown model; None where the study's files do not tell it. Worked out when asked for."""
        return find_shown_network(self.study, self.shown)

    def rung(self, name: str) -> RungSummary:
        """Return the summary of a rung."""
        return next(rung for rung in self.rungs if rung.rung == name)

    def __repr__(self) -> str:
        verdicts = Counter(effect.verdict or "no verdict" for effect in self.techniques)
        each = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.items()) or "nothing compared"
        return printable(f"<Findings of {self.study.folder}: {each}>")


def make_findings(study: SavedStudy) -> Findings:
    """Work out everything that may be said of a study, finished or not.

    Raises:
        StorageError: a saved file is damaged.
    """
    record, metric = study.record, study.record.measured_by
    rungs = summarize_rungs(study)
    learning = judge_learning(study)
    effects = _without_claims(study, weigh_effects(study, rungs), learning)
    facts = gather_trial_facts(study)
    limits = _limits(study, rungs, metric, facts.failed)
    shown = find_shown_model(study)
    choice = choose_recipe(study, effects, learning)
    matters = (choice.rung, choice.best, None if shown is None else shown.trial.rung)
    advice = advise(study, diagnose(study, learning), learning, matters)
    answers = read_answers(study, shown.trial) if shown and not study.unread else None
    gallery = read_gallery(study.folder, len(record.data.class_names)) if answers else None
    if gallery is not None and shown is not None and gallery.trial != shown.trial.result.trial:
        gallery = None  # of a model that more seeds have replaced
    return Findings(
        study=study,
        metric=metric,
        limits=limits,
        rungs=rungs,
        effects=effects,
        together=judged_together(record),
        interactions=judged_together(record, interaction=True),
        order=_order(effects),
        gain=_gain(effects),
        highest=_highest(rungs, metric),
        choice=choice,
        test_set=judge_test_set(study, effects) if study.trials and not study.unread else None,
        diagnosis=advice.diagnosis,
        advice=advice.study,
        curves=draw_up_curves(study),
        shown=shown,
        answers=answers,
        gallery=gallery,
        bag=_bag(study, rungs),
        facts=facts,
        learning=learning,
        uneven=find_uneven(study),
    )


def make_score_findings(study: SavedStudy) -> Findings:
    """Work out what may be said of scores that another program made: all of it that needs no image and no model."""
    rungs = summarize_rungs(study)
    effects = tuple(_without_constants(rungs, effect) for effect in weigh_effects(study, rungs))
    facts = gather_trial_facts(study)
    learning = Learning({})
    metric = study.record.measured_by
    return Findings(
        study=study,
        metric=metric,
        limits=replace(_limits(study, rungs, metric, facts.failed), watched_test=False),
        rungs=rungs,
        effects=effects,
        together=judged_together(study.record),
        interactions=judged_together(study.record, interaction=True),
        order=_order(effects),
        gain=_gain(effects),
        highest=_highest(rungs, metric),
        choice=choose_recipe(study, effects, learning),
        test_set=None,
        diagnosis=(),
        advice=None,
        curves=draw_up_curves(study),
        shown=None,
        answers=None,
        gallery=None,
        bag=None,
        facts=facts,
        learning=learning,
    )


def find_constants(rungs: Sequence[RungSummary]) -> tuple[str, ...]:
    """Return the rungs of which several seeds all have one score, as a program has that does not use its seed."""
    return tuple(rung.rung for rung in rungs if rung.n > 1 and len(set(rung.scores.values())) == 1)


def _without_constants(rungs: Sequence[RungSummary], effect: Effect) -> Effect:
    """Take the verdict off a comparison of two rungs whose seeds show no spread: they are one seed, many times over."""
    constant = set(find_constants(rungs))
    alone = {effect.rung, effect.below}
    if None in alone:  # of a factorial, which weighs all of its rungs
        alone = {rung.rung for rung in rungs}
    if alone <= constant:
        return replace(effect, verdict=None, interval=None, p_value=None, detectable=None)
    return effect


#: What may be said of a folder of trials, by the kind of its plan.
AnyFindings = Findings | SweepFindings | CurveFindings


def work_out(study: SavedStudy) -> AnyFindings:
    """Work out everything that may be said of a study, a sweep, a search or a curve.

    Raises:
        StorageError: a saved file is damaged.
    """
    record = study.record
    if record.scores is None:
        refuse_damaged_predictions(study)
    if record.sweep is not None:
        return make_sweep_findings(study)
    if record.is_curve:
        return make_curve_findings(study) if record.scores is None else make_score_curve_findings(study)
    return make_findings(study) if record.scores is None else make_score_findings(study)


def to_document(findings: Findings) -> dict[str, Any]:
    """Return findings as plain values, as ``verdicts.json`` has them; accuracies are fractions of 1.

    The same trials give the same document on any day and in any folder: times and paths are left out.
    """
    record = findings.study.record
    return {
        "version": VERDICTS_VERSION,
        "plan": record.plan,
        "plan_hash": record.plan_hash,
        "edited": findings.limits.edited,
        "metric": record.metric,
        "alpha": record.alpha,
        "smallest_effect": record.smallest_effect,
        "nothing_learned": None if findings.nothing_learned is None else asdict(findings.nothing_learned),
        "limits": asdict(findings.limits),
        "rungs": [_without(asdict(rung), "seconds") for rung in findings.rungs],
        "effects": [_effect_document(effect) for effect in findings.effects],
        "judged_together": {"techniques": findings.together, "interactions": findings.interactions},
        "order": None if findings.order is None else asdict(findings.order),
        "gain": findings.gain,
        "highest": list(findings.highest),
        "choice": asdict(findings.choice),
        "test_set": None
        if findings.test_set is None
        else {field.name: _plain(getattr(findings.test_set, field.name)) for field in fields(findings.test_set)},
        "diagnosis": [_without(asdict(diagnosis), "steps") for diagnosis in findings.diagnosis],
        "advice": findings.advice,
        "uneven": None if findings.uneven is None else asdict(findings.uneven),
        "shown": None
        if findings.shown is None
        else {
            "rung": findings.shown.trial.rung,
            "seed": findings.shown.trial.seed,
            "trial": findings.shown.trial.result.trial,
            "reason": findings.shown.reason,
            "seeds": findings.shown.seeds,
            "best": findings.shown.best,
        },
        "answers": None if findings.answers is None else asdict(findings.answers),
        "bag_of_words": None if findings.bag is None else _without(asdict(findings.bag), "saved", "seconds"),
        "warnings": [list(warning) for warning in findings.facts.warnings],
    }


def _effect_document(effect: Effect) -> dict[str, Any]:
    document = asdict(effect) | {"seeds_needed": effect.seeds_needed}
    return _without(document, "paired") if effect.paired else document  # only what is not paired needs to say it


def find_uneven(study: SavedStudy) -> Uneven | None:
    """Return the largest and the smallest class where one has several times the images of the other; else None."""
    labels = read_labels(study.folder, study.record.data)
    if not labels:
        return None
    names = study.record.data.class_names
    counts = np.bincount(np.concatenate(list(labels.values())), minlength=len(names))
    most, fewest = int(counts.argmax()), int(counts.argmin())
    if counts[most] < UNEVEN * counts[fewest]:
        return None
    return Uneven(int(counts.sum()), names[most], int(counts[most]), names[fewest], int(counts[fewest]))


def find_shown_model(study: SavedStudy) -> ShownModel | None:
    """Return the model whose mistakes are shown; None where no trial has finished.

    The rung that validation chooses among those without a failed trial (``judging.choice``), and of its seeds the best
    on validation; the test images choose nothing. Without validation images nothing may choose, so it is the first seed
    of the highest rung that has finished.
    """
    finished = [trial for trial in study.trials if trial.result.status == "finished"]
    if not finished:
        return None
    ranking = rank_on_validation(study) if study.record.validation else None
    if ranking is None:
        name = next(
            rung.name for rung in reversed(study.record.rungs) if any(one.rung == rung.name for one in finished)
        )
        reason = ShownReason.NO_VALIDATION if study.record.validation == 0 else ShownReason.ALL_FAILED
    else:
        name, reason = ranking.chosen, ShownReason.CHOSEN
    trials = [trial for trial in finished if trial.rung == name]
    if ranking is None:
        return ShownModel(trials[0], reason, len(trials))
    metric = study.record.measured_by

    def worth(trial: SavedTrial) -> float:
        value = metric.on_validation(trial.result)
        return -math.inf if value is None else metric.sign * value

    trial = max(trials, key=worth)
    return ShownModel(trial, reason, len(trials), None if ranking.best == name else ranking.best)


def find_shown_network(study: SavedStudy, shown: ShownModel | None) -> ShownNetwork | None:
    """Return the network of the shown model as it was saved, techniques applied, else as its rung's recipe has it.

    Without a shown model, that of the highest rung. None where neither tells it: no report fails for a network that
    this version cannot read.
    """
    rung = next(rung for rung in reversed(study.record.rungs) if shown is None or rung.name == shown.trial.rung)
    height, width, channels = study.record.data.image_shape
    classes = len(study.record.data.class_names)
    for saved in (True, False):
        try:
            if saved:
                found = find_network("" if shown is None else str(shown.trial.folder / "model"))
            else:
                found = FoundNetwork("network", parse_recipe(rung.recipe).network)
            label = FoundNetwork(str(rung.recipe["name"]), found.network)
            shape = found.input_shape or (channels, height, width)
            return ShownNetwork(rung.name, inspect_network(label, shape, classes, batch_size=1))
        except (StepladderError, KeyError):
            continue
    return None


def _limits(study: SavedStudy, rungs: Sequence[RungSummary], metric: Metric, failed: tuple[FailedTrial, ...]) -> Limits:
    record = study.record
    added = () if record.spending == "open" else record.added  # there, any further look is planned
    return Limits(
        edited=study.edited,
        added_before=tuple(seed for each in added if not each.after_reading for seed in each.seeds),
        added_after=tuple(seed for each in added if each.after_reading for seed in each.seeds),
        read_again=any(reading.kind == "again" for reading in study.readings),
        failed=failed,
        failed_counts_as=guess_of(study, metric),
        planned=record.planned_trials,
        missing=study.missing,
        finished=len(failed) < len(study.trials),
        read=not study.unread and any(rung.mean is not None for rung in rungs),
        watched_test=record.validation == 0,
    )


def _without_claims(study: SavedStudy, effects: Sequence[Effect], learning: Learning) -> tuple[Effect, ...]:
    """Take the verdict off each contrast whose rungs all learned nothing; undecided claims nothing, and stays."""
    return tuple(
        replace(effect, verdict=None)
        if effect.verdict not in (None, "undecided") and set(contrast.weights) <= learning.rungs.keys()
        else effect
        for contrast, effect in zip(study.record.contrasts, effects, strict=True)
    )


def _order(effects: Sequence[Effect]) -> Order | None:
    ladder = {effect.name: effect for effect in effects if effect.design is ContrastKind.LADDER}
    left_out = {effect.name: effect for effect in effects if effect.design is ContrastKind.LEAVE_ONE_OUT}
    if not ladder or not left_out:
        return None
    apart: list[str] = []
    alike: list[str] = []
    for name, effect in ladder.items():
        one, other = effect.interval, left_out[name].interval if name in left_out else None
        if one is not None and other is not None:
            (apart if one[0] > other[1] or other[0] > one[1] else alike).append(name)
    return Order(tuple(apart), tuple(alike))


def _gain(effects: Sequence[Effect]) -> float | None:
    techniques = [effect for effect in effects if not effect.is_interaction]
    shares = [one.mean for one in techniques if one.design is ContrastKind.SHAPLEY and one.mean is not None]
    return sum(shares) if shares and len({effect.n for effect in techniques}) == 1 else None


def _highest(rungs: Sequence[RungSummary], metric: Metric) -> tuple[str, ...]:
    known = [rung.mean for rung in rungs if rung.mean is not None]
    if not known:
        return ()
    top = max(known) if metric.higher_is_better else min(known)
    return tuple(rung.rung for rung in rungs if rung.mean is not None and math.isclose(rung.mean, top, abs_tol=SAME))


#: Metrics that a machine without probabilities has, and where its ``result.json`` keeps them.
_BAG_FIELDS = {"accuracy": "test_accuracy", "macro_f1": "test_macro_f1"}


def _bag(study: SavedStudy, rungs: Sequence[RungSummary]) -> BagResult | None:
    found = study_bag(study)
    if found is None:
        return None
    results = found.results
    field = _BAG_FIELDS.get(study.record.metric)
    scores = [score for result in results if field and (score := getattr(result, field)) is not None]
    validation = [result.val_accuracy for result in results if result.val_accuracy is not None]
    theirs = list(rungs[0].scores.values()) if study.record.metric == "accuracy" and not study.unread else []
    comparable = bool(scores and theirs)
    return BagResult(
        saved=found,
        scores=tuple(scores),
        mean=fmean(scores) if scores else None,
        sd=stdev(scores) if len(scores) > 1 else None,
        train=fmean(result.train_accuracy for result in results),
        validation=fmean(validation) if validation else None,
        seconds=fmean(result.seconds for result in results),
        missing=found.record.seeds - len(results),
        rung=rungs[0].rung,
        difference=fmean(theirs) - fmean(scores) if comparable else None,
        bounds=cut_interval(welch_interval(theirs, scores), 1.0) if comparable else None,
    )


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
