"""A network that is trained alone: how far it is, its curve, how long it still takes, and how it ended."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from stepladder.studies.design.trials import Trial
from stepladder.studies.running.locks import try_lock
from stepladder.training.history import EpochRecord
from stepladder.web.studies import cells
from stepladder.web.studies.folders import find_studies
from stepladder.web.studies.owners import Locks
from stepladder.web.studies.standing import time_left_of_training
from stepladder.web.studies.training_watch import TrainingWatch
from tests.web.studies.made_up import TEST_FIGURE, ladder, replace, write_checkpoint, write_record, write_trial
from tests.web.studies.test_owners import needs_locks


def told(watch: TrainingWatch) -> dict[str, Any]:
    watch.poll(Locks())
    return watch.board.changes_since(-1)[1]


def trial_of(folder: Path) -> Trial:
    return write_record(folder, ladder(rungs=1, seeds=1, first=1))[0]


def end(watch: TrainingWatch, study: Path, **more: Any) -> None:
    """End a training as the trial of a study: its folder is the same."""
    ended = write_trial(study, trial_of(study), **more)
    for name in ("history.csv", "result.json"):
        shutil.copy(ended / name, watch.found.folder)


@pytest.fixture
def training(tmp_path: Path) -> TrainingWatch:
    """A training that has begun: 2 epochs of 20 are done."""
    study = tmp_path / "study"
    trial = trial_of(study)
    write_checkpoint(study, trial, 2)
    folder = study / "trials" / trial.id
    replace(folder / "recipe.toml", trial.recipe.to_toml())
    shutil.move(folder, tmp_path / "mine")
    (found,) = (one for one in find_studies(tmp_path).found if one.place == "mine")
    assert found.kind == "training"
    return TrainingWatch(found)


@needs_locks
def test_a_training_is_followed_to_its_end(training: TrainingWatch, tmp_path: Path) -> None:
    folder, epochs = training.found.folder, trial_of(tmp_path / "study").recipe.epochs
    values = told(training)
    assert values["head"]["state"] == "unfinished"
    assert values["head"]["sentence"] == (
        f"Nobody runs it now. 2 of {epochs} epochs are done. The same command goes on."
    )
    assert values["head"]["left"] == ""
    with try_lock(folder):
        values = told(training)
        assert (values["head"]["state"], values["head"]["sentence"]) == ("running", f"2 of {epochs} epochs are done.")
        assert (values["head"]["ended"], values["head"]["planned"]) == (2, epochs)
        assert values["head"]["left"].endswith(" left")
        assert values["trial.0.0"][:4] == ["r", None, 2, epochs]
        assert len(training.owners) == 1
    end(training, tmp_path / "study", read=True)
    values = told(training)
    assert values["head"]["state"] == "finished"
    test = f"{100 * TEST_FIGURE:.2f} %"
    assert values["head"]["sentence"].endswith(
        f" in 10 s. Validation accuracy 50.00 %, test accuracy {test} (one seed)."
    )
    assert values["trial.0.0"][0] == "f"
    assert ["Seed", "0"] in values["head"]["facts"]
    (folder / "recipe.toml").unlink()
    assert told(training)["head"]["state"] == "removed"


def test_its_curve_grows_and_stays(training: TrainingWatch, tmp_path: Path) -> None:
    begun = told(training)["rung.0"]["curve"]
    curves = training.curves(0)
    assert (curves["curve"], curves["n"]) == (begun, 0)
    (alone,) = curves["alone"]
    assert alone["seed"] is None  # it has none beside it
    assert alone["watched_accuracy"] == {"x": [0.0, 1.0, 2.0], "mean": [10.0, 15.0, 20.0]}
    assert alone["train_loss"]["mean"] == [2.0, 1.9, 1.8]
    end(training, tmp_path / "study")
    values = told(training)
    assert values["rung.0"]["curve"] > begun
    assert (values["head"]["watched"], values["head"]["drawn"]) == (
        "validation",
        "Solid: validation. Dotted: training images.",
    )
    curves = training.curves(0)
    assert (curves["n"], curves["alone"]) == (1, [])
    assert curves["watched_accuracy"]["mean"][-1] == 50.0
    assert curves["watched_loss"]["mean"][-1] == 0.6
    with pytest.raises(IndexError):
        training.curves(1)


def test_a_test_curve_waits_for_the_end(training: TrainingWatch) -> None:
    """Where no image was left for validation, test is watched, and shown when all is over."""
    folder = training.found.folder
    state = folder / "checkpoint" / "00000002" / "state.json"
    replace(state, state.read_text(encoding="utf-8").replace("val_loss", "test_loss").replace("val_acc", "test_acc"))
    head = told(training)["head"]
    assert (head["watched"], head["shows_watched"]) == ("test", False)
    assert "The test curve is shown when the training has ended." in head["drawn"]
    (alone,) = training.curves(0)["alone"]
    assert "watched_accuracy" not in alone
    assert alone["train_accuracy"]["x"] == [0.0, 1.0, 2.0]


def test_one_that_failed_says_why_and_a_damaged_one_too(
    training: TrainingWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    end(training, tmp_path / "study", failure="the training loss was not finite", warnings=("odd",))
    values = told(training)
    epochs = trial_of(tmp_path / "study").recipe.epochs
    assert values["head"]["state"] == "failed"
    assert values["head"]["sentence"] == f"It failed after {epochs} epochs: the training loss was not finite"
    assert values["warnings"] == [["odd", 1]]
    (alone,) = training.curves(0)["alone"]
    assert (alone["state"], len(alone["watched_accuracy"]["x"])) == ("x", epochs + 1)
    (training.found.folder / "history.csv").unlink()
    assert "history.csv is damaged (it is gone" in told(TrainingWatch(training.found))["head"]["sentence"]
    monkeypatch.setattr(cells, "SETTLING", 0.0)
    replace(training.found.folder / "result.json", "{")
    assert "is not valid JSON" in told(training)["head"]["sentence"]
    assert training.standing.state == "damaged"


@needs_locks
def test_one_that_has_just_begun_is_found_and_needs_no_recipe_that_can_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    with try_lock(folder):
        replace(folder / "recipe.toml", "name = [")
        (found,) = find_studies(tmp_path).found
        watch = TrainingWatch(found)
        values = told(watch)
        assert (values["head"]["state"], values["head"]["sentence"]) == ("running", "No epoch is done yet.")
        assert (values["head"]["watched"], values["head"]["left"]) == ("", "")
        assert watch.curves(0)["alone"] == []


def test_time_left_is_that_of_the_epochs_to_come() -> None:
    rows = [EpochRecord(epoch, 0.1, 1.0, 1.0, 0.5, seconds, None) for epoch, seconds in enumerate([9.0, 4.0, 6.0])]
    assert time_left_of_training(rows[:1], 10, 0.0) is None  # the untrained network's evaluation says nothing
    left = time_left_of_training(rows, 10, 0.0)
    assert left is not None
    assert left.middle == pytest.approx(8 * 5.0)
    later = time_left_of_training(rows, 10, 3.0)
    assert later is not None
    assert later.middle == pytest.approx(37.0)
    slow = time_left_of_training(rows, 10, 1000.0)  # an epoch that takes long is still one
    assert slow is not None
    assert slow.middle == pytest.approx(35.0)
    assert left.high / left.low == pytest.approx((1 + 0.3 / 3) ** 2)
