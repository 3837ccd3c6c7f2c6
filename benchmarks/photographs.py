"""How do time and memory of reading photographs grow with their number and with the size that they are brought to?"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

from cyclopts import Parameter

from benchmarks.growth import exponent
from stepladder.bench.processes import Measured, measure_process
from stepladder.cli.bench import finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets.cache import VARIABLE
from stepladder.errors import DataError
from stepladder.training.device import choose_compute

#: How many photographs, at which size, are read at each point of what grows.
_COUNTS, _SIDE = (1_000, 4_000, 16_000, 50_000), 224
_SIDES, _COUNT = (64, 128, 224, 512), 4_000
_ENDINGS = (".jpg", ".jpeg")

# As a study does before it trains: decode, fingerprint, split. The cache is an empty one.
_READ = f"""
import os, sys
os.environ["{VARIABLE}"] = sys.argv[3]
from stepladder.datasets import load_image_set, make_splits
images = load_image_set(sys.argv[1], size=int(sys.argv[2]))
assert len(make_splits(images).train)
"""


@dataclass(frozen=True)
class Reading:
    """Photographs read ``rounds`` times, each in a process of its own with an empty cache.

    Attributes:
        count: of photographs. side: of the squares that they become, pixels.
    """

    count: int
    side: int
    measured: tuple[Measured, ...]

    @property
    def seconds(self) -> list[float]:
        """Wall time, one a round."""
        return [one.seconds for one in self.measured]

    @property
    def processor_seconds(self) -> list[float]:
        """Time that processors worked for it, which other programs on the machine change little, one a round."""
        return [one.processor_seconds for one in self.measured]

    @property
    def peaks(self) -> list[float]:
        """Resident memory at most, bytes, one a round."""
        return [float(one.peak) for one in self.measured]


def measure_reading(
    photos: Sequence[Path], points: Sequence[tuple[int, int]], rounds: int, on_point: Callable[[], None]
) -> list[Reading]:
    """Read ``photos``, over and over up to the count of each point, ``rounds`` times.

    Args:
        photos: files; each is copied once, and then linked under as many names as are needed.
        points: (count, side).
        on_point: called after each process.
    """
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
        root = Path(folder)
        copies = [Path(shutil.copy(photo, root / f"{number}.jpg")) for number, photo in enumerate(photos)]
        readings = []
        for count, side in points:
            images = _repeat(copies, count, root / "images")
            measured = []
            for _ in range(rounds):
                command = [sys.executable, "-c", _READ, str(images), str(side), str(root / "cache")]
                measured.append(measure_process(command, root))
                shutil.rmtree(root / "cache")
                on_point()
            shutil.rmtree(images)
            readings.append(Reading(count, side, tuple(measured)))
    return readings


def _repeat(photos: Sequence[Path], count: int, folder: Path) -> Path:
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        os.link(photos[number % len(photos)], folder / "ab"[number % 2] / f"{number:06}.jpg")
    return folder


def photographs(
    photos: Annotated[Path, Parameter(help="A folder with JPEG files, in it and below.")],
    *,
    largest: Annotated[int | None, Parameter(help="Leave larger counts and sizes out.")] = None,
    rounds: Annotated[int, Parameter(help="Measurements of each point.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure how time and memory of reading photographs grow with their number and with their size afterwards."""
    found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in _ENDINGS)
    if not found:
        raise DataError(f"{photos} holds no JPEG file; give a folder with photographs")
    counts = [(count, _SIDE) for count in _COUNTS if largest is None or count <= largest]
    sides = [(min(_COUNT, largest or _COUNT), side) for side in _SIDES]
    if len(counts) < 2:
        raise DataError(f"`largest` is {largest}; it must be at least {_COUNTS[1]:,}")
    console = make_console(as_json)
    with progress_of(console, rounds * (len(counts) + len(sides))) as advance:
        by_count = measure_reading(found, counts, rounds, advance)
        by_side = measure_reading(found, sides, rounds, advance)
    table = table_of("photographs", "pixels a side", "seconds", "processor seconds", "peak memory, MB", "decoded, MB")
    for group in (by_count, by_side):
        for number, one in enumerate(group, start=1):
            megabytes = f"{3 * one.side**2 * one.count / 1e6:,.0f}"
            peaks = spread([peak / 1e6 for peak in one.peaks], ",.0f")
            times = spread(one.seconds, ".0f"), spread(one.processor_seconds, ".1f")
            table.add_row(f"{one.count:,}", f"{one.side}", *times, peaks, megabytes, end_section=number == len(group))
    exponents = _exponents(by_count)
    console.print(table)
    words = (
        f"Median of {rounds} rounds (minimum to maximum), each a process with an empty cache: {len(found):,} "
        "JPEG files, repeated by links, are decoded, fingerprinted and split. Exponents in the number of "
        f"photographs: processor time {exponents['time']:.2f}, memory {exponents['memory']:.2f}."
    )
    document = {"by_count": by_count, "by_side": by_side, "exponents": exponents} if as_json else None
    finish(console, words, choose_compute("cpu"), document)


def _exponents(by_count: Sequence[Reading]) -> dict[str, float]:
    counts = [one.count for one in by_count]
    return {
        "time": exponent(counts, [median(one.processor_seconds) for one in by_count]),
        "memory": exponent(counts, [median(one.peaks) for one in by_count]),
    }
