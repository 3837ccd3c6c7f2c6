from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from safetensors.numpy import load_file

from stepladder.baselines.bag_of_words import load_bag
from stepladder.datasets import ImageSet, Split, make_splits
from stepladder.errors import DataError, StorageError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies import bag_of_words as module
from stepladder.studies.bag_of_words import BagOptions, add_bag_of_words, run_bag_of_words
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.rules import Protocol
from stepladder.studies.files.bag_files import BagResult, SavedBag, load_bag_folder, study_bag
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study, read_readings
from stepladder.studies.findings import make_findings
from stepladder.studies.running.bag import BagCallbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import run_study


def fit(images: ImageSet, out: Path, words: int | None = 20, **options: Any) -> SavedBag:
    return run_bag_of_words(images, out, options=BagOptions(words=words), **options)


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
    found = fit(digits, tmp_path / "out", seeds=2, callbacks=callbacks)
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
    fit(digits, tmp_path, seeds=1)
    before = (tmp_path / "seeds/0/result.json").read_bytes()
    callbacks = Diary()
    found = fit(digits, tmp_path, seeds=2, callbacks=callbacks)
    assert callbacks.lines == ["start 1", "end 1", "read 1"]
    assert (tmp_path / "seeds/0/result.json").read_bytes() == before
    assert [reading.kind for reading in read_readings(tmp_path)] == ["planned", "added"]
    assert found.record.seeds == 2
    callbacks = Diary()
    assert fit(digits, tmp_path, seeds=1, callbacks=callbacks).record.seeds == 2
    assert callbacks.lines == []


def test_a_reading_that_was_broken_off_goes_on(
    digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.write_predictions

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_predictions", stop)
    with pytest.raises(KeyboardInterrupt):
        fit(digits, tmp_path, seeds=1)
    monkeypatch.setattr(module, "write_predictions", real)
    callbacks = Diary()
    assert fit(digits, tmp_path, seeds=1, callbacks=callbacks).results[0].test_accuracy is not None
    assert callbacks.lines == ["read 1"]
    assert len(read_readings(tmp_path)) == 1


def test_scrambled_test_images_change_nothing_but_the_score(digits: ImageSet, tmp_path: Path) -> None:
    splits = make_splits(digits)
    assert splits.validation is not None
    noise = np.random.default_rng(0).integers(0, 256, splits.test.images.shape, dtype=np.uint8)
    parts = {"train": splits.train, "validation": splits.validation}
    plain = replace(digits, splits={**parts, "test": splits.test})
    scrambled = replace(digits, splits={**parts, "test": Split(noise, splits.test.labels)})
    one = fit(plain, tmp_path / "plain", seeds=1)
    other = fit(scrambled, tmp_path / "scrambled", seeds=1)
    # The header of such a file names its facts in any order.
    models = [load_file(found.folder / "seeds/0/model.safetensors") for found in (one, other)]
    assert models[0].keys() == models[1].keys()
    assert all(models[0][name].tobytes() == models[1][name].tobytes() for name in models[0])
    assert one.results[0].cost == other.results[0].cost
    assert one.results[0].test_accuracy > 2 * other.results[0].test_accuracy


def test_another_bag_or_a_study_in_the_folder_is_refused(digits: ImageSet, tmp_path: Path) -> None:
    fit(digits, tmp_path / "one", seeds=1)
    with pytest.raises(StudyError, match="holds a bag of words of other settings or other images"):
        fit(digits, tmp_path / "one", words=21, seeds=1)
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "study.json").write_text("{}")
    with pytest.raises(StudyError, match="holds a study; choose another folder"):
        fit(digits, tmp_path / "two", seeds=1)
    (tmp_path / "file").write_text("")
    with pytest.raises(StudyError, match="which is a file"):
        fit(digits, tmp_path / "file", seeds=1)
    with pytest.raises(StudyError, match="`seeds` is 0"):
        fit(digits, tmp_path / "three", seeds=0)


def test_words_that_were_too_many_do_not_occupy_the_folder(digits: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few for 20,000 words"):
        fit(digits, tmp_path, words=20_000, seeds=1)
    assert fit(digits, tmp_path, seeds=1).record.settings.words == 20


def test_one_class_and_no_validation(digits: ImageSet, tmp_path: Path) -> None:
    only = replace(digits, class_names=("0",), splits={"train": digits.splits["train"].take(np.arange(0, 1))})
    with pytest.raises(DataError, match="it takes at least two"):
        fit(only, tmp_path, seeds=1)
    found = fit(digits, tmp_path, seeds=1, protocol=Protocol(validation=0))
    assert found.results[0].val_accuracy is None
    assert found.record.data.counts["train"] == 240


def test_damaged_files_are_a_sentence(digits: ImageSet, tmp_path: Path) -> None:
    fit(digits, tmp_path, seeds=1)
    path = tmp_path / "seeds/0/result.json"
    good = json.loads(path.read_text())
    for bad, words in (
        ({**good, "schema_version": 99}, "has schema version 99"),
        ({**good, "train_accuracy": 2}, "train_accuracy"),
        ([], "has schema version None"),
        ({**good, "baseline": "f00"}, "is of another bag of words"),
    ):
        path.write_text(json.dumps(bad))
        with pytest.raises(StorageError, match=words):
            load_bag_folder(tmp_path)
    path.unlink()
    assert load_bag_folder(tmp_path) is None


@pytest.mark.long
def test_a_damaged_seed_is_set_aside_and_fitted_again(digits: ImageSet, tmp_path: Path) -> None:
    class Told(BagCallbacks):
        sentences: ClassVar[list[str]] = []

        def message(self, sentence: str) -> None:
            self.sentences.append(sentence)

    whole = fit(digits, tmp_path, seeds=1).results[0]
    (tmp_path / "seeds/0/result.json").write_text("{")
    (tmp_path / "outside").mkdir()
    (tmp_path / "seeds/1").symlink_to(tmp_path / "outside")
    again = fit(digits, tmp_path, seeds=2, callbacks=Told()).results
    assert again[0].model_dump(exclude={"seconds", "cpu_seconds", "finished"}) == whole.model_dump(
        exclude={"seconds", "cpu_seconds", "finished"}
    )
    (sentence,) = Told.sentences
    assert sentence.startswith("Seed 0 is damaged: ")
    assert sentence.endswith("It was set aside as seeds/0.broken-1, and is fitted again.")
    assert (tmp_path / "seeds/0.broken-1/result.json").read_text() == "{"
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.fixture
def study(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> SavedStudy:
    design = make_design("ladder", tiny_recipe("exponential_lr", epochs=1))
    return run_study(digits, design, tmp_path / "study", seeds=2, execution=Execution("cpu", "float32"))


def rows(study: SavedStudy) -> list[dict[str, str]]:
    with (study.folder / "results.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.long
def test_a_study_keeps_its_plan_and_gains_rows(study: SavedStudy, digits: ImageSet) -> None:
    assert study_bag(study) is None
    kept = [study.folder / name for name in ("study.json", "test-readings.json")]
    before = [path.read_bytes() for path in kept]
    assert add_bag_of_words(study, digits) == study
    assert [path.read_bytes() for path in kept] == before
    assert load_study(study.folder) == study
    found = study_bag(study)
    assert found is not None
    assert (study.folder / "bag-of-words" / "bag-of-words.json").exists()
    assert [result.seed for result in found.results] == [0, 1]
    written = rows(study)
    assert [(row["rung"], row["seed"], row["trial"]) for row in written[4:]] == [
        ("bag of words", "0", "bag-of-words/seeds/0"),
        ("bag of words", "1", "bag-of-words/seeds/1"),
    ]
    assert [row["rung"] for row in written[:4]] == ["baseline", "baseline", "exponential_lr", "exponential_lr"]
    assert float(written[4]["test_accuracy"]) == found.results[0].test_accuracy
    record = study.record.model_copy(update={"data": study.record.data.model_copy(update={"split": "other"})})
    with pytest.raises(StorageError, match="was fitted on other images or splits than the study"):
        study_bag(replace(study, record=record))


@pytest.mark.long
def test_the_bag_that_stepladder_0_1_left_in_a_study_is_read_and_gone_on_with(
    study: SavedStudy, digits: ImageSet
) -> None:
    add_bag_of_words(study, digits)
    expected, written = make_findings(study).bag, rows(study)
    assert expected is not None
    # It called the folder ``baseline`` and the record in it ``baseline.json``; the rest is the same.
    old = study.folder / "baseline"
    (study.folder / "bag-of-words").rename(old)
    (old / "bag-of-words.json").rename(old / "baseline.json")
    found = study_bag(study)
    assert found is not None
    assert (found.record, found.results) == (expected.saved.record, expected.saved.results)
    bag = make_findings(study).bag
    assert bag is not None
    assert replace(bag, saved=expected.saved) == expected
    before = (old / "seeds" / "0" / "result.json").read_bytes()
    callbacks = Diary()
    add_bag_of_words(study, digits, callbacks=callbacks)
    assert callbacks.lines == [], "nothing is fitted again"
    assert (old / "seeds" / "0" / "result.json").read_bytes() == before
    assert not (study.folder / "bag-of-words").exists()
    assert rows(study) == [{**row, "trial": row["trial"].replace("bag-of-words", "baseline")} for row in written]


@pytest.mark.long
def test_a_bag_of_stepladder_0_1_in_a_folder_of_its_own_is_gone_on_with(digits: ImageSet, tmp_path: Path) -> None:
    whole = fit(digits, tmp_path / "new", seeds=2)
    fit(digits, tmp_path / "old", seeds=1)
    (tmp_path / "old" / "bag-of-words.json").rename(tmp_path / "old" / "baseline.json")
    callbacks = Diary()
    more = fit(digits, tmp_path / "old", seeds=2, callbacks=callbacks)
    assert callbacks.lines == ["start 1", "end 1", "read 1"]
    assert [one.test_accuracy for one in more.results] == [one.test_accuracy for one in whole.results]
