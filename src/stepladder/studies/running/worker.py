"""A process that trains trials for another: one of several on this machine, or one on a node of a cluster.

It reads what to do as a line of JSON from stdin and says what happens in lines of JSON on stdout. On this machine it
gets all trials at once, and takes whichever nobody is at; on a node each trial is a further line. It stops, with a
checkpoint, on SIGTERM and when stdin ends: then the process that started it has gone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, TextIO

import torch

from stepladder.errors import StepladderError, StepladderWarning, StudyError
from stepladder.network.own import register_network
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.machine import describe_machine, describe_versions
from stepladder.studies.files.records import TrialResult
from stepladder.studies.running.asked import answer
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.jobs import run_jobs
from stepladder.studies.running.shared_memory import SharedJobs, read_jobs, read_shared_jobs
from stepladder.studies.running.streams import run_jobs_in_streams
from stepladder.techniques.catalogue import register
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord
from stepladder.training.stop import Stop, Stopped

#: Exit status of a worker that was asked to stop.
STOPPED = 75

#: Seconds between two words on how many images were trained on.
_PULSE = 0.1


class _Telling(Callbacks):
    """Says all that it sees as lines of JSON."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        #: Trained on since it was last said, by trial: several may run here.
        self._images: Counter[str] = Counter()
        self._last = monotonic()

    def say(self, event: str, **more: Any) -> None:
        """Write one event; the reader may have gone, which is its business."""
        try:
            self._out.write(json.dumps({"event": event, **more}) + "\n")
            self._out.flush()
        except OSError:
            pass

    def trial_started(self, trial: Trial) -> None:
        self._images.pop(trial.id, None)
        self.say("started", trial=trial.id)

    def batch_ended(self, trial: Trial, images: int) -> None:
        self._images[trial.id] += images
        if monotonic() - self._last >= _PULSE:
            for name, count in self._images.items():
                self.say("images", trial=name, images=count)
            self._images.clear()
            self._last = monotonic()

    def features_computed(self, trial: Trial, done: int, total: int) -> None:
        self.say("features", trial=trial.id, done=done, total=total)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        self.say("epoch", trial=trial.id, record=asdict(record))

    def message(self, sentence: str) -> None:
        self.say("message", sentence=sentence)

    def trial_postponed(self, trial: Trial) -> None:
        self._images.pop(trial.id, None)
        self.say("postponed", trial=trial.id)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self._images.pop(trial.id, None)  # nothing is said of a trial that has ended
        self.say("ended", trial=trial.id, result=result.model_dump(mode="json"))


def main() -> int:
    """Train until nothing is left; return 0, :data:`STOPPED`, or 2 where an error was told."""
    # What a technique of the user's own prints must not get between the events.
    telling = _Telling(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    order = json.loads(sys.stdin.readline())
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.request("terminate"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started this one passes it on
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    warnings.showwarning = partial(_tell_warning, telling, warnings.showwarning)
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_listen, args=(stop, lines), daemon=True).start()
    try:
        _register(order)
        compute, execution = _conditions(order, stop)
        if "shared" in order:
            run_jobs_in_streams(read_shared_jobs(SharedJobs(**order["shared"])), compute, execution, telling)
        else:
            _train_handed(Path(order["arrays"]), lines, compute, execution, telling)
    except Stopped:
        return STOPPED
    except StepladderError as error:
        telling.say("error", kind=type(error).__name__, sentence=str(error))
        return 2
    return 0


def _register(order: dict[str, Any]) -> None:
    if order["techniques"] or order["networks"]:
        # What files that were named import is found where the other process found it, after all that is installed.
        sys.path += [place for place in order["path"] if place not in sys.path]
    if order.get("modules"):  # those that came from the owner's machine, where they were found first as well
        sys.path.insert(0, order["modules"])
    for reference in order["techniques"]:
        register(reference)
    for reference, text in order["networks"]:
        register_network(reference, text.encode())


def _conditions(order: dict[str, Any], stop: Stop) -> tuple[Compute, Execution]:
    compute = Compute(torch.device(order["device"]), order["precision"], order["threads"])
    execution = Execution(
        workers=order["workers"],
        streams=order["streams"],
        checkpoint_seconds=order["checkpoint_seconds"],
        accept_different_bits=order["accept_different_bits"],
        stop=stop,
    )
    return compute, execution


def _train_handed(
    arrays: Path, lines: SimpleQueue[str], compute: Compute, execution: Execution, telling: _Telling
) -> None:
    """Train one trial after another, or answer questions, each a line; say what this machine is before the first.

    Raises:
        Stopped: that was asked for, or the process that hands over has gone.
        StudyError: a checkpoint was made under other conditions.
    """
    if compute.device.type == "cuda" and not torch.cuda.is_available():
        raise StudyError("PyTorch finds no CUDA device on this node; install a PyTorch for CUDA there, or use a CPU")
    telling.say("ready", versions=describe_versions(), machine=describe_machine(compute.device).model_dump(mode="json"))
    while True:
        execution.stop.raise_if_wanted()
        try:
            line = lines.get(timeout=_PULSE)
        except Empty:
            continue
        document = json.loads(line)
        folder = Path(document["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        if "ask" in document:
            telling.say("answer", **answer(document, arrays, folder, telling))
        else:
            (job,) = read_jobs(document, arrays)
            run_jobs([replace(job, folder=folder)], compute, execution, telling)
        telling.say("handed back", peak_memory=_peak_memory())


def _peak_memory() -> int:
    """Return the most bytes that this process had in memory; 0 where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _tell_warning(
    telling: _Telling, show: Callable[..., None], message: Warning | str, *where: Any, **more: Any
) -> None:
    """Let the process that the user looks at say what Stepladder warns of."""
    if isinstance(message, StepladderWarning):
        telling.message(str(message))
    else:
        show(message, *where, **more)


def _listen(stop: Stop, lines: SimpleQueue[str]) -> None:
    """Pass on the lines that come, and ask to stop when no more can."""
    for line in sys.stdin:
        lines.put(line)
    stop.request("parent")


if __name__ == "__main__":
    sys.exit(main())
