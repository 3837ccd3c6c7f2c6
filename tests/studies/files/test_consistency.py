"""A record that cannot be is told from one that is: each damage by itself, and what is whole passes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from stepladder.errors import DamagedError, StorageError, StudyError
from stepladder.studies.files.store import find_damaged, load_study, read_record

SCHEMAS = Path(__file__).parents[1] / "schemas"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two rungs and two seeds, as the last version wrote them."""
    return Path(shutil.copytree(SCHEMAS / "4", tmp_path / "study"))


def a_trial(study: Path) -> Path:
    return min((study / "trials").iterdir())


def change(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def put(*keys: str | int, value: object) -> Callable[[Any], None]:
    def edit(document: Any) -> None:
        for key in keys[:-1]:
            document = document[key]
        document[keys[-1]] = value

    return edit


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_what_was_written_is_whole(version: str) -> None:
    assert len(load_study(SCHEMAS / version).trials) == 4
    record = read_record(SCHEMAS / version)
    assert record is not None
    assert find_damaged(SCHEMAS / version, record) == []


STUDY = {
    "a rung twice": (lambda record: record["rungs"].append(record["rungs"][0]), "it has the rung base twice"),
    "a seed twice": (put("seeds", value=[0, 1, 1]), "it has the seed 1 twice"),
    "a contrast twice": (lambda record: record["contrasts"].append(record["contrasts"][0]), "it has the contrast"),
    "an unknown rung": (
        put("contrasts", 0, "weights", "nobody", value=1.0),
        "a contrast names nobody, which is no rung",
    ),
    "no weights": (put("contrasts", 0, "weights", value={}), "a contrast has no weights"),
    "reached by nobody": (put("reached", value={"nobody": 1}), "the list reached names nobody, which is no rung"),
    "reached too far": (put("reached", value={"base": 9}), "the list reached is beyond its seeds"),
    "seeds below 0": (put("seeds", value=[0, -1]), "its seeds are not 0 to"),
    "endless seeds": (put("looks", 0, "seeds", value=10**12), "its looks are at"),
    "alpha": (put("alpha", value=1.5), "alpha is 1.5"),
    "an effect below 0": (put("smallest_effect", value=-1), "smallest_effect is -1"),
    "validation": (put("validation", value=2), "validation is 2"),
    "precision": (put("precision", value="float8"), "precision is float8"),
    "device": (put("device", value="tpu"), "device is tpu"),
    "select": (put("select", value="best"), "select is best"),
    "threads": (put("threads", value=0), "threads is 0"),
    "metric": (put("metric", value="luck"), "luck"),
    "no classes": (put("data", "class_names", value=[]), "its images have no classes"),
    "no pixels": (put("data", "image_shape", value=[0, 8, 1]), r"its images are \(0, 8, 1\)"),
    "counts": (put("data", "counts", value={"train": 3}), "its images are counted as"),
    "no validation images": (lambda record: record["data"]["counts"].pop("validation"), "holds images out for validat"),
    "a size of one rung": (put("rungs", 0, "images", value=20), r"its rungs train on \[20\] of"),
    "an unknown name": (put("luck", value=1), "luck: Extra inputs are not permitted"),
    "a kind of contrast": (put("contrasts", 0, "design", value="luck"), "contrasts.0.design"),
    "not a number": (put("alpha", value=float("nan")), "it holds NaN, which is no number"),
    "no version": (lambda record: record.pop("schema_version"), "it has no schema version"),
    "a recipe": (put("rungs", 0, "recipe", "epochs", value=0), "epochs"),
}


@pytest.mark.parametrize("case", STUDY)
def test_a_study_that_cannot_be_is_named(study: Path, case: str) -> None:
    edit, said = STUDY[case]
    change(study / "study.json", edit)
    with pytest.raises(StorageError, match=rf"study\.json.*{said}"):
        load_study(study)


RESULT = {
    "another trial": (put("trial", value="0" * 16), "it is that of another trial"),
    "another seed": (put("seed", value=7), "it is that of another trial"),
    "techniques": (put("techniques", value=["mixup"]), "it names other techniques than the trial's recipe"),
    "epochs": (put("epochs", value=10**18), "it tells of 1,000,000,000,000,000,000 epochs"),
    "epochs below 0": (put("epochs", value=-1), "it tells of -1 epochs"),
    "selected": (put("selected_epoch", value=5), "it selected epoch 5 of 1"),
    "failed without a reason": (put("status", value="failed"), "does not say whether the trial failed"),
    "finished with a failure": (put("failure", value="it hung"), "does not say whether the trial failed"),
    "half of a test": (put("test_loss", value=None), "half of a test result"),
    "seconds": (put("seconds", value=-1), "it took no time"),
    "speed": (put("images_per_second", value=0), "it took no time"),
    "temperature": (put("temperature", value=-2), "its temperature is not above 0"),
    "not a number": (put("val_loss", value=float("nan")), "it holds NaN, which is no number"),
    "infinite": (put("train_loss", value=float("inf")), "it holds Infinity, which is no number"),
    "an unknown name": (put("luck", value=1), "luck: Extra inputs are not permitted"),
    "another loss": (put("val_loss", value=0.25), "its last val_loss is .* and that of result.json is 0.25"),
    "another accuracy": (put("train_accuracy", value=0.25), "its last train_accuracy is .*, and that of result.json"),
}


@pytest.mark.parametrize("case", RESULT)
def test_a_result_that_cannot_be_is_named(study: Path, case: str) -> None:
    edit, said = RESULT[case]
    change(a_trial(study) / "result.json", edit)
    with pytest.raises(
        StorageError, match=rf"has a damaged trial: .*{said}.*; run the study again, which sets it aside"
    ):
        load_study(study)


def test_a_failed_trial_has_no_test_result(study: Path) -> None:
    change(a_trial(study) / "result.json", lambda result: result.update(status="failed", failure="it hung"))
    with pytest.raises(StorageError, match="the trial failed, and has a test result"):
        load_study(study)


def lines(edit: Callable[[list[list[str]]], object]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        rows = [line.split(",") for line in text.splitlines()]
        edit(rows)
        return "".join(",".join(row) + "\n" for row in rows)

    return changed


HISTORY: dict[str, tuple[Callable[[str], str], str]] = {
    "no end of the last line": (lambda text: text[:-1], "its last line is cut"),
    "cut within a number": (lambda text: text[:-5], "its last line is cut"),
    "another speed": (
        lines(lambda rows: rows[-1].__setitem__(-1, rows[-1][-1][:2] + ".0")),
        "its epochs had .* images a second, and result.json tells",
    ),
    "empty": (lambda text: "", "its last line is cut"),
    "an empty line": (lambda text: text + "\n", "its last line is cut"),
    "Windows": (lambda text: text.replace("\n", "\r\n"), "its last line is cut"),
    "a line less": (lines(list.pop), "it lacks epochs: it has 1 rows, and result.json tells of 2"),
    "a line twice": (lines(lambda rows: rows.append(rows[-1])), "it lacks epochs: it has 3 rows"),
    "lines changed about": (lines(lambda rows: rows.insert(1, rows.pop())), "its row 1 is epoch 1"),
    "a column twice": (lines(lambda rows: rows[0].__setitem__(1, "epoch")), "has not a value for every column"),
    "an unknown column": (lines(lambda rows: rows[0].__setitem__(1, "luck")), "has not the columns of a history"),
    "a column less": (lines(lambda rows: [row.pop(3) for row in rows]), "has not the columns of a history"),
    "a value less": (lines(lambda rows: rows[-1].pop()), "has not a value for every column"),
    "no number": (lines(lambda rows: rows[-1].__setitem__(3, "good")), "could not convert|is no number"),
    "another way to write it": (
        lines(lambda rows: rows[-1].__setitem__(3, "1.50")),
        "is no number as they are written",
    ),
    "nan": (lines(lambda rows: rows[-1].__setitem__(3, "nan")), "train_loss of epoch 1 is nan"),
    "an accuracy of 2": (lines(lambda rows: rows[1].__setitem__(4, "2.0")), "train_accuracy of epoch 0 is 2.0"),
    "time that goes back": (lines(lambda rows: rows[1].__setitem__(7, "-2.0")), "epoch 0 took -2.0 s"),
    "no text": (lambda text: text + "\udcff", "decode"),
}


@pytest.mark.parametrize("case", HISTORY)
def test_a_history_that_is_not_whole_is_named(study: Path, case: str) -> None:
    edit, said = HISTORY[case]
    path = a_trial(study) / "history.csv"
    path.write_bytes(edit(path.read_text()).encode(errors="surrogateescape"))
    with pytest.raises(StorageError, match=rf"history\.csv is damaged \(.*({said})"):
        load_study(study)


def test_every_damaged_trial_is_named(study: Path) -> None:
    first, second, third, _ = sorted((study / "trials").iterdir())
    (first / "history.csv").unlink()
    (second / "result.json").write_text("{")
    (third / "history.csv").unlink()
    (third / "history.csv").symlink_to("/dev/zero")
    with pytest.raises(StorageError, match=r"has 3 damaged trials: .*it is a link.*not valid JSON.*\(it is gone\)"):
        load_study(study)
    record = read_record(study)
    assert record is not None
    assert [trial.id for trial, _ in find_damaged(study, record)] == [
        path.name for path in sorted((first, second, third), key=lambda path: planned(study).index(path.name))
    ]


def planned(study: Path) -> list[str]:
    from stepladder.studies.files.store import planned_trials

    record = read_record(study)
    assert record is not None
    return [trial.id for trial in planned_trials(record)]


PREDICTIONS: dict[str, tuple[Callable[[dict[str, np.ndarray]], object], str]] = {
    "fewer": (lambda one: one.update({name: values[:-1] for name, values in one.items()}), "and the study"),
    "other lengths": (lambda one: one.update(labels=one["labels"][:-1]), "not as many whole numbers"),
    "a class beyond": (lambda one: one["predicted"].__setitem__(0, 200), "names a class beyond the 10"),
    "fractions": (lambda one: one.update(labels=one["labels"].astype(np.float32)), "not as many whole numbers"),
    "no labels": (lambda one: one.pop("labels"), "it holds predicted"),
    "a stranger": (lambda one: one.update(luck=one["labels"]), "it holds labels, luck"),
    "not a number": (lambda one: one["probabilities"].__setitem__((0, 0), np.nan), "not between 0 and 1"),
    "more than 1": (lambda one: one["probabilities"].__setitem__((0, 0), 2), "not between 0 and 1"),
    "other classes": (lambda one: one.update(probabilities=one["probabilities"][:, :4]), "probabilities of 4 classes"),
    "other images": (lambda one: one.update(probabilities=one["probabilities"][:4]), "not those of its images"),
}


@pytest.mark.parametrize("case", PREDICTIONS)
def test_predictions_of_others_are_named(study: Path, case: str) -> None:
    edit, said = PREDICTIONS[case]
    path = a_trial(study) / "predictions.safetensors"
    arrays = load_file(path)
    edit(arrays)
    save_file({name: np.ascontiguousarray(values) for name, values in arrays.items()}, path)
    record = read_record(study)
    assert record is not None
    ((trial, what),) = find_damaged(study, record)
    assert trial.id == path.parent.name
    assert said in what


def test_damage_is_told_from_what_cannot_be_read_or_is_newer(study: Path) -> None:
    path = a_trial(study) / "result.json"
    change(path, put("schema_version", value=99))
    record = read_record(study)
    assert record is not None
    with pytest.raises(StorageError, match="has schema version 99") as caught:
        find_damaged(study, record)
    assert not isinstance(caught.value, DamagedError), "what a newer Stepladder wrote is not set aside"
    with pytest.raises(StudyError):
        load_study(study / "trials")
