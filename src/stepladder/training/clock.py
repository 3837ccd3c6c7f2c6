"""Wall time of a trial and of its epoch, over all the times that it was stopped and went on."""

from __future__ import annotations

from time import perf_counter


class Clock:
    """Counts from when it is made, by a clock that never goes back."""

    def __init__(self) -> None:
        self._started = self._epoch_started = perf_counter()

    def go_on_from(self, total: float, epoch: float) -> None:
        """Count what ran before as well: ``total`` seconds of the trial, ``epoch`` of the epoch under way."""
        self._started -= total
        self._epoch_started = perf_counter() - epoch

    def start_epoch(self) -> None:
        """An epoch starts."""
        self._epoch_started = perf_counter()

    @property
    def epoch(self) -> float:
        """Seconds of the epoch so far."""
        return perf_counter() - self._epoch_started

    @property
    def total(self) -> float:
        """Seconds of the trial so far."""
        return perf_counter() - self._started
