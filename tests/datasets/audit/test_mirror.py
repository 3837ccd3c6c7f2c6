from __future__ import annotations

import numpy as np

from stepladder.datasets import Split, load_image_set
from stepladder.datasets.audit.mirror import check_mirror


def test_a_mirror_changes_the_meaning_of_digits():
    images = load_image_set("digits")
    check = check_mirror(images.splits["train"], images.class_names)
    assert check.answer == "changes the meaning"
    answers = {one.name: one.answer for one in check.classes}
    assert {name for name, answer in answers.items() if answer == "safe"} == {"0", "8"}
    assert {"2", "3", "4", "5", "6", "7", "9"} == {
        name for name, one in answers.items() if one == "changes the meaning"
    }
    assert "leave horizontal flips out" in check.sentence
    assert check.plain > 0.95
    assert check.mirrored < 0.5


def scenes(count: int, seed: int = 0) -> Split:
    """Two kinds of picture that face either way: a bright blob above or below, left or right by chance."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:16, :16]
    labels = np.arange(count, dtype=np.int64) % 2
    down, right = 4 + 8 * labels + random.normal(0, 1, count), random.uniform(2, 14, count)
    blobs = np.exp(-((rows - down[:, None, None]) ** 2 + (columns - right[:, None, None]) ** 2) / 12)
    images = 200 * blobs + random.normal(20, 5, blobs.shape)
    return Split(np.clip(images, 0, 255).astype(np.uint8)[..., None], labels)


def test_what_faces_either_way_is_safe():
    check = check_mirror(scenes(400), ("above", "below"))
    assert check.answer == "safe"
    assert [one.answer for one in check.classes] == ["safe", "safe"]
    assert check.sentence.startswith("Safe to flip")


def test_photographs_are_safe(photographs):
    # Two photographs, and both ways round of each, as a collection of them has.
    half = len(photographs) // 2
    images = np.concatenate(
        [photographs[:half], photographs[:half, :, ::-1], photographs[half:], photographs[half:, :, ::-1]]
    )
    labels = np.repeat(np.arange(2, dtype=np.int64), [2 * half, len(images) - 2 * half])
    assert check_mirror(Split(np.ascontiguousarray(images), labels), ("temple", "flower")).answer == "safe"


def test_left_and_right_are_told_apart():
    left = scenes(400)
    facing = Split(np.ascontiguousarray(left.images.transpose(0, 2, 1, 3)), left.labels)
    check = check_mirror(facing, ("left", "right"))
    assert check.answer == "changes the meaning"
    assert check.mirrored < 0.1


def test_noise_gives_no_answer():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (600, 8, 8, 1), dtype=np.uint8)
    check = check_mirror(Split(images, np.arange(600, dtype=np.int64) % 10), tuple("abcdefghij"))
    assert check.answer == "unclear"
    assert "hardly more often of its class" in check.sentence


def test_few_images_do_not_stop_it():
    for count in (1, 2, 3):
        split = Split(np.full((count, 4, 4, 1), 7, np.uint8), np.arange(count, dtype=np.int64) % 2)
        check_mirror(split, ("a", "b"))
    assert check_mirror(split.take(np.array([0])), ("a", "b")).answer == "unclear"


def test_shots_of_one_group_are_no_neighbors():
    # Ten shots of each of forty pictures of noise, their classes drawn at random: a shot looks like the others.
    random = np.random.default_rng(3)
    pictures = random.integers(30, 226, (40, 16, 16, 1)).repeat(10, axis=0)
    shots = np.clip(pictures + random.normal(0, 8, pictures.shape), 0, 255).astype(np.uint8)
    labels, groups = np.repeat(random.permutation(40) % 2, 10).astype(np.int64), np.repeat(np.arange(40), 10)
    assert check_mirror(Split(shots, labels), ("a", "b")).plain == 1
    check = check_mirror(Split(shots, labels, groups=groups), ("a", "b"))
    assert check.answer == "unclear"
    assert 0.3 < check.plain < 0.7
    alone = check_mirror(Split(shots, labels, groups=np.arange(400)), ("a", "b"))
    assert alone == check_mirror(Split(shots, labels), ("a", "b"))
    one = check_mirror(Split(shots, labels, groups=np.zeros(400, dtype=np.int64)), ("a", "b"))
    assert one.sentence == "Too few training images to tell whether a mirror changes them."
