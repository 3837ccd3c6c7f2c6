from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from stepladder.baselines.bag_of_words import load_bag
from stepladder.datasets import ImageSet, Split, make_splits
from stepladder.errors import DataError, StorageError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies import baseline as module
from stepladder.studies.bag_of_words import BagCallbacks, add_bag_of_words, run_bag_of_words
from stepladder.studies.files.bag_files import BagResult, load_bag_folder, study_bag
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.store import load_study, read_readings
from stepladder.studies.run import run_study
from stepladder.training.device import choose_compute


class Diary(BagCallbacks):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def seed_started(self, seed: int) -> None:
        self.lines.append(f"start {seed}")

    def seed_ended(self, result: BagResult) -> None:
        assert result.test_accuracy is None
        self.lines.append(f"end {result.seed}")

    def reading(self, seeds: int) -> None:
        self.lines.append(f"read {seeds}")


def test_seeds_are_fitted_and_then_test_is_read_once(digits: ImageSet, tmp_path: Path) -> None:
    callbacks = Diary()
    found = run_bag_of_words(digits, tmp_path / "out", words=20, seeds=2, callbacks=callbacks)
    assert callbacks.lines == ["start 0", "end 0", "start 1", "end 1", "read 2"]
    splits = make_splits(digits)
    assert [result.seed for result in found.results] == [0, 1]
    for result in found.results:
        folder = tmp_path / "out" / "seeds" / str(result.seed)
        predictions = read_predictions(folder)
        assert predictions is not None
        predicted, labels = predictions
        np.testing.assert_array_equal(labels, splits.test.labels)
        assert result.test_accuracy == (predicted == labels).mean() > 0.7
        np.testing.assert_array_equal(load_bag(folder / "model.safetensors").predict(splits.test), predicted)
        assert result.seconds > 0
        assert result.cpu_seconds > 0
        assert {"stepladder", "numpy", "scikit-learn", "scipy"} <= set(result.versions)
    assert found.results[0].tried != ()
    (reading,) = read_readings(tmp_path / "out")
    assert (reading.kind, reading.trials, reading.ended) == ("planned", ("seed 0", "seed 1"), True)


def test_again_it_fits_only_what_is_missing(digits: ImageSet, tmp_path: Path) -> None:
    run_bag_of_words(digits, tmp_path, words=20, seeds=1)
    before = (tmp_path / "seeds/0/result.json").read_bytes()
    callbacks = Diary()
    found = run_bag_of_words(digits, tmp_path, words=20, seeds=2, callbacks=callbacks)
    assert callbacks.lines == ["start 1", "end 1", "read 1"]
    assert (tmp_path / "seeds/0/result.json").read_bytes() == before
    assert [reading.kind for reading in read_readings(tmp_path)] == ["planned", "added"]
    assert found.record.seeds == 2
    callbacks = Diary()
    assert run_bag_of_words(digits, tmp_path, words=20, seeds=1, callbacks=callbacks).record.seeds == 2
    assert callbacks.lines == []


def test_a_reading_that_was_broken_off_goes_on(
    digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.write_predictions

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_predictions", stop)
    with pytest.raises(KeyboardInterrupt):
        run_bag_of_words(digits, tmp_path, words=20, seeds=1)
    monkeypatch.setattr(module, "write_predictions", real)
    callbacks = Diary()
    assert (
        run_bag_of_words(digits, tmp_path, words=20, seeds=1, callbacks=callbacks).results[0].test_accuracy is not None
    )
    assert callbacks.lines == ["read 1"]
    assert len(read_readings(tmp_path)) == 1


def test_scrambled_test_images_change_nothing_but_the_score(digits: ImageSet, tmp_path: Path) -> None:
    splits = make_splits(digits)
    assert splits.validation is not None
    noise = np.random.default_rng(0).integers(0, 256, splits.test.images.shape, dtype=np.uint8)
    parts = {"train": splits.train, "validation": splits.validation}
    plain = replace(digits, splits={**parts, "test": splits.test})
    scrambled = replace(digits, splits={**parts, "test": Split(noise, splits.test.labels)})
    one = run_bag_of_words(plain, tmp_path / "plain", words=20, seeds=1)
    other = run_bag_of_words(scrambled, tmp_path / "scrambled", words=20, seeds=1)
    # The header of such a file names its facts in any order.
    models = [load_file(found.folder / "seeds/0/model.safetensors") for found in (one, other)]
    assert models[0].keys() == models[1].keys()
    assert all(models[0][name].tobytes() == models[1][name].tobytes() for name in models[0])
    assert one.results[0].cost == other.results[0].cost
    assert one.results[0].test_accuracy > 2 * other.results[0].test_accuracy


def test_another_baseline_or_a_study_in_the_folder_is_refused(digits: ImageSet, tmp_path: Path) -> None:
    run_bag_of_words(digits, tmp_path / "one", words=20, seeds=1)
    with pytest.raises(StudyError, match="holds a baseline of other settings or other images"):
        run_bag_of_words(digits, tmp_path / "one", words=21, seeds=1)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "study.json").write_text("{}")
    with pytest.raises(StudyError, match="holds a study; choose another folder"):
        run_bag_of_words(digits, tmp_path / "two", seeds=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="which is a file"):
        run_bag_of_words(digits, tmp_path / "file", seeds=1)
    with pytest.raises(StudyError, match="--seeds is 0"):
        run_bag_of_words(digits, tmp_path / "three", seeds=0)


def test_words_that_were_too_many_do_not_occupy_the_folder(digits: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few for 20,000 words"):
        run_bag_of_words(digits, tmp_path, words=20_000, seeds=1)
    assert run_bag_of_words(digits, tmp_path, words=20, seeds=1).record.settings.words == 20


def test_one_class_and_no_validation(digits: ImageSet, tmp_path: Path) -> None:
    only = replace(digits, class_names=("0",), splits={"train": digits.splits["train"].take(np.arange(0, 1))})
    with pytest.raises(DataError, match="it takes at least two"):
        run_bag_of_words(only, tmp_path, seeds=1)
    found = run_bag_of_words(digits, tmp_path, words=20, seeds=1, validation=0)
    assert found.results[0].val_accuracy is None
    assert found.record.data.counts["train"] == 240


def test_damaged_files_are_a_sentence(digits: ImageSet, tmp_path: Path) -> None:
    run_bag_of_words(digits, tmp_path, words=20, seeds=1)
    path = tmp_path / "seeds/0/result.json"
    good = json.loads(path.read_text())
    for bad, words in (
        ({**good, "schema_version": 99}, "has schema version 99"),
        ({**good, "train_accuracy": 2}, "train_accuracy"),
        ([], "has schema version None"),
        ({**good, "baseline": "f00"}, "is of another baseline"),
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(StorageError, match=words):
            load_bag_folder(tmp_path)
    path.unlink()
    assert load_bag_folder(tmp_path) is None


def test_a_study_keeps_its_plan_and_gains_rows(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    study = run_study(digits, tiny_recipe("exponential_lr"), tmp_path, choose_compute("cpu", "float32"), seeds=2)
    assert study_bag(study) is None
    before = (tmp_path / "study.json").read_bytes(), (tmp_path / "test-readings.json").read_bytes()
    add_bag_of_words(study, digits)
    assert before == ((tmp_path / "study.json").read_bytes(), (tmp_path / "test-readings.json").read_bytes())
    assert load_study(tmp_path) == study
    found = study_bag(study)
    assert found is not None
    assert [result.seed for result in found.results] == [0, 1]
    with (tmp_path / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["rung"], row["seed"]) for row in rows] == [
        ("baseline", "0"),
        ("baseline", "1"),
        ("exponential_lr", "0"),
        ("exponential_lr", "1"),
        ("bag of words", "0"),
        ("bag of words", "1"),
    ]
    assert float(rows[4]["test_accuracy"]) == found.results[0].test_accuracy
    record = study.record.model_copy(update={"data": study.record.data.model_copy(update={"split": "other"})})
    with pytest.raises(StorageError, match="was fitted on other images or splits than the study"):
        study_bag(replace(study, record=record))
