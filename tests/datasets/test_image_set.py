"""The image set: fingerprint and limit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split
from stepladder.datasets.image_set import MAX_CHOSEN_SIDE
from stepladder.errors import DataError


def test_the_fingerprint_is_of_the_content(make_set):
    first = make_set({"train": [5, 5], "test": [2, 2]})
    assert first.fingerprint == make_set({"train": [5, 5], "test": [2, 2]}).fingerprint
    assert first.fingerprint == replace(first, name="other", notes=("a note",)).fingerprint
    train = first.splits["train"]
    pixel = train.images.copy()
    pixel[3, 2, 1, 0] ^= 1
    label = train.labels.copy()
    label[0] = 1 - label[0]
    for changed in (Split(pixel, train.labels), Split(train.images, label)):
        assert replace(first, splits={**first.splits, "train": changed}).fingerprint != first.fingerprint
    assert replace(first, class_names=("a", "b")).fingerprint != first.fingerprint
    swapped = {"train": first.splits["test"], "test": first.splits["train"]}
    assert replace(first, splits=swapped).fingerprint != first.fingerprint


def test_a_view_has_the_fingerprint_of_its_copy(make_set):
    train = make_set({"train": [5, 5]}).splits["train"]
    view = Split(train.images[::2], train.labels[::2])
    assert view.fingerprint == Split(view.images.copy(), view.labels.copy()).fingerprint


def test_limited_takes_the_first_of_each_class_in_order(make_set):
    full = make_set({"train": [7, 3], "test": [4, 4]})
    limited = full.limited(3)
    for name, split in limited.splits.items():
        labels = full.splits[name].labels
        expected = np.sort(np.concatenate([np.flatnonzero(labels == label)[:3] for label in (0, 1)]))
        np.testing.assert_array_equal(split.images, full.splits[name].images[expected])
        assert np.bincount(split.labels).tolist() == [3, 3]
    with pytest.raises(DataError, match="`limit` is 0"):
        full.limited(0)


def test_shape_and_classes(make_set):
    image_set = make_set({"train": [2, 2, 2]})
    assert image_set.image_shape == (4, 4, 1)
    assert image_set.num_classes == 3


def test_a_split_by_rows_equals_its_copy_and_shares_the_pixels(make_set, monkeypatch):
    train = make_set({"train": [50, 50]}).splits["train"]
    rows = np.random.default_rng(0).permutation(100)[:31].astype(np.int64)
    part = train.take(rows)
    copy = Split(train.images[rows], train.labels[rows])
    assert part.pixels is train.pixels
    np.testing.assert_array_equal(part.images, copy.images)
    assert part.fingerprint == copy.fingerprint
    np.testing.assert_array_equal(part.take(np.arange(3)).images, copy.images[:3])
    monkeypatch.setattr("stepladder.datasets.image_set._CHUNK_PIXELS", 4 * 4 * 7)
    for split in (part, copy):
        chunks = list(split.chunks())
        assert [len(chunk) for chunk in chunks] == [7, 7, 7, 7, 3]
        np.testing.assert_array_equal(np.concatenate(chunks), copy.images)
    assert Split(part.pixels, part.labels, part.rows).fingerprint == copy.fingerprint


def test_its_form_is_short_whatever_the_names_are(make_set):
    images = make_set({"train": [1200, 3], "test": [2, 2]})
    assert repr(images) == "ImageSet('made', train 1,203, test 4 images of 4×4×1, 2 classes: class0, class1)"
    assert repr(images.splits["test"]) == "Split(4 images of 4×4×1, 2 classes)"
    long = replace(images, name="n" * 1000, class_names=tuple(f"{number}{'x' * 500}" for number in range(300)))
    assert len(repr(long)) < 500
    assert "300 classes" in repr(long)


@pytest.mark.parametrize(("original", "photographs"), [(63, False), (64, True)])
def test_images_of_64_pixels_are_photographs_and_small_ones_are_kept_up_to_as_many(original, photographs):
    split = Split(np.zeros((2, 8, 8, 1), np.uint8), np.arange(2, dtype=np.int64))
    assert ImageSet("made", ("a", "b"), {"train": split}, original_side=original).are_photographs is photographs
    assert MAX_CHOSEN_SIDE == 64, "which docs, help and the usual networks say"


def test_names_of_classes_command_no_terminal():
    pixels, labels = np.zeros((2, 4, 4, 1), np.uint8), np.array([0, 1])
    images = ImageSet("evil\x1b[2J", ("cat\x1b[2J", "dog\ud800"), {"train": Split(pixels, labels)})
    assert repr(images).endswith(r"2 classes: cat\x1b[2J, dog\ud800)")
    assert "\x1b" not in str(images)
    assert images.class_names[0] == "cat\x1b[2J"
