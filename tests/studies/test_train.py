import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
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
