"""Several trials at a time in one process, for a GPU that the small kernels of one do not fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, chdir, nullcontext
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import torch

from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.jobs import run_jobs
from stepladder.training.device import Compute
from stepladder.training.stop import Stop, Stopped

#: What one trial tells; ``waiting`` is left out, since here it would only mean another thread.
_TOLD = (
    "trial_started",
    "features_computed",
    "batch_ended",
    "epoch_ended",
    "message",
    "trial_postponed",
    "trial_ended",
)


def run_jobs_in_streams(
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended; see ``jobs.run_jobs``, which ``execution.streams`` threads run.

    On a GPU each thread has a CUDA stream of its own, so that kernels of different trials overlap: those of processes
    take turns instead. Every trial has its own random streams and tensors, so its result does not depend on how many
    run beside it. Those for which memory is too short beside others are run alone, after all others.

    Args:
        callbacks: told by one thread at a time; likewise ``after_each``.

    Raises:
        StorageError, StudyError, Stopped: as ``run_jobs`` does; the other threads then stop at their next step.
    """
    count = min(execution.streams, len(jobs))
    if count <= 1:
        run_jobs(jobs, compute, execution, callbacks, after_each)
        return
    stop, lock = _SharedStop(execution.stop), Lock()
    told = _one_at_a_time(callbacks, lock)
    ended = None if after_each is None else _with_lock(lock, after_each)
    errors: list[BaseException] = []
    crowded_out: set[str] = set()

    def train() -> None:
        try:
            with _own_stream(compute.device):
                run_jobs(jobs, compute, replace(execution, stop=stop), told, ended, crowded_out)
        except BaseException as error:  # whatever it is belongs to the thread that waits for this one
            errors.append(error)
            stop.request("error")

    _load_linear_algebra(compute.device)
    # Daemons: where a hook hangs, a second Ctrl-C still ends the process.
    threads = [Thread(target=train, daemon=True) for _ in range(count)]
    with execution.stop.observing(), chdir(Path.cwd()):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    # The threads that were stopped because of another's error have nothing to say.
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error
    if crowded_out:
        run_jobs(jobs, compute, replace(execution, streams=1), callbacks, after_each)


class _SharedStop(Stop):
    """Wanted once the whole study is to stop, or one of its threads has failed."""

    def __init__(self, whole: Stop) -> None:
        super().__init__()
        self._whole = whole

    def wanted(self) -> bool:
        """Whether to stop now."""
        if self._whole.wanted() and self._whole.reason is not None:
            self.request(self._whole.reason)
        return super().wanted()


def _own_stream(device: torch.device) -> AbstractContextManager[object]:
    return torch.cuda.stream(torch.cuda.Stream(device)) if device.type == "cuda" else nullcontext()


def _load_linear_algebra(device: torch.device) -> None:
    """Have torch load what it loads late, as it cannot in two threads at once (PyTorch issue 90613)."""
    if device.type == "cuda":
        torch.linalg.inv(torch.eye(1, device=device))


def _one_at_a_time(callbacks: Callbacks, lock: Lock) -> Callbacks:
    """Return callbacks that pass on what trials tell, one thread at a time."""
    passing = Callbacks()
    for name in _TOLD:
        setattr(passing, name, _with_lock(lock, getattr(callbacks, name)))
    return passing


def _with_lock(lock: Lock, call: Callable[..., None]) -> Callable[..., None]:
    def call_with_lock(*values: Any) -> None:
        with lock:
            call(*values)

    return call_with_lock
