"""How trials are shared out: in how many processes they run, and what a watcher is told before."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from stepladder.study.files.records import CurveRecord, StudyRecord
from stepladder.study.running.at_once import run_jobs_at_once
from stepladder.study.running.conduct import Job
from stepladder.study.running.execution import Execution
from stepladder.study.running.watch import Outlook, Watch
from stepladder.study.running.workers import run_in_workers
from stepladder.training.device import Compute

#: Trials that take less are over before a second process has loaded torch.
SHORT_STUDY = 30.0

#: Memory that a worker takes beside the images, which all share: torch, the network, one batch's activations.
_WORKER_GB = 1.5


def share_out(
    jobs: Sequence[Job],
    done: int,
    record: StudyRecord | CurveRecord,
    seconds: Mapping[str, float],
    compute: Compute,
    execution: Execution,
    watch: Watch,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended, in as many processes as were asked for, or as pay.

    Args:
        jobs: those that are left, in the order in which to begin them.
        done: how many of those asked for had ended before.
        seconds: what a trial will probably take, by rung.
        after_each: called after every trial that ended.

    Raises:
        StorageError, StudyError, Stopped: see ``conduct.run_jobs``.
    """
    trials = tuple(job.trial for job in jobs)
    total = sum(seconds[trial.rung] for trial in trials)
    workers = count_workers(execution.workers, compute, len(jobs), total, record.machine.memory_gb)
    images = {job.trial.rung: len(job.splits.train) for job in jobs}
    watch.planned(Outlook(record, trials, done, seconds, images, workers * execution.at_once))
    carry_out(workers, jobs, compute, execution, watch, after_each)


def count_workers(asked: int, compute: Compute, trials: int, seconds: float, memory_gb: float) -> int:
    """Return how many processes to use; ``asked`` is 0 for as many as there are cores, where that pays.

    Args:
        trials: to run.
        seconds: what they would take in one process.
    """
    if asked:
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
    watch: Watch,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Run ``jobs`` here, or in processes of their own: where they are several, or one that hangs has to be killed."""
    if workers > 1 or execution.trial_timeout is not None:
        run_in_workers(workers, jobs, compute, execution, watch, after_each)
    else:
        run_jobs_at_once(jobs, compute, execution, watch, after_each)
