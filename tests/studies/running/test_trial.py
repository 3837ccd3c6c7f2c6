import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.trial import train_model
from stepladder.training.device import choose_compute

CPU = choose_compute("cpu", "float32")


def test_a_trained_model_is_that_of_the_same_trial_in_a_study(
    digits: ImageSet, two_rungs: Recipe, study: Callable[..., SavedStudy], tmp_path: Path
) -> None:
    result = train_model(digits, two_rungs, tmp_path / "alone", CPU, seed=1)
    (trial,) = (trial for trial in study().of_rung("augment") if trial.seed == 1)
    assert result.trial == trial.result.trial
    weights = "model/model.safetensors"
    assert (tmp_path / "alone" / weights).read_bytes() == (trial.folder / weights).read_bytes()


def test_the_recipe_beside_the_model_is_the_one_that_was_trained(
    digits: ImageSet, two_rungs: Recipe, tmp_path: Path
) -> None:
    train_model(digits, two_rungs, tmp_path, CPU)
    assert parse_recipe(tomllib.loads((tmp_path / "recipe.toml").read_text())) == two_rungs


def test_the_same_training_again_only_reads_the_result(digits: ImageSet, two_rungs: Recipe, tmp_path: Path) -> None:
    first = train_model(digits, two_rungs, tmp_path, CPU)
    assert train_model(digits, two_rungs, tmp_path, CPU) == first


def test_another_result_is_never_overwritten(digits: ImageSet, two_rungs: Recipe, tmp_path: Path) -> None:
    train_model(digits, two_rungs, tmp_path, CPU)
    with pytest.raises(StudyError, match="holds another result, which would be lost; choose another folder with --out"):
        train_model(digits, two_rungs, tmp_path, CPU, seed=1)
