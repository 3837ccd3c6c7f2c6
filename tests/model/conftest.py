from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stepladder.model import save_model
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute, choose_compute
from stepladder.training.loop import TrainedNetwork, train_network

#: All six techniques, and a crop smaller than the images, so that evaluation must cut the center.
TECHNIQUES = (
    "standardize",
    {"name": "random_crop", "size": 6},
    "horizontal_flip",
    "exponential_lr",
    "dropout",
    "batch_norm",
)


@pytest.fixture(scope="session")
def compute() -> Compute:
    return choose_compute("cpu", "float32")


@pytest.fixture(scope="session")
def trained(digits_train, tiny_recipe, compute) -> TrainedNetwork:
    return train_network(tiny_recipe(*TECHNIQUES, epochs=1), TrainingData(digits_train, digits_train, 10), 0, compute)


@pytest.fixture(scope="session")
def saved(trained, digits, compute, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    save_model(folder, trained, digits.class_names, digits.image_shape, compute, "# A card\n")
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy of the saved model, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))
