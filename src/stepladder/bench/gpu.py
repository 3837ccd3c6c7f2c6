"""How fast is the reference study on a GPU: a trial alone, and the whole ladder, how many trials at a time, and how?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch

from stepladder.bench.processes import measure_process, stepladder
from stepladder.datasets import Splits
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute
from stepladder.training.loop import train_network

#: Seconds that are wanted on one H200: of one trial, and of the ladder with five seeds.
TRIAL_TARGET, LADDER_TARGET = 2.0, 30.0

#: Processes that share the GPU, and trials at a time in each, on CUDA streams of their own.
WORKERS_AND_STREAMS = ((1, 1), (2, 1), (4, 1), (8, 1), (1, 2), (1, 4), (1, 8), (2, 2), (2, 4))


@dataclass(frozen=True)
class GpuSpeed:
    """One GPU's figures.

    Attributes:
        replayed: seconds of one trial whose steps are recorded once and replayed, one entry a round.
        launched: the same where every kernel of every step is launched from Python.
        ladders: seconds of a whole ladder from the start of its process to the end, an entry for each of
            :data:`WORKERS_AND_STREAMS`.
    """

    replayed: list[float]
    launched: list[float]
    ladders: list[float]


def measure_gpu(
    data: str,
    splits: Splits,
    classes: int,
    recipe: Recipe,
    compute: Compute,
    seeds: int = 5,
    rounds: int = 3,
    on_measured: Callable[[], None] | None = None,
) -> GpuSpeed:
    """Train ``recipe`` whole with and without replaying, in turn, and the ladder of the reference study.

    Args:
        data: a name or a path, as for ``stepladder study``; ``splits`` are its images.
        rounds: trials of each kind, after one that warms up.
        on_measured: called after each trial and each ladder.

    Raises:
        StudyError: there is no validation split, or a study failed.
    """
    if splits.validation is None:
        raise StudyError("these images have no validation split, and a trial of the study watches one")
    images = TrainingData(splits.train, splits.validation, classes)

    def seconds_of(seed: int, replay: bool) -> float:
        torch.cuda.synchronize()
        started = perf_counter()
        train_network(recipe, images, seed, replace(compute, replay=replay))
        torch.cuda.synchronize()
        if on_measured:
            on_measured()
        return perf_counter() - started

    seconds_of(0, replay=True)
    trials = [(seconds_of(seed, replay=True), seconds_of(seed, replay=False)) for seed in range(rounds)]
    place = str(Path(data).absolute()) if Path(data).exists() else data
    ladders = []
    for workers, streams in WORKERS_AND_STREAMS:
        with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
            options = ("--recipe", "report", "--seeds", str(seeds), "--out", "study", "--device", "cuda")
            command = stepladder("study", place, *options, "--workers", str(workers), "--streams", str(streams))
            ladders.append(measure_process(command, Path(folder)).seconds)
        if on_measured:
            on_measured()
    return GpuSpeed([one for one, _ in trials], [other for _, other in trials], ladders)
