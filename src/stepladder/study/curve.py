"""Would more images help? One recipe, trained on a tenth, a fifth, a half and all of the training images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stepladder.data import ImageSet, Split, Splits, make_splits
from stepladder.data.audit import look_first
from stepladder.data.split import SPLIT_SEED
from stepladder.errors import DataError, StudyError
from stepladder.files import read_json, replace_json
from stepladder.recipe import Recipe
from stepladder.study.design.plan import Trial
from stepladder.study.design.rules import MOST_SEEDS
from stepladder.study.files.machine import describe_machine, describe_versions, now
from stepladder.study.files.records import CurveRecord, Reading, TrialResult
from stepladder.study.files.store import read_readings, read_result, write_readings
from stepladder.study.judging.power_law import PowerLaw, fit_power_law
from stepladder.study.running.conduct import Job, set_failed_aside, sweep_up
from stepladder.study.running.estimate import estimate_sizes
from stepladder.study.running.execution import Execution
from stepladder.study.running.ownership import own
from stepladder.study.running.patience import check_in_time
from stepladder.study.running.reading import card_facts, read_test
from stepladder.study.running.sharing import share_out
from stepladder.study.running.trial import describe_data
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute

#: Shares of the training images, each within the next.
SHARES = (0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Size:
    """The trials of one size: test accuracy by seed, a failed one as guessing, with ``failed`` seeds named."""

    images: int
    accuracies: tuple[float, ...]
    failed: tuple[int, ...]


@dataclass(frozen=True)
class SizeCurve:
    """A learning curve over training images, and its fit."""

    folder: Path
    record: CurveRecord
    sizes: tuple[Size, ...]
    law: PowerLaw
    readings: tuple[Reading, ...]


def run_curve(
    image_set: ImageSet,
    recipe: Recipe,
    out: Path | str,
    compute: Compute,
    *,
    seeds: int = 3,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    watch: Watch | None = None,
    execution: Execution | None = None,
) -> SizeCurve:
    """Train ``recipe`` on each share of the training images, read test once when all has ended, and fit a power law.

    The same call again trains only what is missing. Every size keeps the epochs of the recipe, so a small one takes
    fewer steps.

    Args:
        drop_leaks: take training images that are copies of held-out ones out, before any share is taken.
        execution: in how many processes, and what to do when something goes wrong.

    Raises:
        StudyError: ``out`` holds something else, or no seed is asked for.
        DataError: the images do not fit the splits, or are too few to be thinned out.
        RecipeError: a technique does not fit the images of a size.
        StorageError: ``out`` cannot be written.
        Stopped: that was asked for; the same call goes on.
    """
    out, watch, execution = Path(out), watch or Watch(), execution or Execution()
    compute = execution.settle(compute)
    if not 1 <= seeds <= MOST_SEEDS:
        raise StudyError(f"--seeds is {seeds}; it must be 1 to {MOST_SEEDS}")
    splits = make_splits(image_set, validation)
    splits, look = look_first(splits, image_set.class_names, drop_leaks=drop_leaks)
    watch.looked(look)
    parts = [_thinned(splits, share) for share in SHARES]
    if len({len(part.train) for part in parts}) < len(SHARES):
        raise DataError(
            f"{image_set.name} has {len(splits.train)} training images, too few to take {SHARES[0]:.0%} of; add images"
        )
    for part in parts:
        check_in_time(_name(part), recipe, part, image_set.num_classes, execution.trial_timeout)
    record = _continue_record(out, _record(image_set, recipe, parts, seeds, validation, compute, command))
    with own(out):
        replace_json(out / "curve.json", record.model_dump(mode="json"))
    described = [(part, describe_data(image_set, part)) for part in parts]
    trials = (
        (Trial(_name(part), recipe, seed, part.fingerprint, compute.precision), part, data)
        for seed in range(seeds)
        for part, data in described
    )
    jobs = [Job(trial, part, data, (out / "trials" / trial.id).absolute()) for trial, part, data in trials]
    _train(jobs, recipe, record, compute, execution, watch)
    with own(out):  # whoever comes first reads test; the others find it read
        _read_test(jobs, out, record, compute, watch)
    sizes = [_size(part, [_result(job) for job in jobs if job.splits is part], 1 / record.classes) for part in parts]
    points = [(size.images, 1 - accuracy) for size in sizes for accuracy in size.accuracies]
    law = fit_power_law([images for images, _ in points], [error for _, error in points], record.test_images)
    return SizeCurve(out, record, tuple(sizes), law, read_readings(out))


def thin_out(split: Split, share: float) -> np.ndarray:
    """Return sorted positions of ``share`` of the images of every class, at least one; a smaller share is within it."""
    chosen = []
    for label in np.unique(split.labels):
        positions = np.flatnonzero(split.labels == label)
        order = np.random.default_rng([SPLIT_SEED, int(label)]).permutation(positions)
        chosen.append(order[: max(1, round(share * len(positions)))])
    return np.sort(np.concatenate(chosen))


def _thinned(splits: Splits, share: float) -> Splits:
    if share == 1:
        return splits
    positions = thin_out(splits.train, share)
    digest = hashlib.sha256(f"{splits.fingerprint} of which\n".encode() + positions.astype(np.int64).tobytes())
    return replace(splits, train=splits.train.take(positions), fingerprint=digest.hexdigest())


def _name(part: Splits) -> str:
    return f"{len(part.train):,} images"


def _train(
    jobs: Sequence[Job], recipe: Recipe, record: CurveRecord, compute: Compute, execution: Execution, watch: Watch
) -> None:
    """Run the trials that have not ended, the largest of a seed first: then little is left for the last process."""
    if execution.retry_failed:
        set_failed_aside(jobs)
    todo = [job for job in jobs if read_result(job.folder) is None]
    todo.sort(key=lambda job: (job.trial.seed, -len(job.splits.train)))
    if todo:
        whole = max(jobs, key=lambda job: len(job.splits.train))
        limit = execution.trial_timeout
        guesses = estimate_sizes(recipe, whole.splits, record.images, whole.data, compute, watch, limit)
        seconds = dict(zip(dict.fromkeys(job.trial.rung for job in jobs), guesses, strict=True))
        share_out(todo, len(jobs) - len(todo), record, seconds, compute, execution, watch)
    sweep_up(jobs)


def _result(job: Job) -> TrialResult:
    result = read_result(job.folder)
    assert result is not None, job.folder
    return result


def _size(part: Splits, results: Sequence[TrialResult], guess: float) -> Size:
    accuracies = tuple(guess if result.test_accuracy is None else result.test_accuracy for result in results)
    return Size(len(part.train), accuracies, tuple(one.seed for one in results if one.status == "failed"))


def _read_test(jobs: Sequence[Job], out: Path, record: CurveRecord, compute: Compute, watch: Watch) -> None:
    unread = [job for job in jobs if (one := _result(job)).status == "finished" and one.test_accuracy is None]
    if not unread:
        return
    past = read_readings(out)
    ids = tuple(job.trial.id for job in unread)
    if not (past and not past[-1].ended and set(ids) <= set(past[-1].trials)):
        kind = "added" if past else "planned"
        entry = {"time": now(), "kind": kind, "look": 1, "plan_hash": record.plan_hash, "trials": ids, "ended": False}
        past = (*past, Reading.model_validate(entry))
    write_readings(out, past)
    watch.reading(len(unread))
    for job in unread:
        result = _result(job)
        card = card_facts(result, job.trial.recipe.name, job.data)
        watch.test_read(job.trial, read_test(job.folder, result, job.splits, job.data, card, compute))
    write_readings(out, (*past[:-1], past[-1].model_copy(update={"ended": True})))


def _record(
    image_set: ImageSet,
    recipe: Recipe,
    parts: Sequence[Splits],
    seeds: int,
    validation: float,
    compute: Compute,
    command: str,
) -> CurveRecord:
    fixed = {
        "recipe": recipe.fingerprint,
        "splits": [part.fingerprint for part in parts],
        "validation": validation,
        "precision": compute.precision,
    }
    return CurveRecord(
        plan_hash=hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
        data=image_set.name,
        recipe=recipe.to_table(),
        images=tuple(len(part.train) for part in parts),
        test_images=len(parts[0].test),
        classes=image_set.num_classes,
        seeds=seeds,
        validation=validation,
        precision=compute.precision,
        device=compute.device.type,
        threads=compute.threads,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
        command=command,
        created=now(),
    )


def _continue_record(out: Path, record: CurveRecord) -> CurveRecord:
    if out.is_file():
        raise StudyError(f"--out is {out}, which is a file; choose a folder")
    if (out / "study.json").exists():
        raise StudyError(f"{out} holds a study; choose another folder with --out")
    if not (out / "curve.json").exists():
        return record
    found = read_json(out / "curve.json")
    if not isinstance(found, dict) or found.get("plan_hash") != record.plan_hash:
        raise StudyError(
            f"{out} holds the curve of another recipe or of other images; choose another folder with --out, or the "
            "same settings to continue"
        )
    return record.model_copy(update={"created": str(found.get("created", record.created))})
