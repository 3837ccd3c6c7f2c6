"""What a soak is asked, and what it saw: kills, samples of memory and open files, files that differ."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from stepladder.bench.proc import can_be_watched
from stepladder.errors import DataError

#: What a main process may gain from the first to the last quarter of its life: memory by a share, and open files.
#: Allocators keep what they once had, and a study's record grows by every trial; a leak of an hour is larger.
MOST_GAIN, MOST_FILES = 0.2, 5


@dataclass(frozen=True)
class Settings:
    """What is run, how long, and how often it is killed.

    Attributes:
        minutes: of killing, both halves together; the undisturbed study comes before them.
        gap: mean seconds between two kills; they are drawn from an exponential distribution.
        seed: of the moments and the victims.
        seeds: of the studies that are begun anew.
        epochs, limit: of every study; None for the recipe's and all digits.
    """

    minutes: float = 60.0
    gap: float = 10.0
    seed: int = 0
    seeds: int = 2
    epochs: int | None = None
    limit: int | None = None

    def check(self) -> None:
        """Raise DataError where a value is out of range, or the system has no ``/proc`` to read."""
        for name, value in (("minutes", self.minutes), ("gap", self.gap)):
            if not 0 < value < float("inf"):
                raise DataError(f"--{name} is {value:g}; it must be more than 0")
        for name, number in (("seeds", self.seeds), ("epochs", self.epochs), ("limit", self.limit)):
            if number is not None and number < 1:
                raise DataError(f"--{name} is {number}; it must be at least 1")
        if not can_be_watched():
            raise DataError("a soak reads memory and open files from /proc, which this system lacks; run it on Linux")


@dataclass(frozen=True)
class Sample:
    """All processes of a soak at one moment: MB (10⁶ bytes, resident) and open files; ``main`` is the study's own."""

    seconds: float
    main_mb: float
    main_files: int
    sum_mb: float
    sum_files: int
    largest_mb: float
    most_files: int


@dataclass
class Part:
    """One of the two halves, or the undisturbed study.

    Attributes:
        kills: by victim: ``main``, ``worker at a trial``, ``worker between trials``.
        trials: that ended, in studies that were compared.
    """

    seconds: float = 0.0
    studies: int = 0
    trials: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)


@dataclass
class Soak:
    """What came of it.

    Attributes:
        long: its samples begin when the first trial has ended: before that, the main process still loads.
        differing: files whose bits differ from the undisturbed study's, by study.
        faults: studies that ended otherwise than they should, each a sentence.
    """

    undisturbed: Part = field(default_factory=Part)
    killed: Part = field(default_factory=Part)
    long: Part = field(default_factory=Part)
    differing: dict[str, list[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def quarters(self, what: str) -> list[float]:
        """Return the medians of a field of the long study's samples, a quarter each; empty where they are too few."""
        values = [float(getattr(sample, what)) for sample in self.long.samples]
        return [float(np.median(part)) for part in np.array_split(values, 4)] if len(values) >= 4 else []

    def slope(self, what: str) -> float | None:
        """Return what a field of the long study's samples gains an hour, by least squares; None where they are few."""
        if len(self.long.samples) < 4:
            return None
        hours = [sample.seconds / 3600 for sample in self.long.samples]
        return float(np.polyfit(hours, [getattr(sample, what) for sample in self.long.samples], 1)[0])

    def growth(self) -> list[str]:
        """Return what has grown by more than it may, each a sentence."""
        memory, files = self.quarters("main_mb"), self.quarters("main_files")
        found = []
        if memory and memory[-1] > (1 + MOST_GAIN) * memory[0]:
            found.append(f"the main process grew from {memory[0]:.0f} to {memory[-1]:.0f} MB")
        if files and files[-1] > files[0] + MOST_FILES:
            found.append(f"the main process had {files[0]:.0f} files open, and then {files[-1]:.0f}")
        return found

    @property
    def passed(self) -> bool:
        """Whether all bits are the same, every study ended as it should, and nothing has grown."""
        return not (self.differing or self.faults or self.growth())
