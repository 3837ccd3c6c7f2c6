"""Trials that another folder has are taken over: a trial's name holds all that decides its bits.

What comes over is the training. What another plan read of test does not: this plan reads it once, with its own trials.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from stepladder.errors import StepladderError, StorageError, StudyError
from stepladder.files import replace_text
from stepladder.model.card import render_card
from stepladder.model.folder import calibrate_model
from stepladder.studies.files.checksums import find_changed_files, noted_files, save_result
from stepladder.studies.files.machine import describe_machine, describe_versions
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import read_record, read_result
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.locks import try_lock
from stepladder.studies.running.reading import card_facts
from stepladder.training.device import Compute
from stepladder.training.engine import engine_versions

#: What a reading of test leaves in a trial's folder.
_READ = (
    "predictions.safetensors",
    "validation.safetensors",
    "model/limits.json",
    "model/unlikeness.safetensors",
)


def check_sources(folders: Sequence[Path]) -> None:
    """Refuse a folder that has no trials to take over.

    Raises:
        StudyError: it is so.
    """
    for folder in folders:
        if not (folder / "study.json").is_file() and not (folder / "result.json").is_file():
            raise StudyError(
                f"`reuse` is {folder}, which is no study, sweep, curve or training; give the folder of one"
            )


def take_over(jobs: Sequence[Job], execution: Execution, compute: Compute, callbacks: Callbacks) -> None:
    """Copy the trials that the folders of ``execution.reuse`` have finished, and say which could not be taken.

    Args:
        jobs: those that have not ended.

    Raises:
        StorageError: a file cannot be written.
    """
    for source in execution.reuse:
        taken, refused = 0, Counter[str]()
        read = 0
        for job in jobs:
            if read_result(job.folder) is not None:
                continue
            found = _find(source, job)
            if found is None:
                continue
            folder, result = found
            reason = _why_not(source, folder, result, job, execution, compute)
            if reason is not None:
                refused[reason] += 1
                continue
            taken += _copy(folder, result, job)
            read += result.test_accuracy is not None
        if taken:
            test = ""
            if read:
                test = " Test had been read for some of them: these figures are left, and read again with all others."
            callbacks.message(f"{taken} of {len(jobs)} trials {_was(taken)} taken over from {source}.{test}")
        for reason, number in refused.items():
            callbacks.message(f"{number} of {len(jobs)} trials {_was(number)} not taken over from {source}: {reason}.")
        if not taken and not refused:
            callbacks.message(
                f"{source} has none of these trials: another recipe, seed, data, split or precision makes another one."
            )


def _was(number: int) -> str:
    return "was" if number == 1 else "were"


def _find(source: Path, job: Job) -> tuple[Path, TrialResult] | None:
    """Return where a folder has the trial, and its result; None where it has not finished there."""
    for folder in (source / "trials" / job.trial.id, source):
        if folder.absolute() == job.folder or not (folder / "result.json").is_file():
            continue
        try:
            result = read_result(folder)
        except StepladderError:
            continue
        if result is not None and result.trial == job.trial.id and result.status == "finished":
            return folder, result
    return None


def _why_not(
    source: Path, folder: Path, result: TrialResult, job: Job, execution: Execution, compute: Compute
) -> str | None:
    """Return why a trial cannot be taken over, the end of a sentence; None where it can."""
    if changed := find_changed_files(folder):
        return f"{changed[0]} since the trial ended"
    if not job.measured_by.is_usual and _metric_of(source) != job.measured_by.key:
        return f"it was not measured by {job.metric} on validation images"
    if execution.accept_different_bits:
        return None
    here = describe_versions() | engine_versions([job.trial.recipe], compute)
    there = {name: version for name, version in result.versions.items() if name in here}
    if there != {name: here[name] for name in there}:
        other = next(name for name in there if there[name] != here[name])
        return (
            f"it was trained with {other} {there[other]}, and this is {here[other]}; add `accept_different_bits=True`"
        )
    if result.machine.processor != describe_machine(compute.device).processor:
        return "it was trained on another processor; add `accept_different_bits=True`"
    return None


def _metric_of(source: Path) -> str | None:
    try:
        record = read_record(source)
        return None if record is None else record.measured_by.key
    except StepladderError:
        return None


def _copy(folder: Path, result: TrialResult, job: Job) -> bool:
    """Copy a trial without what was read of test; the result comes last and says that it has ended."""
    with try_lock(job.folder) as owned:
        if not owned or read_result(job.folder) is not None:
            return False
        try:
            for name in _files_of(folder):
                target = job.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, target)
        except OSError as error:
            raise StorageError(f"cannot copy {folder} to {job.folder}: {error.strerror or error}") from error
        unread = {name: None for name in TrialResult.model_fields if name.startswith("test_")}
        unread |= {"reading": None, "temperature": None, "model_temperature": None}
        result = result.model_copy(update={**unread, "reused_from": str(folder)})
        calibrate_model(job.folder / "model", None)
        card = render_card(card_facts(job.folder, result, job.trial.recipe.name, job.data))
        replace_text(job.folder / "model" / "README.md", card)
        save_result(job.folder, result)
    return True


def _files_of(folder: Path) -> Iterator[str]:
    return (name for name in sorted(noted_files(folder)) if name not in (*_READ, "result.json", "model/README.md"))
