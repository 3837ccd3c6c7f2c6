from __future__ import annotations

from time import perf_counter

import numpy as np
import pytest

from stepladder.data import ImageSet, Split, load_image_set, make_splits
from stepladder.data.audit import look_first
from stepladder.errors import DataError


@pytest.fixture
def leaky(photographs) -> ImageSet:
    """Photographs of which five stand in test again, two of them brighter and one mirrored."""
    labels = np.arange(len(photographs), dtype=np.int64) % 2
    test = photographs[50:].copy()
    test_labels = labels[50:]
    copies = photographs[:5].copy()
    copies[:2] = np.clip(copies[:2] * 1.08 + 5, 0, 255)
    copies[2] = copies[2][:, ::-1]
    return ImageSet(
        "leaky",
        ("even", "odd"),
        {
            "train": Split(photographs[:50], labels[:50]),
            "test": Split(np.concatenate([test, copies]), np.concatenate([test_labels, labels[:5]])),
        },
    )


def test_a_shared_test_is_not_called_clean(leaky):
    splits, look = look_first(make_splits(leaky, 0), leaky.class_names)
    assert not look.clean
    assert look.shared == 5
    assert "NOT CLEAN: 5 test images have copies in training, 16.7% (--drop-leaks)" in look.line
    assert "\n" not in look.line
    assert splits.fingerprint == make_splits(leaky, 0).fingerprint
    (note,) = splits.notes
    assert note == (
        "The test is not clean: 5 of 30 test images have copies among the training images (2 exact and 3 near). "
        "--drop-leaks takes the training copies out."
    )


def test_the_training_copies_are_dropped_and_the_test_is_not_touched(leaky):
    before = make_splits(leaky, 0)
    splits, look = look_first(before, leaky.class_names, drop_leaks=True)
    assert look.clean
    assert look.dropped == 5
    assert np.array_equal(splits.train.images, before.train.images[5:])
    assert splits.test is before.test
    assert splits.fingerprint != before.fingerprint
    assert "5 images that are copies of held-out ones were taken out of training (--drop-leaks)" in splits.notes[-1]
    again, second = look_first(splits, leaky.class_names, drop_leaks=True)
    assert second.dropped == 0
    assert again.fingerprint == splits.fingerprint
    assert "no copies of test images in training" in second.line


def test_splits_made_here_are_looked_at_too(photographs):
    twice = np.concatenate([photographs, photographs])
    labels = np.arange(len(twice), dtype=np.int64) % 3
    images = ImageSet("twice", ("a", "b", "c"), {"train": Split(twice, labels)})
    splits, look = look_first(make_splits(images, 0.1), images.class_names)
    assert look.shared > 15
    names = " ".join(splits.notes)
    assert "test images have copies among the training images" in names
    assert "validation images have copies among the training images" in names
    rest, _ = look_first(make_splits(images, 0.1), images.class_names, drop_leaks=True)
    kept = [{image.tobytes() for image in part.images} for part in (rest.train, rest.validation, rest.test)]
    assert not kept[0] & kept[1]
    assert not kept[0] & kept[2]
    assert not kept[1] & kept[2]


def test_a_class_that_is_all_copies_is_an_error(leaky):
    train = leaky.splits["train"]
    positions = np.concatenate([np.arange(0, 50, 2), [1, 3]])
    images = ImageSet("leaky", leaky.class_names, {**leaky.splits, "train": train.take(positions)})
    with pytest.raises(DataError, match="every train image of the class 'odd' is a copy of one that judges"):
        look_first(make_splits(images, 0), images.class_names, drop_leaks=True)


def test_constant_images_and_uneven_classes_are_in_the_line(photographs):
    images = photographs[:60].copy()
    images[7] = 3
    labels = np.repeat(np.arange(2, dtype=np.int64), [50, 10])
    made = ImageSet("made", ("many", "few"), {"train": Split(images, labels)})
    _, look = look_first(make_splits(made, 0), made.class_names)
    assert "classes uneven, 5.0 to 1" in look.line
    assert "1 constant image." in look.line


def test_digits_are_looked_at_in_half_a_second():
    images = load_image_set("digits")
    splits = make_splits(images)
    look_first(splits, images.class_names)
    started = perf_counter()
    _, look = look_first(splits, images.class_names)
    # Measured 0.1 s; ten times that on a busy machine still shows what a slow search would cost.
    assert perf_counter() - started < 2
    assert look.shared == 0
