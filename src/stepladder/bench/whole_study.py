"""Where does the time of a whole study go, and is a process a core faster than one process with all cores?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from stepladder.bench.processes import measure_process, stepladder
from stepladder.study.files.records import SavedStudy
from stepladder.study.files.store import load_study


@dataclass(frozen=True)
class WholeStudy:
    """A study, measured from the start of its process to the end.

    Attributes:
        workers: processes that train. threads: of each.
        trials: that it trained.
        seconds: wall time of all.
        step_seconds: time in training steps, all processes together.
    """

    workers: int
    threads: int
    trials: int
    seconds: float
    step_seconds: float

    @property
    def trials_an_hour(self) -> float:
        """Trials that end in an hour."""
        return 3600 * self.trials / self.seconds

    @property
    def outside(self) -> float:
        """Share of the processes' time outside training steps: start, loading, evaluation, checkpoints, report."""
        return 1 - self.step_seconds / (self.workers * self.seconds)


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
    rates = [record.images_per_second for trial in study.trials for record in trial.history]
    return WholeStudy(
        workers=workers,
        threads=threads,
        trials=len(study.trials),
        seconds=seconds,
        step_seconds=sum(images / rate for rate in rates if rate is not None),
    )
