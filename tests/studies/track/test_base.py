"""What a tracker is told, and that its failures stay its own."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import Machine, SavedStudy, TrialResult
from stepladder.studies.running.callbacks import CallbackList, Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import run_study
from stepladder.studies.track import TRACKERS, find_tracker, make_trackers
from stepladder.studies.track.base import Setting, Tracker, TrackerCallbacks, run_name, settings_of
from stepladder.training.history import EpochRecord


class Notes(Tracker):
    """Writes down what it is told; raises where it is told to."""

    def __init__(self, raises: str = "") -> None:  # it needs no folder
        self.told: list[tuple[Any, ...]] = []
        self.raises = raises

    def _note(self, *what: Any) -> None:
        self.told.append(what)
        if what[0] == self.raises:
            raise OSError(28, "No space left\n on device")

    def start(self, run: str, settings: Mapping[str, Setting], first_epoch: int) -> None:
        self._note("start", run, dict(settings), first_epoch)

    def log(self, epoch: int, figures: Mapping[str, float]) -> None:
        self._note("log", epoch, dict(figures))

    def end(self, finished: bool) -> None:
        self._note("end", finished)

    def add(self, run: str, settings: Mapping[str, Setting], epoch: int, figures: Mapping[str, float]) -> None:
        self._note("add", run, dict(settings), epoch, dict(figures))

    def summarize(self, figures: Mapping[str, Setting]) -> None:
        self._note("summarize", dict(figures))


@pytest.fixture
def tracked(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> Callable[..., SavedStudy]:
    def run(*trackers: Callbacks, out: str = "study") -> SavedStudy:
        return run_study(
            digits,
            make_design("ladder", tiny_recipe("standardize", "dropout", epochs=2)),
            tmp_path / out,
            seeds=1,
            execution=Execution("cpu", "float32"),
            callbacks=CallbackList([Callbacks(), *trackers]),
        )

    return run


@pytest.mark.long
def test_a_tracker_gets_what_the_files_get(tracked: Callable[..., SavedStudy]) -> None:
    notes = Notes()
    said: list[str] = []
    study = tracked(TrackerCallbacks("notes", notes, said.append))
    assert said == []
    kinds = [what[0] for what in notes.told]
    trial = ["start", "log", "log", "log", "log", "end"]
    assert kinds == trial * 3 + ["add"] * 3
    assert [what[1] for what in notes.told if what[0] == "start"] == [
        "baseline-seed0",
        "standardize-seed0",
        "dropout-seed0",
    ]
    saved = study.trials[1]
    second = notes.told[6:12]
    assert second[0][3] == 0
    for (_, epoch, figures), record in zip(second[1:4], saved.history, strict=True):
        assert epoch == record.epoch
        assert figures["val/accuracy"] == record.val_accuracy
        assert figures["train/loss"] == record.train_loss
        assert ("lr" in figures) is (epoch > 0)
        assert "test/accuracy" not in figures  # which nothing may see before the end
    assert second[4][2] == {
        "result/train_accuracy": saved.result.train_accuracy,
        "result/val_accuracy": saved.result.val_accuracy,
        "result/seconds": saved.result.seconds,
    }
    assert second[5] == ("end", True)
    *_, settings, epoch, figures = next(
        what for what in notes.told if what[0] == "add" and what[1] == "standardize-seed0"
    )
    assert figures["result/test_accuracy"] == saved.result.test_accuracy
    assert epoch == 2
    assert settings == second[0][2]


def test_settings_are_a_flat_table_of_plain_values(tiny_recipe: Callable[..., Recipe]) -> None:
    trial = Trial("full", tiny_recipe({"name": "dropout", "p": 0.25}), 3, "split", "float32")
    settings = settings_of(trial)
    assert settings["dropout.p"] == 0.25
    assert settings["optimizer.lr"] == trial.recipe.optimizer.lr
    assert settings["techniques"] == "dropout"
    assert settings["network"] == "conv3-4 pool2 fc16 fc"
    assert (settings["rung"], settings["seed"], settings["epochs"], settings["batch_size"]) == ("full", 3, 2, 16)
    assert all(isinstance(value, str | int | float | bool) for value in settings.values())
    json.dumps(settings, allow_nan=False)
    assert run_name("1,000 images/../x", 0) == "1-000 images-..-x-seed0"


@pytest.mark.long
@pytest.mark.parametrize("moment", ["start", "log", "end", "add"])
def test_a_tracker_that_fails_stops_no_trial_and_is_said_once(tracked: Callable[..., SavedStudy], moment: str) -> None:
    notes, said = Notes(moment), []
    study = tracked(TrackerCallbacks("notes", notes, said.append))
    assert [trial.result.status for trial in study.trials] == ["finished"] * 3
    assert said == [
        "The tracker notes failed and gets nothing more ([Errno 28] No space left on device); the study goes on, and "
        "its files have everything."
    ]
    assert [what[0] for what in notes.told].count(moment) == 1
    assert notes.told[-1][0] == moment


def test_a_summary_has_what_is_finite_and_its_failure_is_said() -> None:
    notes, said = Notes("summarize"), []
    callbacks = TrackerCallbacks("notes", notes, said.append)
    callbacks.summarize({"a/verdict": "helped", "a/mean": 0.5, "a/high": math.inf, "a/n": 3})
    assert notes.told == [("summarize", {"a/verdict": "helped", "a/mean": 0.5, "a/n": 3})]
    assert len(said) == 1
    callbacks.summarize({"a/n": 4})
    assert len(notes.told) == 1


@pytest.mark.long
def test_tracking_changes_no_bit_of_a_study(tracked: Callable[..., SavedStudy]) -> None:
    plain = tracked(out="plain")
    seen = tracked(TrackerCallbacks("notes", Notes(), print), out="seen")
    assert len(plain.trials) > 1
    for one, other in zip(plain.trials, seen.trials, strict=True):
        weights = [(trial.folder / "model" / "model.safetensors").read_bytes() for trial in (one, other)]
        assert weights[0] == weights[1]


def test_a_trial_broken_off_is_closed_before_the_next(tiny_recipe: Callable[..., Recipe]) -> None:
    notes = Notes()
    callbacks = TrackerCallbacks("notes", notes, print)
    trial = Trial("base", tiny_recipe(), 0, "split", "float32")
    record = EpochRecord(3, 0.1, math.nan, math.inf, 0.5, 1.0, 100.0, val_loss=1.0, val_accuracy=0.5)
    callbacks.trial_started(trial)
    callbacks.epoch_ended(trial, record)
    callbacks.trial_started(trial)  # another process goes on with it
    callbacks.epoch_ended(trial, record)
    assert [what[0] for what in notes.told] == ["start", "log", "end", "start", "log"]
    assert notes.told[0][3] == 3  # it goes on from a checkpoint
    assert notes.told[1][2].keys() == {
        "train/accuracy",
        "val/loss",
        "val/accuracy",
        "lr",
        "seconds",
        "images_per_second",
    }
    assert notes.told[2] == ("end", False)


def ended(trial: Trial) -> TrialResult:
    return TrialResult(
        trial=trial.id,
        seed=trial.seed,
        techniques=(),
        status="finished",
        epochs=0,
        seconds=1.0,
        images_per_second=None,
        versions={},
        machine=Machine(processor="made up", cores=2, memory_gb=1.0, accelerator=None, system="made up"),
        finished="2026-01-31T13:00:00+00:00",
    )


def test_trials_at_the_same_time_are_told_one_after_another(tiny_recipe: Callable[..., Recipe]) -> None:
    notes = Notes()
    callbacks = TrackerCallbacks("notes", notes, print)
    one = Trial("base", tiny_recipe(), 0, "split", "float32")
    other = replace(one, seed=1)
    record = EpochRecord(0, None, None, 2.3, 0.1, 1.0, None, val_loss=2.3, val_accuracy=0.1)
    for trial in (one, other):
        callbacks.trial_started(trial)
        callbacks.epoch_ended(trial, record)
    callbacks.trial_ended(other, ended(other))
    assert [what[0] for what in notes.told] == ["start", "log"]
    callbacks.trial_ended(one, ended(one))
    assert [what[0] for what in notes.told] == ["start", "log", "log", "end", "start", "log", "log", "end"]
    assert [what[1] for what in notes.told if what[0] == "start"] == ["base-seed0", "base-seed1"]


def test_an_unknown_tracker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="unknown tracker 'tensorbord'; did you mean 'tensorboard'"):
        make_trackers(["tensorbord"], tmp_path, print)


@pytest.mark.parametrize("name", TRACKERS)
def test_every_row_leads_to_a_tracker(name: str) -> None:
    """Though its library may not be installed."""
    tracker = find_tracker(name)
    assert issubclass(tracker, Tracker)
    assert tracker.__module__.rpartition(".")[2] == name
    assert name in tracker.requires
