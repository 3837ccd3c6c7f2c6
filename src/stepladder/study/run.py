"""A study carried out: check everything, write the plan, run what is missing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.data import ImageSet, Splits, make_splits
from stepladder.data.audit import look_first
from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import Recipe
from stepladder.study.machine import describe_machine, describe_versions
from stepladder.study.plan import Rung, make_rungs
from stepladder.study.records import DataRecord, RungRecord, SavedStudy, StudyRecord
from stepladder.study.store import (
    load_study,
    planned_trials,
    read_record,
    read_result,
    trial_folder,
    write_record,
    write_results,
)
from stepladder.study.trial import describe_data, run_trial, watched_split
from stepladder.study.watch import Outlook, Watch
from stepladder.training.context import check_recipe
from stepladder.training.device import Compute
from stepladder.training.history import TRAIN_SAMPLE, EpochRecord
from stepladder.training.loop import train_network

#: Trials a rung at most: more is a slip of the finger.
MOST_SEEDS = 1000

#: Batches of the short run behind the estimate of time.
_MEASURED_BATCHES = 6


def run_study(
    image_set: ImageSet,
    recipe: Recipe,
    out: Path,
    compute: Compute,
    *,
    seeds: int = 3,
    plan: str = "ladder",
    rungs: tuple[Rung, ...] | None = None,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    watch: Watch | None = None,
) -> SavedStudy:
    """Run every trial of the plan that ``out`` does not hold yet, and return the whole study.

    Args:
        out: the study's folder. A study of the same plan in it is continued; more seeds add to it.
        seeds: trials a rung, with seeds 0 to ``seeds`` - 1; fewer than the folder's plan has changes nothing.
        rungs: those of the user's own, in place of what ``plan`` makes of ``recipe``.
        validation: share of the training images held out for the curves; 0 trains on all and draws the test curve.
        drop_leaks: take training images that are copies of held-out ones out, instead of only noting them.
        command: what the user typed, for the record.

    Raises:
        StudyError: ``out`` holds a study of another plan or of other data, or there is nothing to run.
        DataError: the images do not fit the splits.
        RecipeError: the recipe does not fit the images.
        StorageError: ``out`` cannot be written.
    """
    watch = watch or Watch()
    if not 1 <= seeds <= MOST_SEEDS:
        raise StudyError(f"--seeds is {seeds}; it must be 1 to {MOST_SEEDS}, and 3 give a first interval")
    splits = make_splits(image_set, validation)
    rungs = rungs or make_rungs(plan, recipe)
    splits, look = look_first(splits, image_set.class_names, drop_leaks=drop_leaks)
    watch.looked(look)
    data = describe_data(image_set, splits)
    record = _make_record(plan, rungs, range(seeds), validation, data, compute, command)
    record = _continue_record(out, record)
    if out.is_file():
        raise StudyError(f"--out is {out}, which is a file; choose a folder")

    # Seeds that an earlier call asked for stay in the plan; this one trains those that it asks for.
    asked = [trial for trial in planned_trials(record) if trial.seed < seeds]
    todo = tuple(trial for trial in asked if read_result(trial_folder(out, trial)) is None)
    for rung in rungs:
        # A technique that does not fit is said before anything trains, whichever rung it is on.
        try:
            check_recipe(rung.recipe, splits.train, len(data.class_names), has_validation=splits.validation is not None)
        except RecipeError as error:
            raise RecipeError(f"rung {rung.name}: {error}") from error
    seconds = estimate_seconds({trial.rung: trial.recipe for trial in todo}, splits, data, compute, watch)
    write_record(out, record)
    if todo:
        watch.planned(Outlook(record, todo, len(asked) - len(todo), seconds, len(splits.train)))
    for trial in todo:
        run_trial(trial, splits, data, trial_folder(out, trial), compute, watch)
        write_results(load_study(out))
    study = load_study(out)
    write_results(study)
    return study


def estimate_seconds(
    recipes: Mapping[str, Recipe], splits: Splits, data: DataRecord, compute: Compute, watch: Watch
) -> dict[str, float]:
    """Return the seconds that one trial of each recipe will probably take, from two short epochs of each.

    The trials themselves are not touched: no random stream is shared with them.
    """
    watch.measuring(len(recipes))
    seconds = {}
    for name, recipe in recipes.items():
        some = splits.train.take(np.arange(min(len(splits.train), _MEASURED_BATCHES * recipe.batch_size)))
        # At hardly any learning rate: a loss that is not finite would end the measurement.
        slow = recipe.optimizer.model_copy(update={"lr": 1e-9})
        history: list[EpochRecord] = []
        train_network(
            recipe.model_copy(update={"optimizer": slow}),
            some,
            watched_split(splits),
            len(data.class_names),
            0,
            compute,
            on_epoch=history.append,
            rehearsal=True,
        )
        last = history[-1]
        assert last.images_per_second is not None
        watched = len(watched_split(splits).split)
        evaluating = last.seconds - len(some) / last.images_per_second
        scale = (min(TRAIN_SAMPLE, len(splits.train)) + watched) / (min(TRAIN_SAMPLE, len(some)) + watched)
        seconds[name] = recipe.epochs * (len(splits.train) / last.images_per_second + evaluating * scale)
    return seconds


def _make_record(
    plan: str,
    rungs: Iterable[Rung],
    seeds: Iterable[int],
    validation: float,
    data: DataRecord,
    compute: Compute,
    command: str,
) -> StudyRecord:
    record = StudyRecord(
        plan=plan,
        plan_hash="",
        rungs=tuple(RungRecord(name=rung.name, adds=rung.adds, recipe=rung.recipe.to_table()) for rung in rungs),
        seeds=tuple(seeds),
        validation=validation,
        precision=compute.precision,
        device=compute.device.type,
        data=data,
        versions=describe_versions(),
        machine=describe_machine(compute.device),
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    text = json.dumps(_fixed(record), sort_keys=True)
    return record.model_copy(update={"plan_hash": hashlib.sha256(text.encode()).hexdigest()})


def _continue_record(out: Path, record: StudyRecord) -> StudyRecord:
    """Return the record to go on with: that of ``out`` where it has the same plan, with the seeds of both."""
    found = read_record(out)
    if found is None:
        return record
    if found.plan_hash != record.plan_hash:
        differences = _differences(_fixed(found), _fixed(record))
        shown = "; ".join(differences[:4]) + (f"; and {len(differences) - 4} more" if len(differences) > 4 else "")
        raise StudyError(
            f"{out} holds another study: {shown}. Choose another folder with --out, or the same settings to continue"
        )
    if set(record.seeds) <= set(found.seeds):
        return found
    return found.model_copy(update={"seeds": record.seeds, "command": record.command})


def _fixed(record: StudyRecord) -> dict[str, Any]:
    """Return all that the plan fixes before the first trial; seeds may be added later."""
    return {
        "plan": record.plan,
        "rungs": {rung.name: {"adds": rung.adds, "recipe": rung.recipe} for rung in record.rungs},
        "validation": record.validation,
        "precision": record.precision,
        "device": record.device,
        "data": record.data.name,
        "images": record.data.fingerprint,
        "split": record.data.split,
    }


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """Return what differs between two plans, a phrase each, the same setting of several rungs once."""
    old, new = dict(_leaves(there)), dict(_leaves(here))
    phrases: dict[str, None] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            name = key.split(".recipe.", 1)[-1]
            if name in ("images", "split"):  # fingerprints say nothing to a reader
                phrases[f"the {name} differ{'s' if name == 'split' else ''}"] = None
                continue
            phrases[f"{name} is {_written(old.get(key))} there and {_written(new.get(key))} here"] = None
    return list(phrases)


def _leaves(value: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for inner in value:
            yield from _leaves(inner, f"{prefix}.{inner.get('name')}")
    else:
        yield prefix, value


def _written(value: Any) -> str:
    if value is None:
        return "absent"
    return ", ".join(map(str, value)) or "empty" if isinstance(value, list | tuple) else str(value)
