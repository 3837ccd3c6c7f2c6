"""How long does one wait: for the help, for a network's table, for the first training step of a study?"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from stepladder.bench.processes import measure_process, stepladder
from stepladder.errors import StudyError

#: What is waited for, and the seconds that it may take.
BARS = {"stepladder --help": 0.3, "stepladder inspect report": 0.5, "first step of stepladder study digits": 4.0}
_PATIENCE = 120.0


@dataclass(frozen=True)
class Start:
    """One wait, measured ``rounds`` times.

    Attributes:
        what: a key of :data:`BARS`.
        seconds: wall time from the start of the process, one a round.
    """

    what: str
    seconds: list[float]


def measure_start(rounds: int = 5, on_round: Callable[[], None] | None = None) -> list[Start]:
    """Measure every wait of :data:`BARS`, in turn, after one round that warms the file cache.

    The first step of a study is taken when the checkpoint that follows it stands complete on disk, which is a little
    later than the step itself.
    """
    found: dict[str, list[float]] = {what: [] for what in BARS}
    help_, inspect, study = BARS
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
        for number in range(rounds + 1):
            seconds = {
                help_: measure_process(stepladder("--help"), Path(folder)).seconds,
                inspect: measure_process(stepladder("inspect", "report"), Path(folder)).seconds,
                study: _first_step(Path(folder) / f"study{number}"),
            }
            for what, value in seconds.items():
                found[what] += [value] if number else []
            if on_round:
                on_round()
    return [Start(what, values) for what, values in found.items()]


def _first_step(folder: Path) -> float:
    """Seconds from the start of a study to the checkpoint after its first step; the study is then killed."""
    command = stepladder("study", "digits", "--checkpoint-seconds", "0.001", "--out", str(folder), "--workers", "1")
    started = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not any(folder.glob("trials/*/checkpoint/*/complete.json")):
            seconds = perf_counter() - started
            if process.poll() is not None or seconds > _PATIENCE:
                raise StudyError(
                    f"the study of the digits took no step within {seconds:.0f} s; run it by itself to see why"
                )
            sleep(0.002)
        return perf_counter() - started
    finally:
        process.kill()
        process.wait()
