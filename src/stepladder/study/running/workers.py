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

from stepladder import errors
from stepladder.errors import StepladderError, StudyError
from stepladder.study.files.records import TrialResult
from stepladder.study.files.store import read_result
from stepladder.study.running.conduct import Job
from stepladder.study.running.execution import Execution
from stepladder.study.running.handover import Handover, hand_over
from stepladder.study.running.ownership import own
from stepladder.study.running.trial import record_failure
from stepladder.study.running.watch import Watch
from stepladder.study.running.worker import STOPPED
from stepladder.techniques.registry import files_of
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord

#: A trial whose process dies this often has failed.
DEATHS = 3

_WAIT = 0.2


def run_in_workers(
    count: int,
    jobs: Sequence[Job],
    compute: Compute,
    execution: Execution,
    watch: Watch,
    after_each: Callable[[], None] | None = None,
) -> None:
    """Return when every job has ended; see ``conduct.run_jobs``, which every worker runs.

    A worker that dies is replaced; a trial during which several have died, or which takes longer than
    ``execution.trial_timeout``, has failed.
    """
    with hand_over(jobs) as handover, execution.stop.observing():
        count = min(count, len(jobs))
        crew = _Crew(count, jobs, handover, compute, execution, watch, after_each)
        try:
            for _ in range(count):
                crew.hire()
            crew.work()
        finally:
            crew.dismiss()


@dataclass
class _Hand:
    """One worker: its process, and the trials that it is at, each with the time of its start."""

    process: subprocess.Popen[bytes]
    trials: dict[str, float] = field(default_factory=dict)
    unread: bytes = b""
    killed: bool = False


class _Crew:
    def __init__(
        self,
        count: int,
        jobs: Sequence[Job],
        handover: Handover,
        compute: Compute,
        execution: Execution,
        watch: Watch,
        after_each: Callable[[], None] | None,
    ) -> None:
        self._count = count
        self._jobs = {job.trial.id: job for job in jobs}
        self._handover, self._compute, self._execution = handover, compute, execution
        self._watch, self._after_each = watch, after_each or (lambda: None)
        self._hands: list[_Hand] = []
        self._selector = selectors.DefaultSelector()
        self._deaths: dict[str, int] = {}
        self._error: StepladderError | None = None

    def hire(self, at_once: int | None = None) -> None:
        """Start one worker, for ``at_once`` trials at a time in place of as many as were asked for."""
        order = {
            "handover": asdict(self._handover),
            "device": self._compute.device.type,
            "precision": self._compute.precision,
            "threads": self._compute.threads,
            "workers": self._count,
            "at_once": at_once or self._execution.at_once,
            "checkpoint_seconds": self._execution.checkpoint_seconds,
            "accept_different_bits": self._execution.accept_different_bits,
            "techniques": files_of(
                setting.name for job in self._jobs.values() for setting in job.trial.recipe.techniques
            ),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "stepladder.study.running.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self._handover.descriptor,),
            # Ctrl-C in a terminal goes to the whole group; a worker that is still starting would die of it.
            process_group=0,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        hand = _Hand(process)
        self._hands.append(hand)
        self._selector.register(process.stdout, selectors.EVENT_READ, hand)
        with suppress(BrokenPipeError):  # it died at once, as is found out by listening
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.flush()

    def work(self) -> None:
        """Listen until all workers have gone."""
        asked_to_stop = False
        while self._hands:
            heard = [key.data for key, _ in self._selector.select(_WAIT)]
            # One that has ended and says no more has gone, even where a child of its own keeps the pipe open.
            gone = [hand for hand in self._hands if hand not in heard and hand.process.poll() is not None]
            for hand in heard:
                gone += [] if self._listen(hand) else [hand]
            for hand in gone:
                self._retire(hand)
            self._kill_what_hangs()
            if (self._error or self._execution.stop.wanted()) and not asked_to_stop:
                asked_to_stop = True
                for hand in self._hands:
                    hand.process.send_signal(signal.SIGTERM)
        if self._error is not None:
            raise self._error
        self._execution.stop.raise_if_wanted()

    def dismiss(self) -> None:
        """Leave no process behind; only after an error is there any left."""
        for hand in self._hands:
            hand.process.kill()
            hand.process.communicate()
        self._selector.close()

    def _listen(self, hand: _Hand) -> bool:
        """Read what a worker has said; return whether it may say more."""
        assert hand.process.stdout is not None
        heard = os.read(hand.process.stdout.fileno(), 2**16)
        *lines, hand.unread = (hand.unread + heard).split(b"\n")
        for line in lines:
            self._hear(hand, json.loads(line))
        return bool(heard)

    def _retire(self, hand: _Hand) -> None:
        assert hand.process.stdin is not None
        assert hand.process.stdout is not None
        self._selector.unregister(hand.process.stdout)
        self._hands.remove(hand)
        status = hand.process.wait()
        with suppress(BrokenPipeError):
            hand.process.stdin.close()
        hand.process.stdout.close()
        if status not in (0, 2, STOPPED):
            self._mourn(hand, status)

    def _hear(self, hand: _Hand, said: Mapping[str, Any]) -> None:
        job = self._jobs.get(said.get("trial", ""))
        match said["event"]:
            case "told":
                self._watch.told(said["sentence"])
            case "error":
                kind = getattr(errors, said["kind"], StudyError)
                self._error = self._error or kind(said["sentence"])
            case "started" if job:
                hand.trials[job.trial.id] = monotonic()
                self._deaths.pop("", None)  # workers do start; what killed earlier ones was no fault of all
                self._watch.trial_started(job.trial)
            # What a worker that was killed had still said is of a trial that others have at hand by now.
            case "images" if job and job.trial.id in hand.trials:
                self._watch.batch_ended(job.trial, said["images"])
            case "epoch" if job and job.trial.id in hand.trials:
                self._watch.epoch_ended(job.trial, EpochRecord(**said["record"]))
            case "postponed" if job:
                hand.trials.pop(job.trial.id, None)  # the time until it starts again is not its own
                self._watch.trial_postponed(job.trial)
            case "ended" if job:
                hand.trials.pop(job.trial.id, None)
                self._watch.trial_ended(job.trial, TrialResult.model_validate(said["result"]))
                self._after_each()

    def _mourn(self, hand: _Hand, status: int) -> None:
        """A worker has died by no wish of ours: killed for memory, perhaps. Another goes on from its checkpoint."""
        if self._error or self._execution.stop.wanted():
            return
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        if not hand.killed and not hand.trials:
            self._deaths[""] = self._deaths.get("", 0) + 1
            if self._deaths[""] >= DEATHS:
                raise StudyError(f"worker processes end before they have started ({how}); use --workers 1 to see why")
        for trial in () if hand.killed else tuple(hand.trials):
            # Of several it is not known which was too much: it counts against none; each runs alone until one fails.
            self._deaths[trial] = self._deaths.get(trial, 0) + (len(hand.trials) == 1)
            if self._deaths[trial] >= DEATHS:
                self._fail(hand, trial, f"the process that ran it ended {DEATHS} times ({how}); memory may be short")
            else:
                name = f"{self._jobs[trial].trial.rung}, seed {self._jobs[trial].trial.seed}"
                self._watch.told(f"{name}: the process that ran it ended ({how}); another goes on from its checkpoint")
        if any(read_result(job.folder) is None for job in self._jobs.values()):
            self.hire(at_once=None if hand.killed or len(hand.trials) < 1 else 1)

    def _kill_what_hangs(self) -> None:
        limit = self._execution.trial_timeout
        if limit is None:
            return
        for hand in list(self._hands):
            for trial in [name for name, since in hand.trials.items() if monotonic() - since > limit]:
                # Others that it was at go on from their checkpoints, in another process.
                hand.process.kill()
                hand.process.wait()
                hand.killed = True
                self._fail(hand, trial, f"it took longer than the {limit:g} seconds of --trial-timeout")

    def _fail(self, hand: _Hand, trial: str, reason: str) -> None:
        job, seconds = self._jobs[trial], monotonic() - hand.trials.pop(trial)
        with own(job.folder):
            if read_result(job.folder) is None:
                record_failure(job.trial, job.folder, reason, "", self._compute, self._watch, seconds)
        self._after_each()
