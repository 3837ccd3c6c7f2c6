"""From a study to what a pool keeps of it: each contrast and its standard error, in the metric's unit and as odds."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import stdev
from typing import Any

from stepladder.errors import RecipeError, StudyError
from stepladder.network.presets import preset_of
from stepladder.recipe import parse_recipe
from stepladder.studies.design.rules import FEWEST_JUDGED
from stepladder.studies.files.records import ContrastRecord, RungRecord, StudyRecord
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import Findings, work_out
from stepladder.studies.judging.statistics import Effect, overlap_of
from stepladder.studies.judging.verdicts import rounding_sd
from stepladder.studies.pool.files import EffectRecord, NetworkRecord, PartRecord, RungScores, SetRecord


@dataclass(frozen=True)
class LeftOut:
    """A contrast that takes part in no pooled effect, and why.

    Attributes:
        study: what the pool calls the study that it is of.
        name: what the study calls the contrast.
        why: the reason, half a sentence.
    """

    study: str
    name: str
    why: str


@dataclass(frozen=True)
class DescribedStudy:
    """What a pool reads of a study.

    Attributes:
        left_out: contrasts that no pool could use.
        cautions: what a reader must know of the study, half a sentence each.
    """

    record: SetRecord
    left_out: tuple[LeftOut, ...]
    cautions: tuple[str, ...]


def describe_study(folder: Path) -> DescribedStudy:
    """Read a study, and keep of it what a pool needs.

    Raises:
        StudyError: the folder holds no study that compares rungs on test, or its test images were not read.
        StorageError: a saved file is damaged.
    """
    study = load_study(folder)
    findings = work_out(study)
    if not isinstance(findings, Findings):
        raise StudyError(f"{folder} holds a {study.record.plan}, which compares no rungs on test; give studies")
    if study.unread or not findings.limits.finished:
        raise StudyError(f"test has not been read for every trial of {folder}; finish it with: {study.record.command}")
    return describe_findings(findings)


def describe_findings(findings: Findings) -> DescribedStudy:
    """Keep of a study what a pool needs; see :func:`describe_study`."""
    study, record, metric = findings.study, findings.study.record, findings.metric
    label = record.data.name
    effects, left_out = [], []
    for contrast, effect in zip(record.contrasts, findings.effects, strict=True):
        if effect.is_interaction:
            continue
        if why := _unusable(findings, effect, record.rungs):
            left_out.append(LeftOut(label, effect.name, why))
        else:
            effects.append(_effect_record(findings, contrast, effect))
    cautions = [f"its plan was changed: {study.edited}"] if study.edited else []
    if study.missing:
        cautions.append(f"it is unfinished ({study.missing} of {record.planned_trials} trials have not ended)")
    if findings.limits.watched_test:
        cautions.append("it had no validation images, so its test curve was watched")
    return DescribedStudy(
        SetRecord(
            name=label,
            study=record.plan_hash,
            fingerprint=record.data.fingerprint,
            image_shape=record.data.image_shape,
            classes=len(record.data.class_names),
            images=record.data.counts,
            metric=metric.name,
            metric_key=metric.key or metric.name,
            unit=metric.unit,
            higher_is_better=metric.higher_is_better,
            smallest_effect=record.smallest_effect,
            alpha=record.alpha,
            plan=record.plan,
            seeds=len(record.seeds),
            versions=record.versions,
            machine=record.machine,
            precision=record.precision,
            effects=tuple(effects),
            rungs=tuple(
                RungScores(techniques=_techniques(rung), validation=summary.validation, test=summary.mean)
                for rung, summary in zip(record.rungs, findings.rungs, strict=True)
                if "techniques" in rung.recipe
            ),
        ),
        tuple(left_out),
        tuple(cautions),
    )


def _unusable(findings: Findings, effect: Effect, rungs: tuple[RungRecord, ...]) -> str:
    """Return why a contrast cannot be pooled; empty where it can."""
    if effect.mean is None or effect.sd is None or effect.n < FEWEST_JUDGED:
        return f"it has fewer than {FEWEST_JUDGED} seeds, and so no standard error"
    if (effect.name, effect.design) in findings.unjudged:
        return "none of its networks learned anything"
    if effect.sd == 0:
        return "its seeds show no spread at all, and so no standard error"
    if not all("techniques" in rung.recipe and "network" in rung.recipe for rung in rungs):
        return "another program trained it, whose techniques are not known"
    return ""


def _effect_record(findings: Findings, contrast: ContrastRecord, effect: Effect) -> EffectRecord:
    assert effect.mean is not None
    assert effect.sd is not None
    rungs = {rung.name: rung for rung in findings.study.record.rungs}
    first = rungs[next(iter(contrast.weights))].recipe
    error = effect.sd * math.sqrt(1 / effect.n + overlap_of(findings.study.record))
    odds = _log_odds(findings, contrast, effect)
    return EffectRecord(
        name=effect.name,
        kind=effect.design,
        parts=tuple(
            PartRecord(weight=weight, techniques=_techniques(rungs[name]), mean=_mean(findings, name))
            for name, weight in contrast.weights.items()
        ),
        network=describe_network(first),
        optimizer=str(first["optimizer"]["name"]),
        epochs=first["epochs"],
        batch_size=first["batch_size"],
        lr=first["optimizer"]["lr"],
        differences=effect.differences,
        n=effect.n,
        mean=effect.mean,
        error=error,
        interval=effect.interval,
        verdict=effect.verdict,
        log_odds=None if odds is None else odds[0],
        log_odds_error=None if odds is None else odds[1],
    )


def _techniques(rung: RungRecord) -> tuple[dict[str, Any], ...]:
    """A recipe's techniques with their options; which rung brought them in is a name, and no setting."""
    return tuple({key: value for key, value in one.items() if key != "rung"} for one in rung.recipe["techniques"])


def _mean(findings: Findings, rung: str) -> float:
    scores = _scores(findings, rung)
    return math.fsum(scores.values()) / len(scores)


def _scores(findings: Findings, rung: str) -> dict[int, float]:
    """A rung's scores by seed, as differences are made of them: one that diverged counts as guessing."""
    summary = findings.rung(rung)
    diverged = [seed for seed in summary.failed if seed not in summary.stopped]
    return summary.scores | dict.fromkeys(diverged, findings.limits.failed_counts_as)


def _log_odds(findings: Findings, contrast: ContrastRecord, effect: Effect) -> tuple[float, float] | None:
    """Return the contrast of the logits of the rungs' means over its seeds, and its standard error; None of no share.

    The error is the delta method's: a rung's logit moves by 1 / (p (1 - p)) of its mean's error, and seeds are paired
    as they are in the difference. A mean of 0 or 1 counts as half a test image away from it.
    """
    metric, record = findings.metric, findings.study.record
    if not metric.share or not metric.higher_is_better or not effect.paired:
        return None
    seeds = list(effect.differences)[: effect.n]
    images = record.data.counts["test"]
    means, slopes, scores = {}, {}, {name: _scores(findings, name) for name in contrast.weights}
    for name in contrast.weights:
        mean = math.fsum(scores[name][seed] for seed in seeds) / len(seeds)
        means[name] = min(max(mean, 0.5 / images), 1 - 0.5 / images)
        slopes[name] = 1 / (means[name] * (1 - means[name]))
    moved = {name: weight * slopes[name] for name, weight in contrast.weights.items()}
    each = [math.fsum(weight * scores[name][seed] for name, weight in moved.items()) for seed in seeds]
    sd = max(stdev(each), rounding_sd(images, list(moved.values())))
    odds = math.fsum(weight * math.log(means[name] / (1 - means[name])) for name, weight in contrast.weights.items())
    return odds, sd * math.sqrt(1 / len(seeds) + overlap_of(record))


def network_of_study(record: StudyRecord) -> str | None:
    """Return what a pool calls the network of a study; None of one that trained none of ours, as a command's."""
    recipe = record.rungs[0].recipe
    return describe_network(recipe).label if "network" in recipe else None


def describe_network(recipe: dict[str, Any]) -> NetworkRecord:
    """Return what a pool calls the network of a rung, and what identifies it.

    Args:
        recipe: of the rung, as a study's record has it.
    """
    table = recipe["network"]
    try:
        network = parse_recipe(recipe).network
        preset = preset_of(network)
        label = preset.name if preset else str(recipe["name"])
    except RecipeError:  # of an own network or technique whose file was not named again
        label = str(recipe["name"])
    digest = hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()
    return NetworkRecord(label=label, fingerprint=digest)
