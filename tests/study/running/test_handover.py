import os
from pathlib import Path

import numpy as np
import pytest

from stepladder.data import ImageSet, Split, Splits, make_splits
from stepladder.errors import StorageError
from stepladder.study.running.handover import hand_over, take_over


def same(one: Split, other: Split) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


def test_what_is_handed_over_arrives_but_for_the_test_images(digits: ImageSet) -> None:
    splits = make_splits(digits, 0.1)
    with hand_over(splits) as handover:
        found = take_over(handover.document, os.dup(handover.descriptor))
    assert splits.validation is not None
    assert found.validation is not None
    assert same(found.train, splits.train)
    assert same(found.validation, splits.validation)
    assert len(found.test) == 0
    assert (found.fingerprint, found.notes) == (splits.fingerprint, splits.notes)


def test_without_validation_the_watched_test_images_are_handed_over(digits: ImageSet) -> None:
    splits = make_splits(digits, 0)
    with hand_over(splits) as handover:
        found = take_over(handover.document, os.dup(handover.descriptor))
    assert found.validation is None
    assert same(found.test, splits.test)


def test_images_in_a_mapped_file_are_not_copied(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")[10:]  # begins within the file
    train = Split(mapped, np.arange(40, dtype=np.int64) % 2)
    splits = Splits(train, train.take(np.array([3, 1])), train.take(np.array([2])), (), "abc")
    with hand_over(splits) as handover:
        place = handover.document["parts"]["train"]["pixels"]
        assert place["path"].endswith("pixels.npy")
        assert os.fstat(handover.descriptor).st_size < pixels.nbytes
        found = take_over(handover.document, os.dup(handover.descriptor))
    assert same(found.train, train)
    assert found.validation is not None
    assert np.array_equal(found.validation.images, pixels[10:][[3, 1]])


def test_a_cache_without_room_is_named(digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    with (
        pytest.raises(StorageError, match="set STEPLADDER_CACHE to a folder with room, or use --workers 1"),
        hand_over(make_splits(digits, 0.1)),
    ):
        pass
