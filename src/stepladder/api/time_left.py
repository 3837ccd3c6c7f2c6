"""How long is left: first by the measurement before the first trial, then more and more by what has run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from time import monotonic

from stepladder.studies.design.trials import CommandTrial, Trial
from stepladder.studies.running.callbacks import Schedule
from stepladder.studies.running.timing import Range, share_out
from stepladder.studies.scores.running import CommandSchedule

#: How fast a range narrows: after a tenth of the work, its half-width is half of what it was.
NARROWING = 10


@dataclass
class _Running:
    """One trial under way.

    Attributes:
        started: when.
        images: trained on so far, before an interruption as well.
        epochs, seconds: that have ended since it started here, and what they took with their evaluations.
        heard: whether any epoch's end was heard of, the evaluation of the untrained network too.
        resumed: whether it went on from a checkpoint.
    """

    started: float
    images: int = 0
    epochs: int = 0
    seconds: float = 0.0
    heard: bool = False
    resumed: bool = False


class TimeLeft:
    """Time left for each trial under way and for the whole study.

    A rung whose trials have ended takes what they took. The others take their measured guess, times how much longer
    than guessed everything took that has run: trials that ended, and the epochs of those under way.

    Args:
        schedule: with the guess for each rung, and how many trials run at a time.
        clock: seconds that never go back.
    """

    def __init__(self, schedule: Schedule, clock: Callable[[], float] = monotonic) -> None:
        self._schedule = schedule
        self._clock = clock
        self._begun = clock()
        self._trials = {_name(trial): trial for trial in schedule.trials}
        self._waiting = dict(self._trials)
        self._running: dict[tuple[str, int], _Running] = {}
        #: Seconds that trials took, by rung.
        self._took: dict[str, list[float]] = {}
        self._all = sum(self._measured(trial) for trial in schedule.trials)

    def start(self, trial: Trial) -> None:
        """Note that ``trial`` starts now."""
        self._waiting.pop(_name(trial), None)
        self._running[_name(trial)] = _Running(self._clock())

    def end_epoch(self, trial: Trial, epoch: int, seconds: float) -> None:
        """Note that ``trial`` has ended ``epoch`` in so many seconds; 0 is the evaluation of the untrained network."""
        running = self._running[_name(trial)]
        running.images = max(running.images, self._images(trial) * epoch)
        running.resumed = running.resumed or (epoch > 0 and not running.heard)
        running.heard = True
        if epoch > 0:
            running.epochs, running.seconds = running.epochs + 1, running.seconds + seconds

    def add_images(self, trial: Trial, images: int) -> None:
        """Note that a trial has trained on ``images`` more."""
        self._running[_name(trial)].images += images

    def end(self, trial: Trial, *, failed: bool = False) -> None:
        """Note that a trial is over; one that failed teaches nothing about the others."""
        running = self._running.pop(_name(trial), None)
        if running is not None and not failed and not running.resumed:
            self._took.setdefault(trial.rung, []).append(self._clock() - running.started)

    def trial_fraction(self, trial: Trial) -> float:
        """Share of a trial under way that is done."""
        return min(1.0, self._running[_name(trial)].images / self._all_images(trial))

    def trial_left(self, trial: Trial) -> float:
        """Seconds left for a trial under way."""
        return self._left(trial, self._drift)

    @property
    def running(self) -> float:
        """Trials' worth of work that is done in those under way."""
        return sum(self.trial_fraction(self._trials[name]) for name in self._running)

    @property
    def study_left(self) -> Range:
        """Seconds left for the whole study, with test and the report; the range narrows as trials run."""
        estimate, workers, drift = self._schedule.estimate, self._schedule.workers, self._drift
        under_way = [self._left(self._trials[name], drift) for name in self._running]
        left = share_out([self._guess(trial, drift) for trial in self._waiting.values()], workers, under_way)
        if len(self._waiting) == len(self._trials):
            left += max(0.0, estimate.start(workers) - (self._clock() - self._begun))
        left += drift * estimate.after(trial.rung for trial in self._schedule.trials)
        return Range.around(left, 1 + (estimate.spread - 1) / (1 + NARROWING * self._share_done))

    def _left(self, trial: Trial, drift: float) -> float:
        running = self._running[_name(trial)]
        guess, done = self._guess(trial, drift), self.trial_fraction(trial)
        # The trial's own pace counts for more the further it has come.
        own = running.seconds / running.epochs * trial.recipe.epochs if running.epochs else guess
        return max(0.0, (1 - done) * (done * own + (1 - done) * guess))

    def _guess(self, trial: Trial, drift: float) -> float:
        """Seconds of a whole trial of that rung."""
        took = self._took.get(trial.rung)
        return fmean(took) if took else self._measured(trial) * drift

    @property
    def _drift(self) -> float:
        """How much longer than measured everything took that has run."""
        took = guessed = 0.0
        for rung, seconds in self._took.items():
            took += sum(seconds)
            guessed += self._schedule.estimate.seconds[rung] * len(seconds)
        for name, running in self._running.items():
            trial = self._trials[name]
            took += running.seconds
            guessed += running.epochs / trial.recipe.epochs * self._measured(trial)
        return took / guessed if guessed else 1.0

    @property
    def _share_done(self) -> float:
        """Share of the work that has been done or is."""
        waiting = sum(self._measured(trial) for trial in self._waiting.values())
        under_way = sum(
            (1 - self.trial_fraction(self._trials[name])) * self._measured(self._trials[name]) for name in self._running
        )
        return 1 - (waiting + under_way) / self._all if self._all else 0.0

    def _measured(self, trial: Trial) -> float:
        return self._schedule.estimate.seconds[trial.rung]

    def _images(self, trial: Trial) -> int:
        return self._schedule.images[trial.rung]

    def _all_images(self, trial: Trial) -> int:
        return self._images(trial) * trial.recipe.epochs


#: How far the time left of a command may be off after its first run, as a factor.
_COMMAND_SPREAD = 1.5


class CommandTimeLeft:
    """Time left of runs of a user's own command: nobody knows before the first has ended, and then by what runs took.

    A rung whose runs have ended takes what they took, any other what all took.

    Args:
        schedule: what runs, in the order in which it is begun.
        clock: seconds that never go back.
    """

    def __init__(self, schedule: CommandSchedule, clock: Callable[[], float] = monotonic) -> None:
        self._clock, self._workers = clock, schedule.workers
        self._waiting = list(schedule.trials)
        #: When each run that goes on began: slots take the next as soon as they are free.
        self._running: dict[tuple[str, int], float] = {}
        self._took: dict[str, list[float]] = {}
        self._total = len(schedule.trials)
        self._begin()

    def end(self, trial: CommandTrial, seconds: float, *, failed: bool = False) -> None:
        """Note that a run has ended; one that failed teaches nothing about the others."""
        self._running.pop(_name(trial), None)
        self._waiting = [one for one in self._waiting if _name(one) != _name(trial)]
        if not failed:
            self._took.setdefault(trial.rung, []).append(seconds)
        self._begin()

    @property
    def running(self) -> dict[tuple[str, int], float]:
        """Seconds for which each run has been going on, by rung and seed."""
        now = self._clock()
        return {name: now - began for name, began in self._running.items()}

    def fraction(self, rung: str, seed: int) -> float | None:
        """Share of a run under way that is probably done; None before the first has ended."""
        guess = self._guess(rung)
        return None if not guess else min(1.0, self.running.get((rung, seed), 0.0) / guess)

    @property
    def left(self) -> Range | None:
        """Seconds left for all runs; None before the first has ended."""
        if not self._took:
            return None
        under_way = [max(0.0, (self._guess(rung) or 0.0) - spent) for (rung, _), spent in self.running.items()]
        left = share_out([self._guess(trial.rung) or 0.0 for trial in self._waiting], self._workers, under_way)
        done = 1 - (len(self._waiting) + len(self._running)) / self._total
        return Range.around(left, 1 + (_COMMAND_SPREAD - 1) / (1 + NARROWING * done))

    def _begin(self) -> None:
        while self._waiting and len(self._running) < self._workers:
            self._running[_name(self._waiting.pop(0))] = self._clock()

    def _guess(self, rung: str) -> float | None:
        every = [seconds for each in self._took.values() for seconds in each]
        return fmean(self._took.get(rung, every)) if every else None


def _name(trial: Trial | CommandTrial) -> tuple[str, int]:
    # Two rungs may have the same recipe, and then the same trials.
    return trial.rung, trial.seed
