"""Trials carried out, one after another, beside whoever else works on the same folder."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import current_thread, main_thread
from time import sleep

import torch

from stepladder.errors import RecipeError, StepladderError, StudyError, for_want_of_memory
from stepladder.studies.files.store import CHECKPOINTS, find_damaged, move_aside, read_record, read_result, trial_folder
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.locks import locked, try_lock
from stepladder.studies.running.memory import give_back
from stepladder.studies.running.trial import record_failure, remove_checkpoints, run_trial
from stepladder.training.device import Compute
from stepladder.training.loop import describe_failure

#: Seconds between two tries at trials that another process runs.
_WAIT = 0.2


def run_jobs(
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
    crowded_out: set[str] | None = None,
) -> None:
    """Return when every job has ended, here or in another process that works on the same folders.

    Each trial is run by one process, which holds its folder's lock; one whose process died is gone on with. A trial
    that fails is recorded, and the others go on.

    Args:
        after_each: called after every trial that ended here.
        crowded_out: the ids of trials to leave; where ``execution.streams`` is more than 1, those that ran out of
            memory are added, since it is not known which of several was too much.

    Raises:
        StorageError: a file cannot be written.
        StudyError: a checkpoint was made under other conditions, or the study's folder has gone.
        Stopped: that was asked for.
    """
    waiting = False
    crowded_out = set() if crowded_out is None else crowded_out
    while True:
        left = [job for job in jobs if not _has_ended(job) and job.trial.id not in crowded_out]
        if not left:
            return
        ran = False
        for job in left:
            execution.stop.raise_if_wanted()
            _check_still_there(job.folder)
            with try_lock(job.folder) as owned:
                # Somebody may have ended it, or left it, before the lock was ours.
                if owned and not _has_ended(job) and job.trial.id not in crowded_out:
                    _check_device(compute.device)
                    ran = True
                    if not _run(job, compute, execution, callbacks):
                        crowded_out.add(job.trial.id)
                        callbacks.trial_postponed(job.trial)
            if ran and job.trial.id not in crowded_out and after_each is not None:
                after_each()
            if ran:
                break  # look again: others have gone on meanwhile
        if not ran:
            if not waiting:
                callbacks.waiting(len(left))
                waiting = True
            with execution.stop.observing():
                sleep(_WAIT)


def reopen_failed(jobs: Sequence[Job]) -> None:
    """Make trials that had failed open again; what they left is kept as ``result-failed.json``."""
    for job in jobs:
        result = read_result(job.folder)
        if result is None or result.status != "failed":
            continue
        with try_lock(job.folder) as owned:
            if owned:
                (job.folder / "result.json").replace(job.folder / "result-failed.json")
                remove_checkpoints(job.folder)


def set_damaged_aside(study: Path, tell: Callable[[str], None]) -> None:
    """Move trials of a study that have ended and are damaged out of the way, so that they are trained again.

    Nothing is deleted. Links in the folders of trials count as damage: nothing is written through one.

    Raises:
        StudyError: the folder of all trials is a link.
        StorageError: the record is damaged, or a file cannot be read or moved.
    """
    folder = study / "trials"
    if folder.is_symlink():
        raise StudyError(
            f"{folder} is a link, and results are written through none; put the folder itself there, or make a link of "
            f"{study} as a whole"
        )
    record = read_record(study)
    for trial, what in [] if record is None else find_damaged(study, record):
        with locked(study):
            target = move_aside(trial_folder(study, trial))
        tell(
            f"{trial.rung}, seed {trial.seed}, is damaged: {what}. It was set aside as trials/{target.name}, and is "
            "trained again."
        )


def remove_old_checkpoints(jobs: Sequence[Job]) -> None:
    """Remove checkpoints of trials that have ended, whose process was killed before it could."""
    for job in jobs:
        if (job.folder / CHECKPOINTS).exists() and _has_ended(job):
            remove_checkpoints(job.folder)


def _has_ended(job: Job) -> bool:
    return read_result(job.folder) is not None


def _run(job: Job, compute: Compute, execution: Execution, callbacks: Callbacks) -> bool:
    """Run a trial to its end; return False where there was not enough memory for it beside others."""
    # A technique of the user's own may go elsewhere; relative paths must not follow it. All threads are in one folder,
    # to which the main one comes back when they have ended.
    alone = current_thread() is main_thread()
    before = Path.cwd() if alone else None
    try:
        run_trial(job, compute, callbacks, execution)
    except StepladderError as error:
        if not isinstance(error, RecipeError):
            raise
        record_failure(job, str(error), traceback.format_exc(), compute, callbacks)
    except Exception as error:
        if execution.streams > 1 and for_want_of_memory(error):
            return False
        record_failure(job, describe_failure(error, 0), traceback.format_exc(), compute, callbacks)
    finally:
        if before is not None:
            os.chdir(before)
        give_back()
    return True


def _check_device(device: torch.device) -> None:
    """After some errors a GPU refuses all that this process asks of it; no further trial is to fail of that."""
    if device.type != "cuda":
        return
    try:
        torch.cuda.current_stream(device).synchronize()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise StudyError(f"the GPU answers no more ({reason}); run the same command again to go on") from error


def _check_still_there(folder: Path) -> None:
    """A trial's folder is ``<study>/trials/<id>``; a study that was removed meanwhile must not be made again, empty."""
    study = folder.parent.parent
    if not study.is_dir():
        raise StudyError(f"{study} was removed while the study ran; run the same command to start it again")
