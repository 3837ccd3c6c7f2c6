"""Reading the test images: after training, from the saved models, and noted in the study's folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from scipy import special
from torch import Tensor

from stepladder.datasets import Split
from stepladder.files import remove_parts, replace_text
from stepladder.model.card import CardFacts, ClassFigures, Mistake, render_card
from stepladder.model.folder import calibrate_model, load_folder
from stepladder.model.limits import read_limits, write_limits
from stepladder.model.torch_model import Model
from stepladder.model.training_images import read_training_images
from stepladder.model.unlikeness import write_unlikeness
from stepladder.studies.files.checksums import save_result
from stepladder.studies.files.gallery import read_gallery, write_gallery
from stepladder.studies.files.ledger import PlanRead, note_reading
from stepladder.studies.files.machine import now
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import (
    SCHEMA_VERSION,
    DataRecord,
    Reading,
    SavedStudy,
    SavedTrial,
    TrialResult,
)
from stepladder.studies.files.store import load_study, write_readings
from stepladder.studies.findings import find_shown_model
from stepladder.studies.judging.answers import answers_of
from stepladder.studies.judging.distributions import exact_interval
from stepladder.studies.judging.statistics import CONFIDENCE
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Job
from stepladder.studies.running.limits import find_limits
from stepladder.training import calibration, metrics
from stepladder.training.assembly import frozen_layers
from stepladder.training.device import Compute
from stepladder.training.evaluate import DeviceSplit, compute_logits
from stepladder.training.frozen import FrozenLayers, divided


def read_study_test(study: SavedStudy, jobs: Sequence[Job], compute: Compute, callbacks: Callbacks) -> SavedStudy:
    """Read test for every finished trial that has not been read, note it in ``test-readings.json``, and load again.

    The note is written before the first image is looked at: a reading that is broken off has been one.

    Args:
        jobs: of all planned trials, for their images.
    """
    unread = [trial for trial in study.trials if trial.result.status == "finished" and trial.result.test_loss is None]
    if not unread and (not study.readings or study.readings[-1].ended):
        return study
    by_id = {job.trial.id: job for job in jobs}
    record = study.record
    plan = PlanRead(record.plan_hash, record.plan, record.data.name, str(study.folder.absolute()), now())
    reads = {trial.result.trial for trial in unread}
    tests = {job.splits.fingerprint: job.splits.test for job in jobs if job.trial.id in reads}
    elsewhere = max((note_reading(test, plan) for test in tests.values()), default=0)
    readings = _note_reading(study, unread, elsewhere)
    write_readings(study.folder, readings)
    if unread:
        callbacks.reading(len(unread))
    tell_elsewhere(elsewhere, callbacks)
    for trial in unread:
        job = by_id[trial.result.trial]
        card = trial_card(trial, study)
        result = read_test(job, trial.result, card, compute, _frozen(job), readings[-1].chain)
        callbacks.test_read(job.trial, result)
    _keep_images(load_study(study.folder), by_id, compute)
    write_readings(study.folder, (*readings[:-1], readings[-1].model_copy(update={"ended": True})))
    complete = load_study(study.folder)
    for trial in complete.trials:
        if trial.result.test_accuracy is not None:  # each card tells what all seeds of its recipe came to
            replace_text(trial.folder / "model" / "README.md", render_card(trial_card(trial, complete)))
    return complete


def tell_elsewhere(plans: int, callbacks: Callbacks) -> None:
    """Say that other plans have read the same test images before, if any have."""
    for sentence in describe_elsewhere(plans):
        callbacks.message(sentence)


def describe_elsewhere(plans: int) -> tuple[str, ...]:
    """Return the sentence that other plans have read the same test images before; none where none has."""
    if not plans:
        return ()
    which = "1 other plan" if plans == 1 else f"{plans} other plans"
    return (
        f"These test images were read before in {which} on this computer (stepladder readings lists them). Keeping "
        "the plan that does best on them makes its result too good.",
    )


def _keep_images(study: SavedStudy, jobs: Mapping[str, Job], compute: Compute) -> None:
    """Keep the test images that the report shows, of the one model that it shows; test is read for all by now."""
    shown = find_shown_model(study)
    if shown is None:
        return
    found = read_gallery(study.folder, len(study.record.data.class_names))
    if found is not None and found.trial == shown.trial.result.trial:
        return
    splits = jobs[shown.trial.result.trial].splits
    model = load_folder(shown.trial.folder / "model", compute.device.type, compute.precision)
    frozen = _frozen(jobs[shown.trial.result.trial])
    probabilities = special.softmax(_logits(model, splits.test, frozen).astype(np.float64), axis=1)
    classes = len(study.record.data.class_names)
    write_gallery(study.folder, shown.trial.result.trial, probabilities, splits, classes)


def _note_reading(study: SavedStudy, unread: Sequence[SavedTrial], elsewhere: int) -> tuple[Reading, ...]:
    """Return the log with this reading in it: a new entry, or the last one where that was broken off."""
    ids = tuple(trial.result.trial for trial in unread)
    past = study.readings
    if past and not past[-1].ended and set(ids) <= set(past[-1].trials):
        return past
    looks = study.record.looks
    number = sum(reading.kind in ("planned", "look") for reading in past) + 1
    seen = {trial for reading in past for trial in reading.trials}
    if seen & set(ids):
        kind = "again"
    elif study.record.spending == "open":
        kind = "look" if past else "planned"
    elif number > len(looks) or set(study.record.seeds) - set(range(looks[number - 1].seeds)):
        # Seeds that were added before any reading are still read once, with all others.
        kind = "added" if past else "planned"
    else:
        kind = "look" if len(looks) > 1 else "planned"
    entry = Reading.model_validate(
        {
            "time": now(),
            "kind": kind,
            "look": number if study.record.spending == "open" else min(number, len(looks)),
            "plan_hash": study.record.plan_hash,
            "trials": ids,
            "ended": False,
            "elsewhere": elsewhere,
        }
    )
    return (*past, entry.chained(past[-1].chain if past else ""))


def read_test(
    job: Job,
    result: TrialResult,
    card: CardFacts,
    compute: Compute,
    frozen: int = 0,
    reading: str | None = None,
) -> TrialResult:
    """Evaluate the saved model of a trial on the test images, and complete its ``result.json`` and model card.

    What it predicts goes to ``predictions.safetensors``. The temperature is fitted on the validation images, and the
    saved model gets it where they tell it from 1; without them it stays None. From them the model also gets to know its
    limits: when to answer, and which images are unlike its own.

    Args:
        frozen: how many of its first layers never changed, so that what they make of the images is in the cache.
        reading: the chained hash of the study's reading that this is a part of.
    """
    folder, splits, metric = job.folder, job.splits, job.measured_by
    remove_parts(folder)
    model = load_folder(folder / "model", compute.device.type, compute.precision)
    labels = splits.test.labels
    logits = _logits(model, splits.test, frozen)
    scores: dict[str, float] = {
        "test_loss": calibration.negative_log_likelihood(logits, labels),
        "test_accuracy": metrics.accuracy(logits, labels),
        "test_macro_f1": metrics.macro_f1(logits, labels),
        "test_ece": calibration.calibration_error(logits, labels),
    }
    if metric.is_rare:
        scores["test_score"] = metric.measure(logits, labels)
    if splits.validation is not None:
        held_out = _logits(model, splits.validation, frozen), splits.validation.labels
        held_probabilities = special.softmax(held_out[0].astype(np.float64), axis=1)
        classes = len(job.data.class_names)
        write_predictions(folder, held_out[0].argmax(axis=1), held_out[1], classes, held_probabilities, "validation")
        temperature = calibration.fit_temperature(*held_out)
        told = calibration.tells_temperature(*held_out, temperature)
        if told:
            scores["model_temperature"] = temperature
        scores |= {
            "temperature": temperature,
            "test_nll_calibrated": calibration.negative_log_likelihood(logits, labels, temperature),
            "test_ece_calibrated": calibration.calibration_error(logits, labels, temperature),
        }
    probabilities = special.softmax(logits.astype(np.float64), axis=1)
    write_predictions(folder, logits.argmax(axis=1), labels, len(job.data.class_names), probabilities)
    complete = result.model_copy(update={**scores, "reading": reading, "schema_version": SCHEMA_VERSION})
    calibrate_model(folder / "model", complete.model_temperature)
    if splits.validation is not None:
        limits, unlikeness = find_limits(model, splits, held_out, complete.model_temperature or 1.0, frozen)
        write_limits(folder / "model", limits)
        write_unlikeness(folder / "model", unlikeness)
    facts = _scores_of(complete) | _facts_of(folder, complete, job.data)
    replace_text(folder / "model" / "README.md", render_card(replace(card, **facts)))
    save_result(folder, complete)
    return complete


def card_facts(folder: Path, result: TrialResult, recipe: str, data: DataRecord, elsewhere: int = 0) -> CardFacts:
    """Return what the model card of the trial in ``folder`` tells.

    Args:
        elsewhere: other plans that had read the same test images before.

    Raises:
        StorageError: a file beside the model is damaged.
    """
    return CardFacts(
        data=data.name,
        class_names=data.class_names,
        image_shape=data.image_shape,
        fit=data.fit,
        recipe=recipe,
        techniques=result.techniques,
        epochs=result.epochs,
        seed=result.seed,
        counts=data.counts,
        machine=result.machine.accelerator or result.machine.processor,
        versions=result.versions,
        precision=result.precision,
        notes=(*data.notes, *result.warnings, *describe_elsewhere(elsewhere)),
        fingerprint=data.fingerprint,
        **_scores_of(result),
        **_facts_of(folder, result, data),
    )


def trial_card(trial: SavedTrial, study: SavedStudy) -> CardFacts:
    """Return what the model card of a study's trial tells."""
    recipe = next(rung.recipe for rung in study.record.rungs if rung.name == trial.rung)
    elsewhere = max((reading.elsewhere for reading in study.readings), default=0)
    card = card_facts(trial.folder, trial.result, str(recipe["name"]), study.record.data, elsewhere)
    read = [one.result.test_accuracy for one in study.of_rung(trial.rung) if one.result.test_accuracy is not None]
    return replace(card, of_recipe=(fmean(read), stdev(read), len(read)) if len(read) > 1 else None)


def _scores_of(result: TrialResult) -> dict[str, Any]:
    """What a card tells that is only known once test has been read."""
    temperature = result.model_temperature
    return {
        "test_accuracy": result.test_accuracy,
        "temperature": temperature,
        "calibration_error": None if temperature is None else (result.test_ece, result.test_ece_calibrated),
    }


def _facts_of(folder: Path, result: TrialResult, data: DataRecord) -> dict[str, Any]:
    """What a card tells of each class, of mistakes and of limits, from the files of the trial."""
    trained, read = read_training_images(folder / "model"), result.test_accuracy is not None
    answers = answers_of(folder, data.class_names, result.temperature) if read else None
    found: dict[str, Any] = {"limits": read_limits(folder / "model") if read else None}
    if trained is not None and len(trained.counts) == len(data.class_names):
        found |= {"groups": trained.groups, "classes": tuple(ClassFigures(count) for count in trained.counts)}
    if answers is None:
        return found
    found["interval"] = exact_interval(answers.images - answers.wrong, answers.images, CONFIDENCE)
    tested = [sum(row) for row in answers.matrix]
    found["mistakes"] = tuple(
        Mistake(one.true, one.predicted, one.images, tested[data.class_names.index(one.true)])
        for one in answers.confusions
    )
    if "classes" in found:
        intervals = {one.name: one.interval for one in answers.classes}
        found["classes"] = tuple(
            replace(figures, tested=tested[label], right=answers.matrix[label][label], interval=intervals.get(name))
            for label, (name, figures) in enumerate(zip(data.class_names, found["classes"], strict=True))
        )
    return found


def _frozen(job: Job) -> int:
    """How many first layers never changed in a trial."""
    return frozen_layers(job.trial.recipe, job.splits.train, len(job.data.class_names))


def _logits(model: Model, split: Split, frozen: int = 0) -> np.ndarray:
    module, examples = model.module, DeviceSplit.load(split, model.compute.device)
    batches: Iterable[Tensor] = examples.batches
    if frozen:
        below, module = divided(model.module, frozen)
        batches = FrozenLayers(below, model.techniques, model.compute).split(examples, split.fingerprint).batches
    with torch.inference_mode():
        return compute_logits(module, model.techniques, batches, model.compute).cpu().numpy()
