"""Fashion-MNIST: from --data-dir, from Debian's folder, or a sentence that says how to get it."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from stepladder.data import load_image_set
from stepladder.data.sources import fashion_mnist
from stepladder.errors import DataError


def write(folder: Path, *, suffix: str = ".gz", test_side: int = 28) -> Path:
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for stem, count, side in (("train", 20, 28), ("t10k", 10, test_side)):
        images = rng.integers(0, 256, (count, side, side), dtype=np.uint8)
        contents = {
            f"{stem}-images-idx3-ubyte": struct.pack(">4B3I", 0, 0, 8, 3, *images.shape) + images.tobytes(),
            f"{stem}-labels-idx1-ubyte": struct.pack(">4BI", 0, 0, 8, 1, count) + bytes(i % 10 for i in range(count)),
        }
        for name, content in contents.items():
            (folder / f"{name}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return folder


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_from_data_dir(tmp_path, suffix):
    image_set = load_image_set("fashion-mnist", data_dir=write(tmp_path / "here", suffix=suffix))
    assert image_set.name == "fashion-mnist"
    assert image_set.class_names[0] == "T-shirt/top"
    assert image_set.class_names[9] == "Ankle boot"
    assert {name: split.images.shape for name, split in image_set.splits.items()} == {
        "train": (20, 28, 28, 1),
        "test": (10, 28, 28, 1),
    }


def test_from_debians_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", write(tmp_path / "debian"))
    assert len(load_image_set("fashion-mnist").splits["train"]) == 20


def test_missing_files_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(fashion_mnist, "DEBIAN_FOLDER", tmp_path / "nothing")
    with pytest.raises(DataError) as caught:
        load_image_set("fashion-mnist")
    message = str(caught.value)
    assert "sudo apt install dataset-fashion-mnist" in message
    assert "--data-dir DIR" in message
    for name in (
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ):
        assert name in message


def test_a_data_dir_without_one_file_names_it(tmp_path):
    folder = write(tmp_path / "here")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"missing: t10k-labels-idx1-ubyte\.gz\)"):
        load_image_set("fashion-mnist", data_dir=folder)


def test_sizes_that_differ_between_the_splits(tmp_path):
    with pytest.raises(DataError, match="differ in size"):
        load_image_set("fashion-mnist", data_dir=write(tmp_path / "here", test_side=14))


@pytest.mark.skipif(not fashion_mnist.DEBIAN_FOLDER.is_dir(), reason="Debian's package dataset-fashion-mnist is absent")
def test_the_published_set():
    image_set = load_image_set("fashion-mnist")
    train, test = image_set.splits["train"], image_set.splits["test"]
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    # The mean and standard deviation that everyone normalizes with.
    assert train.images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert train.images.std() / 255 == pytest.approx(0.3530, abs=1e-4)
