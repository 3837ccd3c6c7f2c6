"""How long is left: the measured guess, corrected by what has run."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic

from stepladder.study.plan import Trial
from stepladder.study.watch import Outlook


class Pace:
    """Time left for the trial at hand and for the whole study, in seconds.

    Args:
        outlook: with the guess for each rung.
        clock: seconds that never go back.
    """

    def __init__(self, outlook: Outlook, clock: Callable[[], float] = monotonic) -> None:
        self._outlook = outlook
        self._clock = clock
        self._guessed = self._took = 0.0
        self._waiting = list(outlook.trials)
        self._trial = outlook.trials[0]
        self._started = clock()
        self._images = 0

    def start(self, trial: Trial) -> None:
        """Note that ``trial`` starts now."""
        self._waiting.remove(trial)
        self._trial, self._started, self._images = trial, self._clock(), 0

    def add_images(self, images: int) -> None:
        """Note that the trial at hand has trained on ``images`` more."""
        self._images += images

    def end(self) -> None:
        """Note that the trial at hand is over."""
        self._took += self._clock() - self._started
        self._guessed += self._outlook.seconds[self._trial.rung]

    @property
    def trial_fraction(self) -> float:
        """Share of the trial at hand that is done."""
        return self._images / (self._outlook.images * self._trial.recipe.epochs)

    @property
    def trial_left(self) -> float:
        """Seconds left for the trial at hand."""
        guess = self._outlook.seconds[self._trial.rung] * self._drift
        done = self.trial_fraction
        # The trial's own pace counts for more the further it has come.
        own = (self._clock() - self._started) / done if done > 0 else guess
        return max(0.0, (1 - done) * (done * own + (1 - done) * guess))

    @property
    def study_left(self) -> float:
        """Seconds left for the whole study."""
        return self.trial_left + self._drift * sum(self._outlook.seconds[trial.rung] for trial in self._waiting)

    @property
    def _drift(self) -> float:
        """How much longer than guessed the trials so far took."""
        return self._took / self._guessed if self._guessed else 1.0
