"""How do time and memory of a study grow with its images, their size, the classes and the seeds?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from pathlib import Path

import numpy as np

from stepladder.bench.processes import Measured, measure_process, stepladder

#: What grows, each from the point below with all else as it stands there.
_GROWN: dict[str, tuple[int, ...]] = {
    "images": (1_000, 4_000, 16_000, 64_000, 160_000, 400_000),
    "seeds": (1, 2, 4, 8, 16, 32),
    "classes": (2, 10, 50, 250, 1_000),
    "size": (8, 16, 32, 64, 128, 224),
}


@dataclass(frozen=True)
class Point:
    """A study of random color images with the network report: two rungs, one epoch, report and all.

    Attributes:
        images: training, validation and test together. size: height and width in pixels.
    """

    images: int = 10_000
    seeds: int = 1
    classes: int = 10
    size: int = 32


#: Seeds are many only where a trial is short; large images are few, or they would fill the memory; each of a thousand
#: classes has the 13 images that three splits need.
_FROM = {
    "images": Point(),
    "seeds": Point(images=1_000),
    "classes": Point(images=20_000),
    "size": Point(images=1_000),
}


@dataclass(frozen=True)
class Growth:
    """One quantity grown.

    Attributes:
        what: ``images``, ``seeds``, ``classes`` or ``size``.
        values: of that quantity.
        measured: whole processes, one a value.
    """

    what: str
    values: tuple[int, ...]
    measured: tuple[Measured, ...]

    @property
    def time_exponent(self) -> float:
        """See :func:`exponent`."""
        return exponent(self.values, [one.seconds for one in self.measured])

    @property
    def memory_exponent(self) -> float:
        """See :func:`exponent`."""
        return exponent(self.values, [one.peak for one in self.measured])


def exponent(values: Sequence[int], costs: Sequence[float]) -> float:
    """Return the steepest slope between neighbours in a log-log plot, over the upper half of the values.

    The lower half is mostly the start of the program, which would make any growth look flat.
    """
    points = list(zip(values, costs, strict=True))[len(values) // 2 - 1 :]
    return max(
        (log(later) - log(cost)) / (log(larger) - log(value)) for (value, cost), (larger, later) in pairwise(points)
    )


def grown_values(what: str, largest: int | None = None) -> tuple[int, ...]:
    """Return what will be measured of ``what``, up to ``largest``."""
    return tuple(value for value in _GROWN[what] if largest is None or value <= largest)


def measure_growth(what: str, largest: int | None = None, on_point: Callable[[], None] | None = None) -> Growth:
    """Measure whole studies, each a process of its own with one thread and an empty folder.

    Args:
        what: ``images``, ``seeds``, ``classes`` or ``size``.
        largest: leave out larger values.
        on_point: called after each.
    """
    values, measured = grown_values(what, largest), []
    for value in values:
        with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
            measured.append(_measure(replace(_FROM[what], **{what: value}), Path(folder)))
        if on_point:
            on_point()
    return Growth(what, values, tuple(measured))


def _measure(point: Point, folder: Path) -> Measured:
    pixels = np.random.default_rng(0)
    labels = np.arange(point.images) % point.classes
    images = pixels.integers(0, 256, (point.images, point.size, point.size, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=labels)
    del images
    # Noise diverges at the report's rate where maps are large, and a failed trial is a short one.
    settings = (
        "--recipe",
        "report",
        "--rung",
        "base:",
        "--rung",
        "+standardize:standardize",
        "--epochs",
        "1",
        "--set",
        "optimizer.lr=0.001",
    )
    study = stepladder("study", "images.npz", *settings, "--seeds", str(point.seeds), "--workers", "1", "--out", "out")
    return measure_process(study, folder)
