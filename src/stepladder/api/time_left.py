"""How long is left: the measured guess, corrected by what has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from stepladder.studies.design.trials import Trial
from stepladder.studies.running.callbacks import Schedule


@dataclass
class _Running:
    """One trial under way: since when, and how many images it has trained on."""

    started: float
    images: int = 0


class TimeLeft:
    """Time left for each trial under way and for the whole study, in seconds.

    Args:
        schedule: with the guess for each rung, and how many trials run at a time.
        clock: seconds that never go back.
    """

    def __init__(self, schedule: Schedule, clock: Callable[[], float] = monotonic) -> None:
        self._schedule = schedule
        self._clock = clock
        self._guessed = self._took = 0.0
        self._trials = {_name(trial): trial for trial in schedule.trials}
        self._waiting = dict(self._trials)
        self._running: dict[tuple[str, int], _Running] = {}

    def start(self, trial: Trial) -> None:
        """Note that ``trial`` starts now."""
        self._waiting.pop(_name(trial), None)
        self._running[_name(trial)] = _Running(self._clock())

    def go_on(self, trial: Trial, epochs: int) -> None:
        """Note that ``trial`` goes on after so many epochs."""
        self._running[_name(trial)].images = max(self._running[_name(trial)].images, self._images(trial) * epochs)

    def add_images(self, trial: Trial, images: int) -> None:
        """Note that a trial has trained on ``images`` more."""
        self._running[_name(trial)].images += images

    def end(self, trial: Trial) -> None:
        """Note that a trial is over."""
        running = self._running.pop(_name(trial), None)
        if running is not None:
            self._took += self._clock() - running.started
            self._guessed += self._schedule.seconds[trial.rung]

    def trial_fraction(self, trial: Trial) -> float:
        """Share of a trial under way that is done."""
        return min(1.0, self._running[_name(trial)].images / (self._images(trial) * trial.recipe.epochs))

    def trial_left(self, trial: Trial) -> float:
        """Seconds left for a trial under way."""
        guess = self._schedule.seconds[trial.rung] * self._drift
        done = self.trial_fraction(trial)
        # The trial's own pace counts for more the further it has come.
        own = (self._clock() - self._running[_name(trial)].started) / done if done > 0 else guess
        return max(0.0, (1 - done) * (done * own + (1 - done) * guess))

    @property
    def running(self) -> float:
        """Trials' worth of work that is done in those under way."""
        return sum(self.trial_fraction(self._trials[name]) for name in self._running)

    @property
    def study_left(self) -> float:
        """Seconds left for the whole study."""
        under_way = [self.trial_left(self._trials[name]) for name in self._running]
        waiting = self._drift * sum(self._schedule.seconds[trial.rung] for trial in self._waiting.values())
        # Never less than the longest one under way: the last trials cannot be shared out.
        return max([(sum(under_way) + waiting) / self._schedule.workers, *under_way])

    def _images(self, trial: Trial) -> int:
        return self._schedule.images[trial.rung]

    @property
    def _drift(self) -> float:
        """How much longer than guessed the trials so far took."""
        return self._took / self._guessed if self._guessed else 1.0


def _name(trial: Trial) -> tuple[str, int]:
    # Two rungs may have the same recipe, and then the same trials.
    return trial.rung, trial.seed
