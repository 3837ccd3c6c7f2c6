"""Arrays that a program holds: every accepted form, and one sentence for what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.datasets import ImageSet, Split, as_image_set, load_image_set
from stepladder.datasets.decode import fit_square, with_channels
from stepladder.errors import DataError


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (6, 8, 5, 3), dtype=np.uint8)


Y = np.array([1, 0, 2, 1, 0, 2])


def test_a_pair_is_the_training_images(x):
    images = as_image_set((x, Y))
    assert (images.name, images.class_names, list(images.splits)) == ("arrays", ("0", "1", "2"), ["train"])
    train = images.splits["train"]
    np.testing.assert_array_equal(train.images, x)
    assert train.labels.tolist() == Y.tolist()
    assert train.labels.dtype == np.int64
    assert np.shares_memory(train.pixels, x)


def test_the_fingerprint_is_that_of_the_content(x):
    by_hand = ImageSet("other", ("0", "1", "2"), {"train": Split(x.copy(), Y.astype(np.int64))})
    assert as_image_set((x, Y)).fingerprint == by_hand.fingerprint == as_image_set((x, Y), name="my own").fingerprint


@pytest.mark.parametrize(
    "form",
    [
        lambda x: x,
        lambda x: np.asfortranarray(x),
        lambda x: np.moveaxis(x, 3, 1).copy(),
        lambda x: torch.from_numpy(x),
        lambda x: torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(),
        lambda x: list(x),
        lambda x: x[::-1].copy()[::-1],
    ],
    ids=["as it is", "by column", "channels first", "tensor", "tensor, channels first", "list", "view"],
)
def test_every_order_gives_the_same_set(x, form):
    images = as_image_set((form(x), Y))
    assert images.fingerprint == as_image_set((x, Y)).fingerprint
    assert images.splits["train"].pixels.flags.c_contiguous


def test_gray_images_with_and_without_their_channel(x):
    gray = x[..., 0].copy()
    sets = [as_image_set((form, Y)) for form in (gray, gray[..., None], gray[:, None])]
    assert sets[0].image_shape == (8, 5, 1)
    assert len({images.fingerprint for images in sets}) == 1


@pytest.mark.parametrize(
    ("labels", "names", "positions"),
    [
        (["b", "a", "c", "b", "a", "c"], ("a", "b", "c"), [1, 0, 2, 1, 0, 2]),
        (np.array(["b", "a", "c", "b", "a", "c"]), ("a", "b", "c"), [1, 0, 2, 1, 0, 2]),
        (np.array(["b", "a", "c", "b", "a", "c"], dtype=object), ("a", "b", "c"), [1, 0, 2, 1, 0, 2]),
        (np.array([b"b", b"a", b"c", b"b", b"a", b"c"]), ("a", "b", "c"), [1, 0, 2, 1, 0, 2]),
        (np.array([10, 9, 9, 10, 2, 2], dtype=np.uint8), ("2", "9", "10"), [2, 1, 1, 2, 0, 0]),
        (torch.tensor([1, 0, 2, 1, 0, 2]), ("0", "1", "2"), Y.tolist()),
        (Y[:, None], ("0", "1", "2"), Y.tolist()),
        ([np.int32(1), 0, 2, 1, 0, 2], ("0", "1", "2"), Y.tolist()),
    ],
)
def test_labels_are_numbers_or_texts(x, labels, names, positions):
    images = as_image_set((x, labels))
    assert images.class_names == names
    assert images.splits["train"].labels.tolist() == positions


def test_two_pairs_are_train_and_test(x):
    for data in (((x, Y), (x[:3], Y[:3])), [(x, Y), (x[:3], Y[:3])]):
        images = as_image_set(data)
        assert {name: len(split) for name, split in images.splits.items()} == {"train": 6, "test": 3}
    # A pair of lists is images and labels, not two pairs.
    assert list(as_image_set(([x[0], x[1]], [0, 1])).splits) == ["train"]


def test_a_mapping_names_its_splits(x):
    images = as_image_set({"test": (x[:3], Y[:3]), "Train": (x, Y), "val": [x[3:], Y[3:]]}, name="pets at home")
    assert images.name == "pets-at-home"
    assert {name: len(split) for name, split in images.splits.items()} == {"train": 6, "validation": 3, "test": 3}


def test_classes_are_matched_by_name_between_splits(x):
    images = as_image_set({"train": (x, list("cabcab")), "test": (x[:3], list("bca"))})
    assert images.class_names == ("a", "b", "c")
    assert images.splits["test"].labels.tolist() == [1, 2, 0]
    with pytest.raises(DataError, match="arrays: the test split has the class d, which train does not have"):
        as_image_set({"train": (x, list("cabcab")), "test": (x[:3], list("bcd"))})


def test_an_image_set_is_itself(make_set):
    images = make_set({"train": [3, 3]})
    assert as_image_set(images) is images
    assert load_image_set(images) is images
    assert as_image_set(images, name="new").name == "new"
    assert load_image_set(images, limit=2).fingerprint == images.limited(2).fingerprint


def test_limit_size_and_channels_hold_for_arrays_too(x):
    images = load_image_set((x, Y), limit=1, size=4, fit="crop", channels=1)
    assert images.image_shape == (4, 4, 1)
    np.testing.assert_array_equal(images.splits["train"].images[1], fit_square(with_channels(x[1], 1), 4))
    assert len(images.splits["train"]) == 3
    assert "Limited to the first 1 images of each class" in images.notes[0]


ZEROS = np.zeros((2, 8, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((ZEROS.astype(np.float32), [0, 1]), r"train images are float32; .*numpy\.rint\(255 \* x\)\.astype\('uint8'\)"),
        ((ZEROS.astype(np.int64) + 255, [0, 1]), r"are int64; .*numpy\.rint\(x\)\.astype\('uint8'\)"),
        ((ZEROS - np.float32(2.5), [0, 1]), r"go from -2\.5 to -2\.5: give them as they were before they were norm"),
        ((ZEROS.astype(object), [0, 1]), "are object; images are uint8, 0 to 255, all of one size"),
        (([ZEROS[0], ZEROS[0, :4]], [0, 1]), "the train images are no array"),
        ((ZEROS[0, 0], [0, 1]), r"have the shape 5×3; give \(N, H, W\), \(N, H, W, C\) or \(N, C, H, W\)"),
        ((ZEROS[:0], []), "have the shape 0×8×5×3"),
        ((np.zeros((2, 3, 8, 3), np.uint8), [0, 1]), "whose channels may stand first or last"),
        ((np.zeros((2, 8, 5, 4), np.uint8), [0, 1]), "the channels, first or last, must be 1 or 3"),
        ((ZEROS, [0]), "train has 2 images and 1 labels; give each image one"),
        ((ZEROS, [0.0, 1.0]), r"train labels are float64; .*y\.astype\('int64'\)"),
        ((ZEROS, np.eye(2)), r"have the shape 2×2; .*y\.argmax\(axis=1\)"),
        ((ZEROS, 1), "the train labels have the shape of a single value"),
        ((ZEROS, [None, 1]), "train labels, position 0: the label is None; it must be one whole number or text"),
        ((ZEROS, [" ", "a"]), "a class whose name is blank"),
        (ZEROS, r"the data is an array without labels; give a pair \(x, y\)"),
        ((ZEROS, [0, 1], ZEROS), "the data is a tuple of 3 values; give a pair of arrays"),
        (None, "the data is of the type NoneType; give a pair of arrays"),
        (iter([]), r"the data is a stream \(list_iterator\); .*streaming=False"),
        ({"tset": (ZEROS, [0, 1])}, "there is no split called 'tset'; a mapping's keys are train, training, val"),
        ({"test": (ZEROS, [0, 1])}, "there is no train split, only test; add it"),
        ({}, "there is no train split, only an empty mapping"),
        ({"val": (ZEROS, [0, 1]), "valid": (ZEROS, [0, 1])}, "the validation split is there twice"),
        ({"train": ZEROS}, r"train is an array without labels; give a pair \(x, y\)"),
        ({"train": (ZEROS, [0, 1], 3)}, "train is a tuple of 3 values; it must be a pair"),
        ({"train": "photos"}, "train is of the type str; give a pair of arrays"),
        ({"train": iter([])}, "train is a stream"),
        (((ZEROS, [0, 1]), (ZEROS[:, :4], [0, 1])), "the test images are 4×5×3 and the train images 8×5×3"),
        ((torch.zeros(2, 8, 5, requires_grad=True), [0, 1]), "the train images are no array"),
    ],
)
def test_what_does_not_fit_is_one_sentence(data, words):
    with pytest.raises(DataError, match=words) as caught:
        load_image_set(data)
    assert "\n" not in str(caught.value)


WIDE = np.random.default_rng(1).integers(0, 256, (4, 8, 5), dtype=np.uint8)
MASKS = (WIDE > 127).astype(np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_masks_of_0_and_1_are_black_and_white_whatever_their_type(dtype):
    images = load_image_set((MASKS.astype(dtype), [0, 1, 0, 1]))
    np.testing.assert_array_equal(images.splits["train"].images[..., 0], 255 * MASKS)
    assert "were multiplied by 255" in images.notes[-1]


def test_bytes_are_neither_scaled_nor_copied():
    images = load_image_set((WIDE, [0, 1, 0, 1]))
    assert np.shares_memory(images.splits["train"].pixels, WIDE)
    assert images.notes == ()


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (MASKS, WIDE, r"the train images from 0 to 1 \(uint8\), and the test images from 0 to 255 \(uint8\)"),
        (WIDE, MASKS, r"the test images from 0 to 1 \(uint8\), and the train images from 0 to 255 \(uint8\)"),
        (WIDE, MASKS.astype(np.int64), r"the test images from 0 to 1 \(int64\), and the train images from 0 to 255"),
        (WIDE, MASKS > 0, r"the test images from 0 to 1 \(bool\), and the train images from 0 to 255 \(uint8\)"),
    ],
)
def test_splits_of_different_ranges_are_refused_and_both_named(train, test, words):
    with pytest.raises(DataError, match=f"the splits have different ranges: {words}"):
        load_image_set(((train, [0, 1, 0, 1]), (test, [0, 1, 0, 1])))


def test_a_black_test_split_has_any_range_and_is_said():
    images = load_image_set(((WIDE, [0, 1, 0, 1]), (np.zeros_like(MASKS), [0, 1, 0, 1])))
    assert images.splits["test"].images.max() == 0
    np.testing.assert_array_equal(images.splits["train"].images[..., 0], WIDE)
    assert images.notes[0] == "In the test images there is 0 alone: all of these are black."
