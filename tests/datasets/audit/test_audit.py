"""Everything that an audit says of a set."""

from __future__ import annotations

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.datasets.audit import audit_image_set
from stepladder.datasets.audit.audit import count_images, judge_balance, measure_colors


def test_everything_is_looked_at(photographs):
    images = photographs.copy()
    images[3] = images[10]
    images[4] = 77
    labels = np.arange(len(images), dtype=np.int64) % 2
    splits = {"train": Split(images[:60], labels[:60]), "test": Split(images[60:], labels[60:])}
    steps: list[str] = []
    audit = audit_image_set(ImageSet("made", ("a", "b"), splits), (("x.png", "empty"),), on_step=steps.append)
    assert audit.counts == {"train": (30, 30), "test": (len(images) // 2 - 30 + 1, len(images) // 2 - 30)}
    assert audit.constant == (("train", 4),)
    assert audit.damaged == (("x.png", "empty"),)
    assert [(copies.first, copies.second) for copies in audit.copies] == [
        ("train", "train"),
        ("train", "test"),
        ("test", "test"),
    ]
    assert audit.copies[0].exact.tolist() == [[3, 10]]
    assert [len(copies.exact) for copies in audit.copies[1:]] == [0, 0]
    assert repr(audit) == (
        f"ImageAudit('made', {len(images)} images, 2 classes, 1 damaged, 1 of one color, no copies across splits, "
        f"mirror: {audit.mirror.answer})"
    )
    assert repr(audit.copies[0]) == "Copies('train', 'train': 1 exact, 0 near)"
    assert steps == ["Counting", "Looking for copies", "Looking in the mirror"]


def test_test_pixels_change_neither_colors_nor_mirror(photographs):
    labels = np.arange(len(photographs), dtype=np.int64) % 2
    train, test = Split(photographs[:60], labels[:60]), Split(photographs[60:], labels[60:])
    inverted = Split(255 - test.images, test.labels)
    one, other = (
        audit_image_set(ImageSet("made", ("a", "b"), {"train": train, "test": split})) for split in (test, inverted)
    )
    assert (one.mean, one.std, one.mirror) == (other.mean, other.std, other.mirror)


def test_colors_are_those_of_numpy():
    images = np.random.default_rng(0).integers(0, 256, (50, 6, 5, 3), dtype=np.uint8)
    mean, std = measure_colors(Split(images, np.zeros(50, np.int64)))
    assert mean == pytest.approx((images / 255).mean(axis=(0, 1, 2)))
    assert std == pytest.approx((images / 255).std(axis=(0, 1, 2)))


def test_counts_hold_classes_without_an_image():
    split = Split(np.zeros((3, 2, 2, 1), np.uint8), np.array([0, 2, 2]))
    assert count_images({"train": split}, 4) == {"train": (1, 0, 2, 0)}


def test_the_majority_rate_is_what_a_constant_guess_scores_on_test():
    balance = judge_balance({"train": (90, 10), "test": (30, 70)}, ("cat", "dog"))
    assert (balance.largest, balance.smallest, balance.ratio) == ("cat", "dog", 9.0)
    assert (balance.majority_rate, balance.judged_on) == (0.3, "test")
    assert "'cat' has 9.0 times as many training images as 'dog' (90 to 10)" in balance.sentence
    assert "is right for 30.0 % of the test images" in balance.sentence


def test_even_classes_are_called_even():
    splits = load_image_set("digits").splits
    balance = judge_balance(count_images(splits, 10), tuple("0123456789"))
    assert balance.judged_on == "train"
    assert balance.sentence.startswith("Classes are about even. Always naming one class, '3', is right for 10.2 %")
