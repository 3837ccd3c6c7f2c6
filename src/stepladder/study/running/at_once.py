"""Several trials at a time in one process, for a GPU that the small kernels of one do not fill."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from threading import Lock
from typing import Any

import torch

from stepladder.study.running.conduct import Job, run_jobs
from stepladder.study.running.execution import Execution
from stepladder.study.running.watch import Watch
from stepladder.training.device import Compute
from stepladder.training.stop import Stop, Stopped

#: What one trial tells; ``waiting`` is left out, since here it would only mean another thread.
_TOLD = ("trial_started", "batch_ended", "epoch_ended", "told", "trial_ended")


def run_jobs_at_once(
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    watch: Watch,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended; see ``conduct.run_jobs``, which ``execution.at_once`` threads run.

    On a GPU each thread has a CUDA stream of its own, so that kernels of different trials overlap: those of processes
    take turns instead. Every trial has its own random streams and tensors, so its result does not depend on how many
    run beside it.

    Args:
        watch: told by one thread at a time; likewise ``after_each``.

    Raises:
        StorageError, StudyError, Stopped: as ``run_jobs`` does; the other threads then stop at their next step.
    """
    count = min(execution.at_once, len(jobs))
    if count <= 1:
        run_jobs(jobs, compute, execution, watch, after_each)
        return
    stop, turn = _SharedStop(execution.stop), Lock()
    execution_here = replace(execution, stop=stop)
    told = _in_turn(watch, turn)
    ended = None if after_each is None else _taking(turn, after_each)

    def train() -> None:
        with _own_stream(compute.device):
            run_jobs(jobs, compute, execution_here, told, ended)

    with execution.stop.observing(), ThreadPoolExecutor(count) as pool:
        threads = [pool.submit(train) for _ in range(count)]
        try:
            wait(threads, return_when=FIRST_EXCEPTION)
        finally:  # one has failed, or this thread was interrupted
            if not all(thread.done() for thread in threads):
                stop.request("error")
    errors = [error for thread in threads if (error := thread.exception()) is not None]
    # The threads that were stopped because of another's error have nothing to say.
    for error in sorted(errors, key=lambda error: isinstance(error, Stopped)):
        raise error


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


def _in_turn(watch: Watch, turn: Lock) -> Watch:
    """Return a watch that passes on what trials tell, one thread at a time."""
    passing = Watch()
    for name in _TOLD:
        setattr(passing, name, _taking(turn, getattr(watch, name)))
    return passing


def _taking(turn: Lock, call: Callable[..., None]) -> Callable[..., None]:
    def call_in_turn(*values: Any) -> None:
        with turn:
            call(*values)

    return call_in_turn
