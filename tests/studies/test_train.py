import json
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import DamagedError, StudyError
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies import prepare
from stepladder.studies.design.rules import Protocol
from stepladder.studies.files.checksums import find_changed_files
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.locks import locked
from stepladder.studies.train import TrainedModel, Use, train_model
from stepladder.training.arithmetic import Arithmetic

CPU = Execution("cpu", "float32")


@pytest.fixture
def train(digits: ImageSet, two_rungs: Recipe, tmp_path: Path) -> Callable[..., TrainedModel]:
    def run(out: Path = tmp_path / "model", **options: Any) -> TrainedModel:
        return train_model(digits, two_rungs, out, **{"execution": CPU, **options})

    return run


@pytest.mark.long
def test_a_trained_model_is_that_of_the_same_trial_in_a_study(
    train: Callable[..., TrainedModel], study: Callable[..., SavedStudy]
) -> None:
    # A study takes one thread a trial, a single training a core each: with as many, the bits are the same.
    found = train(seed=1, execution=replace(CPU, threads=1))
    (trial,) = (trial for trial in study().of_rung("augment") if trial.seed == 1)
    assert found.result.trial == trial.result.trial
    assert (found.result.precision, found.arithmetic.reason) == ("float32", "asked")
    weights = "model/model.safetensors"
    assert (found.folder / weights).read_bytes() == (trial.folder / weights).read_bytes()
    assert found.result.test_accuracy == trial.result.test_accuracy
    assert find_changed_files(found.folder) == []


def test_the_recipe_beside_the_model_is_the_one_that_was_trained(
    train: Callable[..., TrainedModel], two_rungs: Recipe
) -> None:
    folder = train().folder
    assert parse_recipe(tomllib.loads((folder / "recipe.toml").read_text())) == two_rungs


def test_the_same_training_again_only_reads_the_result(train: Callable[..., TrainedModel], counter: Any) -> None:
    first = train()
    assert train(callbacks=counter) == first
    assert counter.started == []


def change(path: Path, key: str, value: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "a result that is cut": (lambda out: cut(out / "result.json", 3), "is not valid JSON"),
    "a result that is no number": (lambda out: change(out / "result.json", "val_loss", float("nan")), "NaN"),
    "another result": (lambda out: change(out / "result.json", "epochs", 7), "tells of 7 epochs"),
    "the end of a history": (lambda out: cut(out / "history.csv", 1), "its last line is cut"),
    "a history": (lambda out: (out / "history.csv").unlink(), "it is gone"),
    "predictions": (lambda out: (out / "predictions.safetensors").write_bytes(b"x"), "predictions.safetensors"),
    "predictions of validation": (lambda out: cut(out / "validation.safetensors", 1), "validation.safetensors"),
}


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:-count])


@pytest.fixture(scope="module")
def whole_training(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A training of the module, which each case damages a copy of."""
    return {}


@pytest.mark.long
@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_training_is_set_aside_and_trained_again_as_by_study(
    train: Callable[..., TrainedModel],
    counter: Any,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    whole_training: dict[str, Path],
    case: str,
) -> None:
    if not whole_training:
        whole_training["folder"] = train(tmp_path_factory.mktemp("whole") / "model").folder
    out = tmp_path / "model"
    shutil.copytree(whole_training["folder"], out)
    weights = (out / "model" / "model.safetensors").read_bytes()
    (out / "tracking").mkdir()
    damage, said = DAMAGE[case]
    damage(out)
    messages: list[str] = []
    counter.message = messages.append
    trained = train(callbacks=counter)
    assert len(counter.started) == 1
    (sentence,) = [one for one in messages if "set aside" in one]
    assert sentence.startswith(f"The training in {out} is damaged: ")
    assert said in sentence
    assert sentence.endswith("It was set aside as model.broken-1, and is trained again.")
    assert (tmp_path / "model.broken-1" / "model" / "model.safetensors").is_file()
    assert (out / "tracking").is_dir()
    assert (out / "model" / "model.safetensors").read_bytes() == weights
    assert train().result == trained.result


def test_a_damaged_training_among_other_files_stays_where_it_is(train: Callable[..., TrainedModel]) -> None:
    out = train().folder
    cut(out / "result.json", 3)
    (out / "diary.txt").write_text("mine")
    with pytest.raises(DamagedError, match=r"result\.json .*is not valid JSON.*; "):
        train()
    assert (out / "diary.txt").is_file()


def test_a_model_trained_without_test_is_read_by_a_later_call(train: Callable[..., TrainedModel], counter: Any) -> None:
    unread = train(use=Use(test=False)).result
    assert (unread.status, unread.test_accuracy, unread.test_loss) == ("finished", None, None)
    assert train(use=Use(test=False)).result == unread
    read = train(callbacks=counter).result
    assert counter.started == []
    assert read.test_accuracy is not None
    assert read.val_accuracy == unread.val_accuracy
    with pytest.raises(StudyError, match="so test cannot stay unread; give `validation` a share above 0"):
        train(use=Use(test=False), protocol=Protocol(validation=0))


def test_a_training_is_read_in_the_precision_that_it_was_trained_in(
    train: Callable[..., TrainedModel], monkeypatch: pytest.MonkeyPatch, counter: Any
) -> None:
    first = train()
    monkeypatch.setattr(prepare, "choose_arithmetic", lambda *_: Arithmetic("bfloat16", "measured"))
    again = train(execution=Execution("cpu"), callbacks=counter)
    assert (again.result, again.arithmetic.reason) == (first.result, "kept")
    assert counter.started == []


def test_another_result_is_never_overwritten(train: Callable[..., TrainedModel], tmp_path: Path) -> None:
    train()
    words = "holds another result, which would be lost; choose another folder with `out`"
    with pytest.raises(StudyError, match=words):
        train(seed=1)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "study.json").write_text("{}")
    with pytest.raises(StudyError, match=words):
        train(tmp_path / "study")


def test_a_folder_in_which_another_process_trains_is_left_alone(
    train: Callable[..., TrainedModel], tmp_path: Path
) -> None:
    with locked(tmp_path / "model"), pytest.raises(StudyError, match=r"another process trains in .*model; wait for it"):
        train()
