"""--size and --channels: the same shape from every source, and said."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from stepladder.data import load_image_set
from stepladder.data.decode import decode_image, fit_square, with_channels
from stepladder.errors import DataError


@pytest.fixture
def mixed(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 3, "dog": 2}, size=(20, 12))
    (root / "dog" / "grey.png").write_bytes(encode(mode="L", size=(16, 16), seed=77))
    return root


def test_grey_is_what_pillow_makes():
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(with_channels(image, 1)[:, :, 0], np.asarray(Image.fromarray(image).convert("L")))
    exact = np.rint(image @ np.array([0.299, 0.587, 0.114]))
    assert abs(with_channels(image, 1)[:, :, 0] - exact).max() <= 1
    np.testing.assert_array_equal(with_channels(image, 3), image)
    np.testing.assert_array_equal(with_channels(image[:, :, :1], 3), np.concatenate([image[:, :, :1]] * 3, axis=2))


def test_the_chosen_size_and_channels_are_said(mixed):
    notes = load_image_set(str(mixed)).notes
    assert notes == (
        "Image sizes differ (shorter side 12 to 16 pixels): the shorter side of each was resized to 12 pixels, "
        "antialiased, and the 12×12 center kept (--size N takes another).",
        "1 of 6 images are grey and were given three equal channels (--channels 1 would make all grey).",
    )


@pytest.mark.parametrize("channels", [None, 1, 3])
@pytest.mark.parametrize("size", [None, 6, 12, 30])
def test_encoded_images(mixed, size, channels):
    image_set = load_image_set(str(mixed), size=size, channels=channels)
    images = image_set.splits["train"].images
    side, depth = size or 12, channels or 3
    assert images.shape == (6, side, side, depth)
    first = decode_image((mixed / "cat" / "0000.png").read_bytes())
    np.testing.assert_array_equal(images[0], fit_square(with_channels(first, depth), side))
    said = " ".join(image_set.notes)
    assert f"{side}×{side} center kept" in said
    assert ("were made grey (--channels 1)" in said) == (channels == 1)
    assert ("three equal channels" in said) == (channels != 1)


def test_images_that_have_the_shape_are_not_spoken_of(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    image_set = load_image_set(str(root), size=8, channels=3)
    assert image_set.notes == ()
    np.testing.assert_array_equal(image_set.splits["train"].images, load_image_set(str(root)).splits["train"].images)


def test_images_of_one_size_are_resized_when_asked(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 2}, size=(20, 12))
    note = load_image_set(str(root), size=6, channels=1).notes[0]
    assert note.startswith(
        "The images have 20×12 pixels: the shorter side of each was resized to 6 pixels, antialiased"
    )


def test_images_that_come_as_pixels():
    plain = load_image_set("digits", limit=3)
    image_set = load_image_set("digits", limit=3, size=16, channels=3)
    images = image_set.splits["train"].images
    assert images.shape == (30, 16, 16, 3)
    np.testing.assert_array_equal(images[7], fit_square(with_channels(plain.splits["train"].images[7], 3), 16))
    assert [note.split(" (")[0] for note in image_set.notes[-2:]] == [
        "The images have 8×8 pixels: the shorter side of each was resized to 16 pixels, antialiased, and the 16×16 "
        "center kept",
        "All images are grey and were given three equal channels",
    ]
    assert load_image_set("digits", size=8, channels=1).fingerprint == load_image_set("digits").fingerprint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 0}, "--size is 0; it must be 1 to 1024 pixels"),
        ({"size": 5000}, "--size is 5000; it must be"),
        ({"channels": 2}, r"--channels is 2; it must be 1 \(grey\), 3 \(color\) or auto"),
    ],
)
def test_shapes_that_are_not_allowed(options, words):
    with pytest.raises(DataError, match=words):
        load_image_set("digits", **options)
