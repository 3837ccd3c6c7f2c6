from __future__ import annotations

from time import process_time

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split, load_image_set, make_splits
from stepladder.datasets.audit import check_leaks, leaks
from stepladder.datasets.audit.duplicates import Copies
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
    splits, check = check_leaks(make_splits(leaky, 0), leaky.class_names)
    assert not check.clean
    assert check.shared == 5
    assert check.line == (
        "Leak check: NOT CLEAN: 5 of 30 test images have copies among the training images (16.7 %); add "
        "`drop_leaks=True` to take those out of training. Always guessing the largest class is right for 53.3 %."
    )
    assert "\n" not in check.line
    assert splits.fingerprint == make_splits(leaky, 0).fingerprint
    (note,) = splits.notes
    assert note == (
        "The test is not clean: 5 of 30 test images have copies among the training images (2 exact and 3 near). "
        "These training images can be dropped."
    )


def test_the_training_copies_are_dropped_and_the_test_is_not_touched(leaky):
    before = make_splits(leaky, 0)
    splits, check = check_leaks(before, leaky.class_names, drop_leaks=True)
    assert check.clean
    assert check.dropped == 5
    assert np.array_equal(splits.train.images, before.train.images[5:])
    assert splits.test is before.test
    assert splits.fingerprint != before.fingerprint
    assert splits.notes[-1] == (
        "5 images were taken out of training, as they are copies of validation or test images: 5 training images for "
        "test. No test image was touched."
    )
    assert check.line.startswith(
        "Leak check: 5 images were taken out of training, as they are copies of validation or test images. Always"
    )
    again, second = check_leaks(splits, leaky.class_names, drop_leaks=True)
    assert second.dropped == 0
    assert again.fingerprint == splits.fingerprint
    assert second.line.startswith("Leak check: no test image is among the training images. Always guessing")


def test_what_was_taken_out_is_part_of_the_fingerprint(leaky):
    """As many images of the same splits, but others: other splits, whose trials are not to be mixed up."""
    before = make_splits(leaky, 0)

    def dropped(*positions: int) -> str:
        none = np.empty(0, np.int64)
        copies = Copies("train", "test", *[none] * 5, np.array(positions), none, compared=len(before.test))
        rest, count = leaks._without(before, (leaks._Leak(copies, none, none),), leaky.class_names)
        assert count == len(positions)
        return rest.fingerprint

    assert dropped(0, 2) == dropped(0, 2)
    assert len({dropped(0, 2), dropped(0, 3), dropped(0, 2, 3), before.fingerprint}) == 4


def test_splits_made_here_are_checked_too(photographs):
    twice = np.concatenate([photographs, photographs])
    labels = np.arange(len(twice), dtype=np.int64) % 3
    images = ImageSet("twice", ("a", "b", "c"), {"train": Split(twice, labels)})
    splits, check = check_leaks(make_splits(images, 0.1), images.class_names)
    assert check.shared > 15
    names = " ".join(splits.notes)
    assert "test images have copies among the training images" in names
    assert "validation images have copies among the training images" in names
    rest, _ = check_leaks(make_splits(images, 0.1), images.class_names, drop_leaks=True)
    kept = [{image.tobytes() for image in part.images} for part in (rest.train, rest.validation, rest.test)]
    assert not kept[0] & kept[1]
    assert not kept[0] & kept[2]
    assert not kept[1] & kept[2]


def test_a_class_that_is_all_copies_is_an_error(leaky):
    train = leaky.splits["train"]
    positions = np.concatenate([np.arange(0, 50, 2), [1, 3]])
    images = ImageSet("leaky", leaky.class_names, {**leaky.splits, "train": train.take(positions)})
    with pytest.raises(
        DataError, match="every train image of the class 'odd' is a copy of a held-out one, so `drop_leaks=True`"
    ):
        check_leaks(make_splits(images, 0), images.class_names, drop_leaks=True)


def test_constant_images_and_uneven_classes_are_in_the_line(photographs):
    images = photographs[:60].copy()
    images[7] = 3
    labels = np.repeat(np.arange(2, dtype=np.int64), [50, 10])
    made = ImageSet("made", ("many", "few"), {"train": Split(images, labels)})
    _, check = check_leaks(make_splits(made, 0), made.class_names)
    assert "The largest class has 5.0 times as many training images as the smallest." in check.line
    assert check.line.endswith("1 image has one color everywhere.")


def test_digits_are_checked_in_half_a_second():
    images = load_image_set("digits")
    splits = make_splits(images)
    check_leaks(splits, images.class_names)
    started = process_time()  # not the time that other programs take
    _, check = check_leaks(splits, images.class_names)
    # Measured 0.1 s; twenty times that still shows what a slow search would cost.
    assert process_time() - started < 2
    assert check.shared == 0


def test_copies_that_leave_the_test_clean_are_said_too(photographs):
    labels = np.arange(len(photographs), dtype=np.int64) % 2
    clean = "Leak check: no test image is among the training images; some "
    for name, train, validation, test, words in (
        ("in train", slice(0, 20), slice(10, 30), slice(30, 40), "validation images have copies there. Always"),
        ("in validation", slice(0, 20), slice(20, 30), slice(26, 40), "test images have copies among the validation"),
    ):
        parts = {"train": train, "validation": validation, "test": test}
        splits = {split: Split(photographs[rows], labels[rows]) for split, rows in parts.items()}
        made = ImageSet(name, ("even", "odd"), splits)
        _, check = check_leaks(make_splits(made, 0.1), made.class_names)
        assert not check.clean
        assert check.shared == 0
        assert check.line.startswith(clean + words)
