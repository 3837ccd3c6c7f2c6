"""What a study tells whoever is watching while it runs; by default nobody is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stepladder.data.audit import QuickLook
from stepladder.study.design.plan import Trial
from stepladder.study.files.records import CurveRecord, StudyRecord, TrialResult
from stepladder.training.history import EpochRecord


@dataclass(frozen=True)
class Outlook:
    """What is about to run.

    Attributes:
        trials: those to run, in order.
        done: how many of the trials asked for have ended before.
        seconds: measured guess for one trial, by rung.
        images: training images of one epoch, by rung.
        workers: how many trials run at a time.
    """

    record: StudyRecord | CurveRecord
    trials: tuple[Trial, ...]
    done: int
    seconds: Mapping[str, float]
    images: Mapping[str, int]
    workers: int = 1


class Watch:
    """Called as a study goes on; every method does nothing until a watcher overrides it."""

    def looked(self, look: QuickLook) -> None:
        """The images were looked at, before anything else."""

    def measuring(self, rungs: int) -> None:
        """A short measurement of ``rungs`` rungs begins, for the estimate."""

    def planned(self, outlook: Outlook) -> None:
        """All is checked, the plan is written, the first trial is about to start."""

    def searching(self, record: StudyRecord, seconds: float) -> None:
        """A search is about to start, and will take ``seconds`` at most, by a short measurement."""

    def point_started(self, number: int, total: int, name: str) -> None:
        """A search turns to its next point, which may have been trained before."""

    def trial_started(self, trial: Trial) -> None:
        """A trial starts."""

    def batch_ended(self, trial: Trial, images: int) -> None:
        """A trial has trained on ``images`` more; several trials may run at a time."""

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """An epoch of a trial is done and evaluated; epoch 0 is the untrained network."""

    def told(self, sentence: str) -> None:
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


class Watchers(Watch):
    """Several watchers as one: each is told everything, in order."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self.watches = tuple(watches)

    def looked(self, look: QuickLook) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.looked(look)

    def measuring(self, rungs: int) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.measuring(rungs)

    def planned(self, outlook: Outlook) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.planned(outlook)

    def searching(self, record: StudyRecord, seconds: float) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.searching(record, seconds)

    def point_started(self, number: int, total: int, name: str) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.point_started(number, total, name)

    def trial_started(self, trial: Trial) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.trial_started(trial)

    def batch_ended(self, trial: Trial, images: int) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.batch_ended(trial, images)

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.epoch_ended(trial, record)

    def told(self, sentence: str) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.told(sentence)

    def waiting(self, trials: int) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.waiting(trials)

    def reading(self, trials: int) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.reading(trials)

    def trial_postponed(self, trial: Trial) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.trial_postponed(trial)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.trial_ended(trial, result)

    def test_read(self, trial: Trial, result: TrialResult) -> None:
        """Pass it on."""
        for watch in self.watches:
            watch.test_read(trial, result)
