from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from stepladder.datasets import Split, load_image_set
from stepladder.datasets.audit.duplicates import constant_images, find_candidates, find_copies, make_thumbnails


def pairs(copies) -> set[tuple[int, int]]:
    return {(int(one), int(other)) for one, other in copies.near}


@pytest.mark.long
def test_planted_copies_are_found_and_nothing_else(photographs, split_of, change):
    originals = photographs[::4]
    test = np.stack([change(image) for image in originals])
    (copies,), threshold = find_copies({"train": split_of(photographs), "test": split_of(test)}, [("train", "test")])
    planted = {(4 * number, number) for number in range(len(originals))}
    found = pairs(copies)
    # What JPEG smooths away at quality 50 is all that a blurred petal has.
    assert len(found & planted) >= 0.85 * len(planted)
    assert len(found - planted) <= 0.05 * len(planted)
    assert len(copies.exact) == 0
    assert threshold.texture < 0.9


def test_a_png_of_a_jpeg_is_an_exact_copy(photographs, split_of):
    (copies,), _ = find_copies(
        {"train": split_of(photographs), "test": split_of(photographs[[7, 3]])}, [("train", "test")]
    )
    assert copies.exact.tolist() == [[7, 0], [3, 1]]
    assert len(copies.near) == 0
    assert copies.in_first.tolist() == [3, 7]
    assert copies.in_second.tolist() == [0, 1]


def test_mirror_images_are_marked(photographs, split_of):
    (copies,), _ = find_copies(
        {"train": split_of(photographs), "test": split_of(photographs[:20, :, ::-1])}, [("train", "test")]
    )
    assert copies.mirrored.all()
    assert len(copies.near) >= 19


@pytest.mark.long
def test_copies_inside_a_split(photographs, split_of, change):
    images = np.concatenate([photographs, photographs[:1], change(photographs[5])[None]])
    (copies,), _ = find_copies({"train": split_of(images)}, [("train", "train")])
    count = len(photographs)
    assert copies.exact.tolist() == [[0, count]]
    assert (5, count + 1) in pairs(copies)
    assert {0, 5, count, count + 1} <= set(copies.in_first.tolist()) == set(copies.in_second.tolist())


def test_all_of_several_identical_images_are_named_where_one_has_a_near_copy(photographs, split_of):
    train = np.concatenate([photographs, photographs[3:4], photographs[3:4]])
    near = np.clip(photographs[3:4] * 1.05, 0, 255).astype(np.uint8)
    (copies,), _ = find_copies({"train": split_of(train), "test": split_of(near)}, [("train", "test")])
    assert copies.near.tolist() == [[3, 0]]
    assert copies.in_first.tolist() == [3, len(photographs), len(photographs) + 1]


def test_handwriting_is_alike_by_nature_and_no_copy():
    (copies,), threshold = find_copies(load_image_set("digits").splits, [("train", "train")])
    assert len(copies.near) < 10
    assert threshold.texture > 0.95


def test_copies_among_digits_are_found_where_they_are_closer_than_other_digits(split_of):
    train = load_image_set("digits").splits["train"]
    brighter = np.clip(train.images[:100] * 1.05 + 3, 0, 255).astype(np.uint8)
    (copies,), _ = find_copies({"train": train, "test": split_of(brighter)}, [("train", "test")])
    planted = {(number, number) for number in range(100)}
    assert len(pairs(copies) & planted) >= 90
    assert len(pairs(copies) - planted) < 5


def test_constant_images_are_copies_only_of_their_like(photographs, split_of):
    flat = np.stack([np.full((32, 32, 3), value, np.uint8) for value in (0, 0, 128, 255)])
    images = np.concatenate([flat, photographs[:10]])
    split = split_of(images)
    (copies,), _ = find_copies({"train": split}, [("train", "train")])
    assert constant_images(split).tolist() == [True] * 4 + [False] * 10
    assert copies.exact.tolist() == [[0, 1]]
    assert len(copies.near) == 0


@pytest.mark.long
@pytest.mark.parametrize(("height", "width", "channels"), list(product([1, 7, 8, 33], [1, 9, 40], [1, 3])))
def test_any_size_and_any_count_is_looked_at(height, width, channels):
    random = np.random.default_rng(0)
    for count in (1, 2, 40):
        images = random.integers(0, 256, (count, height, width, channels), dtype=np.uint8)
        (copies,), _ = find_copies({"train": Split(images, np.zeros(count, np.int64))}, [("train", "train")])
        if height * width >= 7:  # single pixels are alike by chance
            assert len(copies.near) == len(copies.exact) == 0


def test_large_images_are_compared_small(split_of):
    rows = np.linspace(0, 9, 200)
    images = np.stack(
        [127 + 100 * np.sin(rows[:, None] * a + 1) * np.cos(rows[None] * b) for a in range(1, 6) for b in range(1, 6)]
    )
    images = images.astype(np.uint8)[..., None]
    shifted = np.stack([moved_by_one(image) for image in images])
    (copies,), _ = find_copies({"train": split_of(images), "test": split_of(shifted)}, [("train", "test")])
    assert {(number, number) for number in range(25)} <= pairs(copies)


def moved_by_one(image: np.ndarray) -> np.ndarray:
    return np.pad(image, ((1, 0), (0, 0), (0, 0)), mode="edge")[:-1]


def test_a_bound_on_the_time_samples_evenly_and_says_so(photographs, split_of):
    splits = {"train": split_of(photographs), "test": split_of(photographs[:40, :, ::-1])}
    (copies,), _ = find_copies(splits, [("train", "test")], most_pairs=len(photographs) * 10)
    assert copies.compared == 10
    assert 8 <= len(copies.near) <= 12


def test_candidates_are_those_of_the_whole_product(photographs, split_of):
    thumbs = make_thumbnails(split_of(photographs))
    i, j, mirrored = find_candidates(thumbs, None, 0.8)
    plain = thumbs.even @ thumbs.even.T + thumbs.odd @ thumbs.odd.T
    turned = thumbs.even @ thumbs.even.T - thumbs.odd @ thumbs.odd.T
    assert np.allclose(np.diag(plain), 1, atol=1e-5)
    flipped = make_thumbnails(split_of(photographs[:, :, ::-1]))
    assert np.allclose(turned, thumbs.even @ flipped.even.T + thumbs.odd @ flipped.odd.T, atol=1e-5)
    expected = {(a, b, False) for a, b in np.argwhere(np.triu(plain, 1) >= 0.8).tolist()}
    expected |= {(a, b, True) for a, b in np.argwhere(np.triu(turned, 1) >= 0.8).tolist()}
    assert set(zip(i.tolist(), j.tolist(), mirrored.tolist(), strict=True)) == expected
