"""How long a study takes: its trials, shared out, and what comes before and after them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

#: How far the truth may lie from an estimate, as a factor either way.
SPREAD = 1.3

#: Processor time around the training, in seconds, on a core of an AMD EPYC: a process loads all of torch, or its
#: compiler alone; a trial is set up and saved and its page written; a saved model is loaded and its predictions are
#: written; the report is drawn.
_START, _COMPILER, TRIAL, READING, _REPORT = 4.5, 1.3, 0.6, 0.25, 4.0


@dataclass(frozen=True)
class Range:
    """Seconds, from ``low`` to ``high``."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        """The estimate that lies as many times above ``low`` as below ``high``."""
        return sqrt(self.low * self.high)

    def times(self, factor: float) -> Range:
        """Return both ends times ``factor``."""
        return Range(self.low * factor, self.high * factor)

    @classmethod
    def around(cls, seconds: float, spread: float) -> Range:
        """Return what lies within a factor of ``spread`` of ``seconds``."""
        return cls(seconds / spread, seconds * spread)


@dataclass(frozen=True)
class Estimate:
    """How long trials will probably take here, with the machine as busy as it is now.

    Attributes:
        seconds: wall time of one trial, by rung, beside as many others as run at a time.
        reading: wall time of reading test for one trial, by rung; empty where test is not read.
        busy: how many times as long everything takes as it would without other programs; 1 where none is noticed.
        spread: how far the truth may lie from it, as a factor.
        took: seconds of the measurement; 0 where none was needed.
        features: seconds of what frozen layers make of the images, worked out once for all trials by one process.
    """

    seconds: Mapping[str, float]
    reading: Mapping[str, float]
    busy: float = 1.0
    spread: float = SPREAD
    took: float = 0.0
    features: float = 0.0

    def start(self, workers: int) -> float:
        """Return the seconds before the first trial: what is loaded, by several processes at the same time."""
        return (_START if workers > 1 else _COMPILER) * self.busy

    def after(self, rungs: Iterable[str]) -> float:
        """Return the seconds after the last trial: test is read for one trial of each of ``rungs``, and the report."""
        return sum(self.reading.get(rung, 0.0) for rung in rungs) + _REPORT * self.busy

    def processor(self, rungs: Sequence[str], workers: int) -> float:
        """Return the processor time of a whole study, all processes together; it does not depend on their load."""
        trials = sum(self.seconds[rung] for rung in rungs)
        return (workers * self.start(workers) + self.features + trials + self.after(rungs)) / self.busy

    def study(self, rungs: Sequence[str], workers: int) -> Range:
        """Return the seconds of a whole study.

        Args:
            rungs: of its trials, in the order in which they begin; a rung as often as it has trials.
            workers: how many of them run at a time.
        """
        trials = self.features / workers + share_out([self.seconds[rung] for rung in rungs], workers)
        return Range.around(self.start(workers) + trials + self.after(rungs), self.spread)

    def steps(self, rung: str, steps: Sequence[int], workers: int) -> Range:
        """Return the seconds of steps of so many trials each, of which each waits for the last trial of the one before.

        Args:
            rung: of all trials.
            workers: how many of them run at a time; each step starts its processes anew.
        """
        trials = sum(self.start(workers) + share_out([self.seconds[rung]] * count, workers) for count in steps)
        return Range.around(self.features / workers + trials + self.after([]), self.spread)


def share_out(seconds: Sequence[float], workers: int, begun: Sequence[float] = ()) -> float:
    """Return when the last of several jobs ends, each begun in order by whoever is free first.

    Args:
        seconds: of each job that waits.
        begun: what is left of those under way.
    """
    free = sorted([*begun, *([0.0] * (workers - len(begun)))])
    for one in seconds:
        free[0] += one
        free.sort()
    return free[-1]
