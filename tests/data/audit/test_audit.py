from __future__ import annotations

import numpy as np

from stepladder import audit_image_set
from stepladder.data import ImageSet, Split


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
    assert steps == ["Counting", "Looking for copies", "Looking in the mirror"]


def test_test_pixels_change_neither_colors_nor_mirror(photographs):
    labels = np.arange(len(photographs), dtype=np.int64) % 2
    train, test = Split(photographs[:60], labels[:60]), Split(photographs[60:], labels[60:])
    inverted = Split(255 - test.images, test.labels)
    one, other = (
        audit_image_set(ImageSet("made", ("a", "b"), {"train": train, "test": split})) for split in (test, inverted)
    )
    assert (one.mean, one.std, one.mirror) == (other.mean, other.std, other.mirror)
