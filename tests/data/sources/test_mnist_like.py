"""MNIST and its kin: from --data-dir, from the cache when the sums are right, or a sentence on how to get them."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace

import numpy as np
import pytest

from stepladder.data import download, load_image_set
from stepladder.data.download import downloads, sha256_of
from stepladder.data.sources import kmnist, mnist
from stepladder.data.sources.mnist_like import STEMS
from stepladder.errors import DataError

MODULES = {"mnist": mnist, "kmnist": kmnist}


def write(folder, prefix=""):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for stem in STEMS:
        count = 20 if stem.startswith("train") else 10
        if "images" in stem:
            values = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        else:
            values = (np.arange(count) % 10).astype(np.uint8)
        content = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()
        (folder / f"{prefix}{stem}.gz").write_bytes(gzip.compress(content))
    return folder


@pytest.mark.parametrize("name", MODULES)
def test_from_data_dir(tmp_path, name):
    image_set = load_image_set(name, data_dir=write(tmp_path / "here"))
    assert image_set.name == name
    assert image_set.class_names[-1] == {"mnist": "9", "kmnist": "wo"}[name]
    assert {split: part.images.shape for split, part in image_set.splits.items()} == {
        "train": (20, 28, 28, 1),
        "test": (10, 28, 28, 1),
    }


@pytest.mark.parametrize("name", MODULES)
def test_from_the_cache_when_the_sums_are_right(monkeypatch, name):
    folder = write(downloads(), f"{name}-")
    with pytest.raises(DataError, match=rf"{name}-train-images-idx3-ubyte\.gz was damaged .* has been removed"):
        load_image_set(name)
    write(downloads(), f"{name}-")
    known = MODULES[name]._SET
    right = tuple(
        replace(file, size=(folder / file.name).stat().st_size, sha256=sha256_of(folder / file.name))
        for file in known.files
    )
    monkeypatch.setattr(MODULES[name], "_SET", replace(known, files=right))
    assert len(load_image_set(name).splits["train"]) == 20
    # With --download too, what is there is taken.
    monkeypatch.setattr(download, "_fetch_into", lambda *_: pytest.fail("fetched what was there"))
    assert len(load_image_set(name, download=True).splits["train"]) == 20


@pytest.mark.parametrize(("name", "size"), [("mnist", 12), ("kmnist", 21)])
def test_absent_says_how_to_get_it(name, size):
    with pytest.raises(
        DataError, match=rf"{name} is not in .*; add --download to fetch it \({size} MB from .*--data-dir DIR"
    ):
        load_image_set(name)


def test_the_sets_share_no_name_in_the_cache():
    from stepladder.data.sources import cifar, fashion_mnist

    files = [file for module in (mnist, kmnist, fashion_mnist) for file in module._SET.files]
    files += [edition.archive for editions in cifar.EDITIONS.values() for edition in editions]
    assert len({file.name for file in files}) == len(files) == 16
    assert len({file.sha256 for file in files}) == len(files)
    assert all(len(file.sha256) == 64 and file.size > 4000 for file in files)
