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
    def keeping(self) -> float:
        """Share of checkpoints."""
        return self._share(self.checkpoint_seconds)

    @property
    def beside(self) -> float:
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
