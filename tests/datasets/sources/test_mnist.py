"""MNIST and its kin: from a folder, Debian's package or the cache, or a sentence that says how to get them."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import Access, download, load_image_set
from stepladder.datasets.download import downloads, sha256_of
from stepladder.datasets.sources import cifar, mnist
from stepladder.datasets.sources.mnist import STEMS
from stepladder.errors import DataError

DEBIAN = mnist.SETS["fashion-mnist"].package[0]


def write(folder: Path, prefix: str = "", *, suffix: str = ".gz", test_side: int = 28) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for stem in STEMS:
        count, side = (20, 28) if stem.startswith("train") else (10, test_side)
        if "images" in stem:
            values = rng.integers(0, 256, (count, side, side), dtype=np.uint8)
        else:
            values = (np.arange(count) % 10).astype(np.uint8)
        content = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
        (folder / f"{prefix}{stem}{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    return folder


def replace_set(monkeypatch, name: str, **changes: object) -> None:
    monkeypatch.setitem(mnist.SETS, name, replace(mnist.SETS[name], **changes))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(("name", "last"), [("mnist", "9"), ("kmnist", "wo"), ("fashion-mnist", "Ankle boot")])
def test_from_a_folder(tmp_path, name, last, suffix):
    folder = write(tmp_path / "here", suffix=suffix)
    image_set = load_image_set(name, access=Access(folder))
    assert image_set.name == name
    assert image_set.class_names[-1] == last
    assert {split: part.images.shape for split, part in image_set.splits.items()} == {
        "train": (20, 28, 28, 1),
        "test": (10, 28, 28, 1),
    }
    assert load_image_set(name, access=Access(str(folder))).fingerprint == image_set.fingerprint


@pytest.mark.parametrize("name", ["mnist", "kmnist"])
def test_from_the_cache_when_the_sums_are_right(monkeypatch, name):
    folder = write(downloads(), f"{name}-")
    with pytest.raises(DataError, match=rf"{name}-train-images-idx3-ubyte\.gz was damaged .* has been removed"):
        load_image_set(name)
    write(downloads(), f"{name}-")
    right = tuple(
        replace(file, size=(folder / file.name).stat().st_size, sha256=sha256_of(folder / file.name))
        for file in mnist.SETS[name].files
    )
    replace_set(monkeypatch, name, files=right)
    assert len(load_image_set(name).splits["train"]) == 20
    # What is there is taken, also where fetching is allowed.
    monkeypatch.setattr(download, "_fetch_into", lambda *_: pytest.fail("fetched what was there"))
    assert len(load_image_set(name, access=Access(download=True)).splits["train"]) == 20


@pytest.mark.parametrize(("name", "size"), [("mnist", 12), ("kmnist", 21)])
def test_absent_says_how_to_get_it(name, size):
    with pytest.raises(
        DataError, match=rf"{name} is not in .*; add `download=True` to fetch it \({size} MB from .*`data_dir`"
    ):
        load_image_set(name)


def test_from_debians_folder(tmp_path, monkeypatch):
    replace_set(monkeypatch, "fashion-mnist", package=(write(tmp_path / "debian"), "sudo apt install it"))
    assert len(load_image_set("fashion-mnist").splits["train"]) == 20


def test_missing_files_say_how_to_get_them(tmp_path, monkeypatch):
    replace_set(monkeypatch, "fashion-mnist", package=(tmp_path / "nothing", "sudo apt install dataset-fashion-mnist"))
    with pytest.raises(DataError) as caught:
        load_image_set("fashion-mnist")
    message = str(caught.value)
    assert "sudo apt install dataset-fashion-mnist" in message
    assert "give `data_dir` as a folder with" in message
    for name in STEMS:
        assert name in message


def test_a_folder_without_one_file_names_it(tmp_path):
    folder = write(tmp_path / "here")
    (folder / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"missing: t10k-labels-idx1-ubyte\.gz\)"):
        load_image_set("fashion-mnist", access=Access(folder))


def test_sizes_that_differ_between_the_splits(tmp_path):
    with pytest.raises(DataError, match="differ in size"):
        load_image_set("fashion-mnist", access=Access(write(tmp_path / "here", test_side=14)))


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's package dataset-fashion-mnist is absent")
def test_the_published_set():
    image_set = load_image_set("fashion-mnist")
    train, test = image_set.splits["train"], image_set.splits["test"]
    assert np.bincount(train.labels).tolist() == [6000] * 10
    assert np.bincount(test.labels).tolist() == [1000] * 10
    # The mean and standard deviation that everyone normalizes with.
    assert train.images.mean() / 255 == pytest.approx(0.2860, abs=1e-4)
    assert train.images.std() / 255 == pytest.approx(0.3530, abs=1e-4)


def test_the_sets_share_no_name_in_the_cache():
    files = [file for idx_set in mnist.SETS.values() for file in idx_set.files]
    files += [edition.archive for editions in cifar.EDITIONS.values() for edition in editions]
    assert len({file.name for file in files}) == len(files) == 16
    assert len({file.sha256 for file in files}) == len(files)
    assert all(len(file.sha256) == 64 and file.size > 4000 for file in files)
