"""In how many processes trials run, and what callbacks are told before the first."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace

from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.studies.running.cluster.trials import count_slots, run_on_cluster
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
    memory = schedule.record.machine.memory_gb
    workers = count_workers(execution, compute, len(jobs), total, memory)
    schedule = replace(schedule, workers=count_at_a_time(execution, compute, len(jobs), total, memory))
    say_hours(schedule.expected.middle, schedule.record.data.image_shape, callbacks)
    callbacks.planned(schedule)
    carry_out(workers, jobs, compute, execution, callbacks, after_each)


def count_workers(execution: Execution, compute: Compute, trials: int, seconds: float, memory_gb: float) -> int:
    """Return how many processes to use; ``auto`` is as many as there are cores, where that pays.

    Args:
        trials: to run.
        seconds: what they would take in one process.

    Raises:
        StudyError: the trials are for a cluster, and it does not answer.
    """
    if execution.cluster is not None:
        return count_slots(execution, compute, trials)
    if execution.workers != "auto":
        return execution.workers
    if compute.device.type != "cpu" or seconds < SHORT_STUDY or not hasattr(os, "sched_getaffinity"):
        return 1
    cores = len(os.sched_getaffinity(0)) // (compute.threads or 1)
    return max(1, min(cores, trials, int(memory_gb / _WORKER_GB)))


def count_at_a_time(execution: Execution, compute: Compute, trials: int, seconds: float, memory_gb: float) -> int:
    """Return how many trials run at a time; see :func:`count_workers`. On a cluster each has a process of its own."""
    workers = count_workers(execution, compute, trials, seconds, memory_gb)
    return workers if execution.cluster is not None else workers * execution.streams


def carry_out(
    workers: int,
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Run ``jobs`` here, on a cluster, or in processes of their own: several, or one that may have to be killed."""
    execution = replace(execution, workers=workers)
    give_back()
    if execution.cluster is not None:
        run_on_cluster(workers, jobs, compute, execution, callbacks, after_each)
    elif workers > 1 or execution.trial_timeout is not None:
        run_in_workers(workers, jobs, compute, execution, callbacks, after_each)
    else:
        run_jobs_in_streams(jobs, compute, execution, callbacks, after_each)
