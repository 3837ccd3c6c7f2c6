"""What a study tells whoever is watching while it runs; by default nobody is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepladder.datasets import ImageSet
from stepladder.datasets.audit import LeakCheck
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import StudyRecord, TrialResult
from stepladder.studies.running.timing import Estimate, Range
from stepladder.training.history import EpochRecord


@dataclass(frozen=True)
class Schedule:
    """What is about to run.

    Attributes:
        trials: those to run, in order.
        done: how many of the trials asked for have ended before.
        estimate: how long its trials take, by a measurement.
        images: training images of one epoch, by rung.
        workers: how many trials run at a time.
    """

    record: StudyRecord
    trials: tuple[Trial, ...]
    done: int
    estimate: Estimate
    images: Mapping[str, int]
    workers: int = 1

    @property
    def expected(self) -> Range:
        """Seconds of all that is about to run, with test and the report after it."""
        return self.estimate.study([trial.rung for trial in self.trials], self.workers)


class Callbacks:
    """Called as a job goes on; every method does nothing until it is overridden."""

    def loading(self, what: str, done: int, total: int) -> None:
        """So much of ``what`` is there: images that are decoded, or bytes of a file that is fetched."""

    def images_loaded(self, images: ImageSet, recipe: Recipe) -> None:
        """The images are in memory, and the recipe is settled."""

    def leaks_checked(self, found: LeakCheck) -> None:
        """The images were checked for copies across the splits, before anything else."""

    def measuring(self, rungs: int) -> None:
        """A short measurement of ``rungs`` rungs begins, for the estimate."""

    def planned(self, schedule: Schedule) -> None:
        """All is checked, the plan is written, the first trial is about to start."""

    def searching(self, record: StudyRecord, seconds: Range) -> None:
        """A search is about to start, and will take ``seconds`` where no point is given up, by a short measurement."""

    def point_started(self, number: int, total: int, name: str) -> None:
        """A search begins its next point, which may have been trained before."""

    def trial_started(self, trial: Trial) -> None:
        """A trial starts."""

    def features_computed(self, trial: Trial, done: int, total: int) -> None:
        """What frozen layers make of ``done`` of ``total`` images is in the cache; the trial waits for all."""

    def batch_ended(self, trial: Trial, images: int) -> None:
        """A trial has trained on ``images`` more; several trials may run at a time."""

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """An epoch of a trial is done and evaluated; epoch 0 is the untrained network."""

    def message(self, sentence: str) -> None:
        """Something happened that whoever is watching should know."""

    def waiting(self, trials: int) -> None:
        """Only trials are left that other processes run."""

    def reading(self, trials: int) -> None:
        """All training that was planned has ended; the test images are about to be read for ``trials`` trials."""

    def trial_postponed(self, trial: Trial) -> None:
        """A trial ran out of memory beside others; it goes on, from its checkpoint, when they have ended."""

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """A trial is done and saved, finished or failed."""

    def test_read(self, trial: Trial, result: TrialResult) -> None:
        """The test images were read for a trial, and its whole result is saved."""


class CallbackList(Callbacks):
    """Several as one: each is called with everything, in order."""

    def __init__(self, callbacks: Sequence[Callbacks]) -> None:
        self.callbacks = tuple(callbacks)
        for name in CALLBACK_NAMES:
            setattr(self, name, self._calling_all(name))

    def _calling_all(self, name: str) -> Callable[..., None]:
        def call_all(*values: Any) -> None:
            for one in self.callbacks:
                getattr(one, name)(*values)

        return call_all


#: Every method of :class:`Callbacks`.
CALLBACK_NAMES = tuple(name for name, value in vars(Callbacks).items() if callable(value) and not name.startswith("_"))
