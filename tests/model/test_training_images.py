"""A model knows which images it was trained on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from stepladder.datasets import Split
from stepladder.errors import StorageError
from stepladder.model import training_images
from stepladder.model.training_images import TrainingImages, read_training_images, write_training_images

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (30, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def taken():
    part = Split(PIXELS, np.arange(30) % 3, None, np.arange(30) // 2).take(np.arange(20))
    return TrainingImages.of(part, "blocks", "f" * 64, 4)


def test_those_that_trained_are_told_from_others(taken) -> None:
    assert taken.counts == (7, 7, 6, 0)
    assert taken.groups == 10
    assert taken.among(PIXELS).tolist() == [True] * 20 + [False] * 10
    changed = PIXELS[:1].copy()
    changed[0, 5, 4, 2] ^= 1
    assert not taken.among(changed)[0]


def test_of_a_split_those_that_trained_are_counted(taken) -> None:
    labels = np.arange(30) % 3
    assert taken.count_in(Split(PIXELS[15:], labels[15:])) == 5
    assert taken.count_in(Split(PIXELS[20:], labels[20:])) == 0


def test_what_is_kept_is_read_back_and_damage_is_said(taken, tmp_path) -> None:
    assert read_training_images(tmp_path) is None
    write_training_images(tmp_path, taken)
    read = read_training_images(tmp_path)
    assert read is not None
    assert (read.data, read.fingerprint, read.counts, read.groups) == ("blocks", "f" * 64, (7, 7, 6, 0), 10)
    np.testing.assert_array_equal(read.checks, taken.checks)
    path = tmp_path / "trained-on.json"
    document = json.loads(path.read_text())
    for wrong in ({"version": 2}, {"class_counts": None}, {"crc32": "?"}, {"crc32": "AAA="}, {"groups": "x"}):
        path.write_text(json.dumps(document | wrong))
        with pytest.raises(StorageError, match=r"trained-on\.json is damaged"):
            read_training_images(tmp_path)


def test_of_very_many_images_no_checks_are_kept(monkeypatch) -> None:
    monkeypatch.setattr(training_images, "MOST_IMAGES", 19)
    found = TrainingImages.of(Split(PIXELS[:20], np.arange(20) % 3), "many", "", 3)
    assert found.groups is None
    assert not found.checks.size
    assert found.among(PIXELS) is None
