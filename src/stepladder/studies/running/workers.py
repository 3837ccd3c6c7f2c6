"""Several processes on the same trials, each with its own thread; this one only listens."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any

from stepladder.errors import StepladderError, StudyError
from stepladder.network import own
from stepladder.studies.files.store import read_result
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.events import error_of, pass_on
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.interpreter import python_command
from stepladder.studies.running.locks import locked
from stepladder.studies.running.shared_memory import SharedJobs, share_jobs
from stepladder.studies.running.trial import record_failure
from stepladder.studies.running.worker import STOPPED
from stepladder.techniques.catalogue import files_of
from stepladder.training.device import Compute

#: A trial whose process dies this often has failed.
DEATHS = 3

_WAIT = 0.2


def run_in_workers(
    count: int,
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    callbacks: Callbacks,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended; see ``jobs.run_jobs``, which every worker runs.

    A worker that dies is replaced; a trial during which several have died, or which takes longer than
    ``execution.trial_timeout``, has failed.
    """
    with share_jobs(jobs) as shared, execution.stop.observing():
        count = min(count, len(jobs))
        pool = _WorkerPool(count, jobs, shared, compute, execution, callbacks, after_each)
        try:
            for _ in range(count):
                pool.start()
            pool.work()
        finally:
            pool.stop()


@dataclass
class _Worker:
    """One worker: its process, and the trials that it is at, each with the time of its start."""

    process: subprocess.Popen[bytes]
    trials: dict[str, float] = field(default_factory=dict)
    unread: bytes = b""
    killed: bool = False


class _WorkerPool:
    def __init__(
        self,
        count: int,
        jobs: Sequence[Job],
        shared: SharedJobs,
        compute: Compute,
        execution: Execution,
        callbacks: Callbacks,
        after_each: Callable[[], None] | None,
    ) -> None:
        self._count = count
        self._jobs = {job.trial.id: job for job in jobs}
        self._shared, self._compute, self._execution = shared, compute, execution
        self._callbacks, self._after_each = callbacks, after_each or (lambda: None)
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._deaths: dict[str, int] = {}
        self._error: StepladderError | None = None

    def start(self, streams: int | None = None) -> None:
        """Start one worker, for ``streams`` trials at a time in place of as many as were asked for."""
        order = {
            "shared": asdict(self._shared),
            "device": self._compute.device.type,
            "precision": self._compute.precision,
            "threads": self._compute.threads,
            "workers": self._count,
            "streams": streams or self._execution.streams,
            "checkpoint_seconds": self._execution.checkpoint_seconds,
            "accept_different_bits": self._execution.accept_different_bits,
            "techniques": files_of(
                setting.name for job in self._jobs.values() for setting in job.trial.recipe.techniques
            ),
            "networks": own.files_of(job.trial.recipe.network for job in self._jobs.values()),
            "path": [os.path.abspath(place) for place in sys.path],  # noqa: PTH100 (of "" too, the current folder)
        }
        process = subprocess.Popen(
            python_command("-m", "stepladder.studies.running.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._shared.descriptor,),
            # Ctrl-C in a terminal goes to the whole group; a worker that is still starting would die of it.
            process_group=0,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process)
        self._workers.append(worker)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)
        with suppress(BrokenPipeError):  # it died at once, as is found out by listening
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()

    def work(self) -> None:
        """Listen until all workers have gone."""
        asked_to_stop = False
        while self._workers:
            heard = [key.data for key, _ in self._selector.select(_WAIT)]
            # One that has ended and says no more has gone, even where a child of its own keeps the pipe open.
            gone = [worker for worker in self._workers if worker not in heard and worker.process.poll() is not None]
            for worker in heard:
                gone += [] if self._listen(worker) else [worker]
            for worker in gone:
                self._remove(worker)
            self._kill_what_hangs()
            if (self._error or self._execution.stop.wanted()) and not asked_to_stop:
                asked_to_stop = True
                for worker in self._workers:
                    worker.process.send_signal(signal.SIGTERM)
        if self._error is not None:
            raise self._error
        self._execution.stop.raise_if_wanted()

    def stop(self) -> None:
        """Leave no process behind; only after an error is there any left."""
        for worker in self._workers:
            worker.process.kill()
            worker.process.communicate()
        self._selector.close()

    def _listen(self, worker: _Worker) -> bool:
        """Read what a worker has said; return whether it may say more."""
        assert worker.process.stdout is not None
        heard = os.read(worker.process.stdout.fileno(), 2**16)
        *lines, worker.unread = (worker.unread + heard).split(b"\n")
        for line in lines:
            self._hear(worker, json.loads(line))
        return bool(heard)

    def _remove(self, worker: _Worker) -> None:
        assert worker.process.stdin is not None
        assert worker.process.stdout is not None
        self._selector.unregister(worker.process.stdout)
        self._workers.remove(worker)
        status = worker.process.wait()
        with suppress(BrokenPipeError):
            worker.process.stdin.close()
        worker.process.stdout.close()
        if status not in (0, 2, STOPPED):
            self._note_death(worker, status)

    def _hear(self, worker: _Worker, said: Mapping[str, Any]) -> None:
        job, event = self._jobs.get(said.get("trial", "")), said["event"]
        if event == "error":
            self._error = self._error or error_of(said)
            return
        if job and event == "started":
            worker.trials[job.trial.id] = monotonic()
            self._deaths.pop("", None)  # workers do start; what killed earlier ones was no fault of all
        # What a worker that was killed had still said is of a trial that others have at work by now.
        own = job if job and (event in ("postponed", "ended") or job.trial.id in worker.trials) else None
        if own and event in ("postponed", "ended"):
            worker.trials.pop(own.trial.id, None)  # the time until a postponed one starts again is not its own
        pass_on(said, own.trial if own else None, self._callbacks)
        if own and event == "ended":
            self._after_each()

    def _note_death(self, worker: _Worker, status: int) -> None:
        """A worker has died by no wish of ours: killed for memory, perhaps. Another goes on from its checkpoint."""
        if self._error or self._execution.stop.wanted():
            return
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if not worker.killed and not worker.trials:
            self._deaths[""] = self._deaths.get("", 0) + 1
            if self._deaths[""] >= DEATHS:
                raise StudyError(f"worker processes end before they have started ({how}); use `workers=1` to see why")
        for trial in () if worker.killed else tuple(worker.trials):
            # Of several it is not known which was too much: it counts against none; each runs alone until one fails.
            self._deaths[trial] = self._deaths.get(trial, 0) + (len(worker.trials) == 1)
            if self._deaths[trial] >= DEATHS:
                self._fail(worker, trial, f"the process that ran it ended {DEATHS} times ({how}); memory may be short")
            else:
                name = f"{self._jobs[trial].trial.rung}, seed {self._jobs[trial].trial.seed}"
                self._callbacks.message(
                    f"{name}: the process that ran it ended ({how}); another goes on from its checkpoint"
                )
        if any(read_result(job.folder) is None for job in self._jobs.values()):
            self.start(streams=None if worker.killed or len(worker.trials) < 1 else 1)

    def _kill_what_hangs(self) -> None:
        limit = self._execution.trial_timeout
        if limit is None:
            return
        for worker in list(self._workers):
            for trial in [name for name, since in worker.trials.items() if monotonic() - since > limit]:
                # Others that it was at go on from their checkpoints, in another process.
                worker.process.kill()
                worker.process.wait()
                worker.killed = True
                self._fail(worker, trial, f"it took longer than the {limit:g} seconds of `trial_timeout`")

    def _fail(self, worker: _Worker, trial: str, reason: str) -> None:
        job, seconds = self._jobs[trial], monotonic() - worker.trials.pop(trial)
        with locked(job.folder):
            if read_result(job.folder) is None:
                record_failure(job, reason, "", self._compute, self._callbacks, seconds)
        self._after_each()
