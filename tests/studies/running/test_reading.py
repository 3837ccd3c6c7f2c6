import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import ImageSet, make_splits
from stepladder.errors import StorageError
from stepladder.model import load_model
from stepladder.recipe import Recipe, change_settings
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study
from stepladder.studies.running.callbacks import Callbacks
from stepladder.training import calibration

RunStudy = Callable[..., SavedStudy]


class Order(Callbacks):
    """Notes what happens in which order, and looks into the folder when test is about to be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[str] = []
        self.accuracies: list[Any] = []

    def trial_ended(self, *_: Any) -> None:
        self.events.append("trial")

    def reading(self, trials: int) -> None:
        self.events.append(f"reading {trials}")
        self.accuracies += [
            json.loads(path.read_text())["test_accuracy"] for path in self.folder.glob("trials/*/result.json")
        ]
        assert json.loads((self.folder / "test-readings.json").read_text())["readings"][-1]["ended"] is False


@pytest.mark.long
def test_test_is_read_once_after_all_training_and_that_is_noted(study: RunStudy, tmp_path: Path) -> None:
    order = Order(tmp_path / "study")
    saved = study(callbacks=order)
    assert order.events == ["trial"] * 6 + ["reading 6"]
    assert order.accuracies == [None] * 6
    (reading,) = saved.readings
    assert (reading.kind, reading.ended, reading.plan_hash) == ("planned", True, saved.record.plan_hash)
    assert set(reading.trials) == {trial.folder.name for trial in saved.trials}
    started = datetime.fromisoformat(saved.record.created)
    assert started <= datetime.fromisoformat(reading.time) <= datetime.now(UTC)
    again = Order(tmp_path / "study")
    assert study(callbacks=again).readings == saved.readings
    assert again.events == []


@pytest.mark.long
def test_the_figures_are_those_of_the_saved_model(study: RunStudy, digits: ImageSet) -> None:
    trial = study(seeds=1).trials[-1]
    splits = make_splits(digits, 0.1)
    logits = load_model(trial.folder / "model").logits(splits.test.images)
    predictions = read_predictions(trial.folder)
    assert predictions is not None
    assert predictions[0].dtype == np.uint8
    assert (predictions[0] == logits.argmax(axis=1)).all()
    assert (predictions[1] == splits.test.labels).all()
    assert trial.result.test_accuracy == (predictions[0] == predictions[1]).mean()
    assert trial.result.temperature is not None
    assert trial.result.test_ece is not None
    assert f"{100 * (trial.result.test_accuracy or 0):.2f} %" in (trial.folder / "model" / "README.md").read_text()


@pytest.mark.long
def test_the_saved_model_gives_the_calibrated_probabilities_of_the_result(
    study: RunStudy, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.reading.calibration.tells_temperature", lambda *_: True)
    splits = make_splits(digits, 0.1)
    trials = study(seeds=2).trials
    assert len(trials) == 6
    for trial in trials:
        model = load_model(trial.folder / "model", "cpu")
        assert model.calibrated
        assert model.temperature == trial.result.temperature == trial.result.model_temperature != 1
        probabilities = model.predict(splits.test.images).probabilities
        chosen = probabilities[np.arange(len(splits.test)), splits.test.labels].astype(np.float64)
        assert -np.log(chosen).mean() == pytest.approx(trial.result.test_nll_calibrated, rel=1e-4)
        card = (trial.folder / "model" / "README.md").read_text()
        assert f"calibrated; logits are divided by {model.temperature:.3g}, fitted on" in card
        before, after = (100 * (error or 0) for error in (trial.result.test_ece, trial.result.test_ece_calibrated))
        assert f"(calibration error on the test images: {before:.2f} % before, {after:.2f} % after)" in card
        assert f"{before:.2f}" != f"{after:.2f}"
        assert "the same recipe" in card
        assert "n = 2 seeds" in card


@pytest.mark.long
def test_the_temperature_is_fitted_on_the_validation_images(
    study: RunStudy, digits: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[np.ndarray, float]] = []

    def tells(logits: np.ndarray, labels: np.ndarray, temperature: float) -> bool:
        asked.append((labels, temperature))
        return False

    monkeypatch.setattr(calibration, "tells_temperature", tells)
    splits = make_splits(digits, 0.1)
    assert splits.validation is not None
    trial = study(seeds=1).trials[-1]
    model = load_model(trial.folder / "model", "cpu")
    fitted = {
        name: calibration.fit_temperature(model.logits(split.images), split.labels)
        for name, split in (("validation", splits.validation), ("test", splits.test))
    }
    assert trial.result.temperature == pytest.approx(fitted["validation"], rel=1e-4)
    assert abs(fitted["test"] - fitted["validation"]) > 0.01 * fitted["validation"], "the two can be told apart here"
    # It was told from 1 by the same images.
    labels, temperature = asked[-1]
    assert (labels == splits.validation.labels).all()
    assert temperature == trial.result.temperature
    # The test images are measured by it.
    logits = model.logits(splits.test.images)
    scaled = calibration.negative_log_likelihood(logits, splits.test.labels, temperature)
    assert trial.result.test_nll_calibrated == pytest.approx(scaled, rel=1e-4)
    assert trial.result.test_ece_calibrated == pytest.approx(
        calibration.calibration_error(logits, splits.test.labels, temperature), abs=1e-4
    )


@pytest.mark.long
def test_without_validation_no_temperature_is_fitted(study: RunStudy) -> None:
    trial = study(seeds=1, validation=0).trials[0]
    result = trial.result
    assert (result.temperature, result.test_nll_calibrated) == (None, None)
    assert result.test_macro_f1 is not None
    model = load_model(trial.folder / "model", "cpu")
    assert (model.temperature, model.calibrated) == (1, False)
    card = (trial.folder / "model" / "README.md").read_text()
    assert "not calibrated" in card
    assert "the same recipe" not in card


@pytest.mark.long
def test_a_temperature_that_validation_does_not_tell_from_1_is_left_out(
    study: RunStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stepladder.studies.running.reading.calibration.tells_temperature", lambda *_: False)
    trial = study(seeds=1).trials[0]
    assert trial.result.temperature is not None
    assert trial.result.model_temperature is None
    assert not load_model(trial.folder / "model", "cpu").calibrated
    assert "not calibrated" in (trial.folder / "model" / "README.md").read_text()


@pytest.mark.long
def test_seeds_added_later_are_a_second_look_and_noted(study: RunStudy) -> None:
    study(seeds=1)
    saved = study(seeds=2)
    assert [(reading.kind, reading.look) for reading in saved.readings] == [("planned", 1), ("look", 2)]
    assert [len(reading.trials) for reading in saved.readings] == [3, 3]
    (added,) = saved.record.added
    assert (added.seeds, added.after_reading) == ((1,), True)
    assert saved.edited is None


class Interrupt(Callbacks):
    def __init__(self, when: str) -> None:
        self.when = when

    def trial_started(self, *_: Any) -> None:
        if self.when == "training":
            raise KeyboardInterrupt

    def reading(self, trials: int) -> None:
        if self.when == "reading":
            raise KeyboardInterrupt


@pytest.mark.long
def test_seeds_added_before_any_reading_are_read_with_the_others(study: RunStudy) -> None:
    with pytest.raises(KeyboardInterrupt):
        study(seeds=1, callbacks=Interrupt("training"))
    saved = study(seeds=2)
    assert [reading.kind for reading in saved.readings] == ["planned"]
    assert [added.after_reading for added in saved.record.added] == [False]


@pytest.mark.long
def test_a_reading_that_was_broken_off_goes_on_under_its_entry(study: RunStudy, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        study(seeds=1, callbacks=Interrupt("reading"))
    stopped = load_study(tmp_path / "study")
    assert stopped.unread
    assert [reading.ended for reading in stopped.readings] == [False]
    saved = study(seeds=1)
    assert [(reading.kind, reading.ended) for reading in saved.readings] == [("planned", True)]
    assert not saved.unread


@pytest.mark.long
def test_a_trial_that_is_read_twice_is_flagged(study: RunStudy) -> None:
    saved = study(seeds=1)
    (saved.trials[0].folder / "result.json").unlink()
    assert [reading.kind for reading in study(seeds=1).readings] == ["planned", "again"]


def test_a_study_of_failures_reads_nothing(study: RunStudy, two_rungs: Recipe) -> None:
    saved = study(recipe=change_settings(two_rungs, {"optimizer.lr": "1e20"}), seeds=1)
    assert saved.readings == ()


@pytest.mark.long
def test_damaged_files_are_named(study: RunStudy) -> None:
    saved = study(seeds=1)
    (saved.trials[0].folder / "predictions.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(StorageError, match=r"predictions\.safetensors is damaged"):
        read_predictions(saved.trials[0].folder)
    (saved.folder / "test-readings.json").write_text('{"schema_version": 3, "readings": [{}]}')
    with pytest.raises(StorageError, match=r"test-readings\.json is damaged"):
        load_study(saved.folder)
    assert read_predictions(saved.folder) is None


@pytest.mark.long
def test_scrambled_test_labels_change_no_verdict_of_validation(study: RunStudy, digits: ImageSet) -> None:
    # What may choose is settled before test is read.
    saved = study(seeds=1)
    assert all(trial.result.selected_epoch == trial.result.epochs for trial in saved.trials)
    assert replace(saved, readings=()).record == saved.record
