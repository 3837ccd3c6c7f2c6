"""Whole processes, measured from outside: their time and memory, what one waits for, and where a study's time goes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
from PIL import Image

from stepladder.errors import StudyError
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study
from stepladder.studies.running.interpreter import python_command

_CHECK, _PREDICT = "stepladder check, of a study of the digits", "stepladder predict, one file"
_STUDY = "first step of stepladder study digits"
#: What is waited for, and the seconds that it may take on two quiet cores.
TARGETS = {
    "stepladder --help": 0.2,
    "stepladder techniques": 0.5,
    "stepladder techniques dropout": 0.5,
    "stepladder inspect report": 0.5,
    _CHECK: 2.5,
    _PREDICT: 1.3,
    _STUDY: 4.0,
}

#: Seconds until a study must have taken its first step.
_FIRST_STEP_LIMIT = 120.0
#: ``getrusage`` counts KiB, but bytes on macOS.
_UNIT = 1 if sys.platform == "darwin" else 1024

# Prints seconds, processor seconds and the peak of the command, whose own output is not wanted.
_STARTER = """
import os, resource, subprocess, sys, time
started = time.perf_counter()
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
seconds = time.perf_counter() - started
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(code)
"""


@dataclass(frozen=True)
class Measured:
    """One process that has ended.

    Attributes:
        seconds: wall time from its start to its end.
        peak: bytes of resident memory that it held at most, its children's apart.
        processor_seconds: time that processors worked for it, its children's with it; less sensitive to other work.
    """

    seconds: float
    peak: int
    processor_seconds: float


def stepladder(*arguments: str) -> list[str]:
    """Return the command line that runs this very Stepladder."""
    return python_command("-m", "stepladder", *arguments)


def measure_process(command: Sequence[str], folder: Path) -> Measured:
    """Run ``command`` in ``folder`` and measure it.

    The peak is the kernel's own figure. It begins with the memory of the process that starts the command, so a small
    interpreter stands in between.

    Raises:
        StudyError: the command failed; the message has the end of what it said.
    """
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            python_command("-S", "-c", _STARTER, *command), cwd=folder, stdout=subprocess.PIPE, stderr=said
        )
        printed, _ = process.communicate()
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-3:]
            raise StudyError(f"{' '.join(command[4:])} failed with exit code {process.returncode}: {' '.join(last)}")
    seconds, processor_seconds, peak = printed.split()
    return Measured(float(seconds), int(peak) * _UNIT, float(processor_seconds))


@dataclass(frozen=True)
class Start:
    """One wait, measured ``rounds`` times.

    Attributes:
        what: a key of :data:`TARGETS`.
        seconds: wall time from the start of the process, one a round.
        processor_seconds: of the same processes; None where the process is ended before its end.
    """

    what: str
    seconds: list[float]
    processor_seconds: list[float] | None


def measure_start(rounds: int = 5, on_round: Callable[[], None] | None = None) -> list[Start]:
    """Measure every wait of :data:`TARGETS`, in turn, after one round that warms the file cache.

    The study that is checked is the ladder on the digits with one epoch a trial: as many files as a real one. The first
    step of a study is taken when the checkpoint that follows it stands complete on disk, which is a little later than
    the step itself.

    Args:
        on_round: called after each round, the first and the making of the study too.
    """
    seconds: dict[str, list[float]] = {what: [] for what in TARGETS}
    processor: dict[str, list[float]] = {what: [] for what in TARGETS}
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as made:
        folder = Path(made)
        measure_process(stepladder("study", "digits", "--epochs", "1", "--out", "study"), folder)
        model = min((folder / "study").glob("trials/*/model"))
        image = folder / "one.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)).save(image)
        commands = {what: stepladder(*what.split()[1:]) for what in TARGETS if what not in (_CHECK, _PREDICT, _STUDY)}
        commands |= {_CHECK: stepladder("check", "study"), _PREDICT: stepladder("predict", str(model), str(image))}
        if on_round:
            on_round()
        for number in range(rounds + 1):
            measured = {what: measure_process(command, folder) for what, command in commands.items()}
            first_step = _first_step(folder / f"study{number}")
            if number:
                for what, one in measured.items():
                    seconds[what].append(one.seconds)
                    processor[what].append(one.processor_seconds)
                seconds[_STUDY].append(first_step)
            if on_round:
                on_round()
    return [Start(what, seconds[what], processor[what] or None) for what in TARGETS]


def _first_step(folder: Path) -> float:
    """Seconds from the start of a study to the checkpoint after its first step; the study is then killed."""
    command = stepladder("study", "digits", "--checkpoint-seconds", "0.001", "--out", str(folder), "--workers", "1")
    started = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not any(folder.glob("trials/*/checkpoint/*/complete.json")):
            seconds = perf_counter() - started
            if process.poll() is not None or seconds > _FIRST_STEP_LIMIT:
                raise StudyError(
                    f"the study of the digits took no step within {seconds:.0f} s; run it by itself to see why"
                )
            sleep(0.002)
        return perf_counter() - started
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class WholeStudy:
    """A study, measured from the start of its process to the end.

    Attributes:
        workers: processes that train. threads: of each.
        trials: that it trained.
        seconds: wall time of all.
        step_seconds: time in training steps, all processes together, as the next two are.
        evaluation_seconds: in the epochs beside their steps; before the first, what techniques learn is among it.
        checkpoint_seconds: in the trials beside their epochs.
    """

    workers: int
    threads: int
    trials: int
    seconds: float
    step_seconds: float
    evaluation_seconds: float
    checkpoint_seconds: float

    @property
    def trials_an_hour(self) -> float:
        """Trials that end in an hour."""
        return 3600 * self.trials / self.seconds

    @property
    def outside(self) -> float:
        """Share of the processes' time outside training steps; it is the sum of the next three."""
        return 1 - self._share(self.step_seconds)

    @property
    def evaluating(self) -> float:
        """Share of evaluation on training and validation images."""
        return self._share(self.evaluation_seconds)

    @property
    def checkpointing(self) -> float:
        """Share of checkpoints."""
        return self._share(self.checkpoint_seconds)

    @property
    def remaining(self) -> float:
        """Share of all that is no training: start, loading, models written, test, report, and waiting for the last."""
        return 1 - self._share(self.step_seconds + self.evaluation_seconds + self.checkpoint_seconds)

    def _share(self, seconds: float) -> float:
        return seconds / (self.workers * self.seconds)


def measure_study(
    data: str,
    ways: tuple[tuple[int, int], ...],
    seeds: int = 3,
    epochs: int = 20,
    on_study: Callable[[], None] | None = None,
) -> list[WholeStudy]:
    """Measure the ladder of recipe report on ``data``, once for each way to use the cores.

    Args:
        data: a name or a path, as for ``stepladder study``.
        ways: (workers, threads of each).
        on_study: called after each.

    Raises:
        StudyError: the study failed.
    """
    place = str(Path(data).absolute()) if Path(data).exists() else data
    found = []
    for workers, threads in ways:
        with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
            options = ("--recipe", "report", "--seeds", str(seeds), "--epochs", str(epochs), "--out", "study")
            how = ("--workers", str(workers), "--threads", str(threads))
            seconds = measure_process(stepladder("study", place, *options, *how), Path(folder)).seconds
            study = load_study(Path(folder) / "study")
            found.append(_account(study, workers, threads, seconds))
        if on_study:
            on_study()
    return found


def _account(study: SavedStudy, workers: int, threads: int, seconds: float) -> WholeStudy:
    images = study.record.data.counts["train"]
    epochs = [record for trial in study.trials for record in trial.history]
    steps = sum(images / record.images_per_second for record in epochs if record.images_per_second is not None)
    in_epochs, in_trials = sum(record.seconds for record in epochs), sum(trial.result.seconds for trial in study.trials)
    return WholeStudy(
        workers=workers,
        threads=threads,
        trials=len(study.trials),
        seconds=seconds,
        step_seconds=steps,
        evaluation_seconds=in_epochs - steps,
        checkpoint_seconds=in_trials - in_epochs,
    )
