from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from stepladder.datasets.decode import with_channels
from stepladder.model.any_size import AnySize, read_any_size
from stepladder.model.export import Exported, export_model
from stepladder.model.folder import load_folder, save_model
from stepladder.model.sample_images import sample_crops
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


@pytest.fixture(scope="session")
def exported(saved, digits, tmp_path_factory) -> Exported:
    """The saved model as an ONNX file, made once; to be copied where it is changed."""
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    path = tmp_path_factory.mktemp("exported") / "digits.onnx"
    return export_model(load_folder(saved, "cpu"), path, digits.splits["train"].images[:50], card="# A card\n")


@pytest.fixture(scope="session")
def resizing(exported, tmp_path_factory) -> tuple[Path, AnySize]:
    """That file, made to read images of any size, and how it was checked."""
    path = Path(shutil.copy(exported.path, tmp_path_factory.mktemp("resizing") / "digits.onnx"))
    return path, read_any_size(path, [with_channels(crop, 1) for crop in sample_crops(12)])


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    """A copy of the saved model, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "model"))
