import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stepladder import load_image_set, load_model
from stepladder.data import make_splits

Call = Callable[..., Any]


def test_a_model_folder_is_left_and_its_accuracy_is_the_one_printed(stepladder: Call) -> None:
    outcome = stepladder(
        "train", "digits", "--recipe", "report", "--set", "epochs=5", "--set", "optimizer.lr=0.05", "--json"
    )
    result = json.loads(outcome.out)
    assert result["folder"] == "trials/digits-report-seed0"
    assert "lr = 0.05" in Path(result["folder"], "recipe.toml").read_text()
    assert result["epochs"] == 5

    model = load_model(Path(result["folder"]) / "model")
    test = make_splits(load_image_set("digits")).test
    predicted = model.logits(test.images).argmax(axis=1)
    assert np.mean(predicted == test.labels) == result["test_accuracy"]
    assert model.class_names == tuple("0123456789")


def test_again_it_trains_nothing(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--out", "out")
    first, second = stepladder(*command), stepladder(*command)
    assert "epoch 1/1" in first.out
    assert first.out.splitlines()[0].startswith("Looked at first: no copies of test images in training; ")
    assert "epoch 1/1" not in second.out
    assert first.out.splitlines()[-1] == second.out.splitlines()[-1] == "Model: out/model"


def test_a_rung_is_trained_with_the_techniques_up_to_it(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--rung", "augment", "--json")
    result = json.loads(stepladder(*command).out)
    assert result["techniques"] == ["standardize", "random_crop", "horizontal_flip"]
    assert result["folder"] == "trials/digits-small-augment-seed0"


def test_another_seed_does_not_overwrite(stepladder: Call) -> None:
    command = ("train", "digits", "--epochs", "1", "--limit", "20", "--out", "out")
    stepladder(*command)
    outcome = stepladder(*command, "--seed", "1")
    assert outcome.code == 2
    assert "out holds another result, which would be lost; choose another folder with --out" in outcome.err


def test_a_failed_training_says_why(stepladder: Call) -> None:
    outcome = stepladder("train", "digits", "--epochs", "1", "--limit", "20", "--set", "optimizer.lr=1e20")
    assert outcome.code == 1
    assert "Failed: the training loss was not finite in epoch 1" in outcome.out
