"""In how many processes trials run, and what callbacks are told before the first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.hours import say_hours
from stepladder.studies.running.memory import give_back
from stepladder.studies.running.streams import run_jobs_in_streams
from stepladder.studies.running.workers import run_in_workers
from stepladder.training.device import Compute

#: Trials that take less are over before a second process has loaded torch.
SHORT_STUDY = 30.0

#: Memory that a worker takes beside the images, which all share: torch, the network, one batch's activations.
_WORKER_GB = 1.5


def dispatch(
    jobs: Sequence[Job],
    schedule: Schedule,
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended, in as many processes as were asked for, or as pay.

    Args:
        jobs: those that are left, in the order in which to begin them.
        schedule: what callbacks are told of them; how many run at a time is settled here.
        after_each: called after every trial that ended.

    Raises:
        StorageError, StudyError, Stopped: see ``jobs.run_jobs``.
    """
    total = sum(schedule.estimate.seconds[job.trial.rung] for job in jobs)
    workers = count_workers(execution.workers, compute, len(jobs), total, schedule.record.machine.memory_gb)
    schedule = replace(schedule, workers=workers * execution.streams)
    say_hours(schedule.expected.middle, schedule.record.data.image_shape, callbacks)
    callbacks.planned(schedule)
    carry_out(workers, jobs, compute, execution, callbacks, after_each)


def count_workers(asked: int | Literal["auto"], compute: Compute, trials: int, seconds: float, memory_gb: float) -> int:
    """Return how many processes to use; ``auto`` is as many as there are cores, where that pays.

    Args:
        trials: to run.
        seconds: what they would take in one process.
    """
    if asked != "auto":
        return asked
    if compute.device.type != "cpu" or seconds < SHORT_STUDY or not hasattr(os, "sched_getaffinity"):
        return 1
    cores = len(os.sched_getaffinity(0)) // (compute.threads or 1)
    return max(1, min(cores, trials, int(memory_gb / _WORKER_GB)))


def carry_out(
    workers: int,
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Run ``jobs`` here, or in processes of their own: where they are several, or one that hangs has to be killed."""
    execution = replace(execution, workers=workers)
    give_back()
    if workers > 1 or execution.trial_timeout is not None:
        run_in_workers(workers, jobs, compute, execution, callbacks, after_each)
    else:
        run_jobs_in_streams(jobs, compute, execution, callbacks, after_each)
