"""Images are cropped where that loses little, and padded where it would lose more, unless somebody says how."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import DefaultSize, ImageSet, Split, as_image_set, load_image_set
from stepladder.datasets import decode_all as room
from stepladder.datasets.decode import decode_fitted
from stepladder.datasets.shapes import ShapeOptions, Shapes, lost_to_crop


def write(root: Path, sizes: dict[str, list[tuple[int, int]]]) -> Path:
    """Write noise of so many pixels, width and height, by split and class."""
    rng = np.random.default_rng(0)
    for folder, of_folder in sizes.items():
        (root / folder).mkdir(parents=True)
        for number, (width, height) in enumerate(of_folder):
            image = rng.integers(1, 256, (height, width, 3), dtype=np.uint8)
            Image.fromarray(image).save(root / folder / f"{number}.png")
    return root


def classes(*sizes: tuple[int, int]) -> dict[str, list[tuple[int, int]]]:
    return {"a": list(sizes), "b": list(sizes)}


@pytest.mark.parametrize(
    ("sizes", "fit"),
    [
        (classes((100, 200)), "pad"),
        (classes((200, 100)), "pad"),
        (classes((100, 100)), "crop"),
        (classes((90, 100)), "crop"),  # a tenth is not more than a tenth
        (classes((89, 100)), "pad"),
        (classes((100, 120), (100, 100), (101, 101)), "crop"),  # the median counts, whatever the first image has
        (classes((100, 100), (100, 120), (100, 130)), "pad"),
        (classes((20, 40)), "crop"),  # of one size, which is kept
    ],
)
def test_a_crop_that_takes_more_than_a_tenth_of_the_median_image_is_not_made(tmp_path, sizes, fit):
    root = str(write(tmp_path / "set", sizes))
    found, same = load_image_set(root), load_image_set(root, fit=fit)
    assert found.fit == fit
    np.testing.assert_array_equal(found.splits["train"].images, same.splits["train"].images)
    assert found.fingerprint == same.fingerprint
    assert any("so images are padded; say `fit='crop'` to crop" in note for note in found.notes) == (fit == "pad")
    assert not any("so images are padded" in note for note in same.notes)


def test_training_images_alone_decide(tmp_path):
    wide, square = [(200, 100)] * 2, [(100, 100)] * 9
    splits = write(tmp_path / "wide", {"train/a": wide, "train/b": wide, "test/a": square, "test/b": square})
    found = load_image_set(str(splits))
    assert found.fit == "pad"
    content = (splits / "train/a/0.png").read_bytes()
    np.testing.assert_array_equal(found.splits["train"].images[0], decode_fitted(content, 64, 64, fit="pad"))
    square, wide = wide, square
    assert (
        load_image_set(
            str(
                write(
                    tmp_path / "square",
                    {"train/a": [(100, 100)], "train/b": [(100, 100)], "test/a": wide, "test/b": [(300, 100)] * 9},
                )
            )
        ).fit
        == "crop"
    )


def test_first_images_that_let_expect_another_way_are_done_again(tmp_path):
    root = write(tmp_path / "set", classes(*[(40, 80)] * 20, *[(40, 40)] * 25))
    found = load_image_set(str(root), size=8)
    assert found.fit == "crop"
    content = (root / "a" / "0.png").read_bytes()
    np.testing.assert_array_equal(found.splits["train"].images[0], decode_fitted(content, 8, 8, fit="crop"))


@pytest.mark.parametrize(
    ("size", "fit", "told"),
    [
        ((120, 160), "crop", "That takes 25 % of the median image away, as where the network learned; say `fit='pad'`"),
        ((108, 192), "crop", "That takes 44 % of the median image away"),
        ((120, 240), "pad", "A crop would take 50 % of the median image away, so images are padded; say `fit='crop'`"),
    ],
)
def test_at_the_size_of_a_pretrained_network_more_is_cropped_and_said(tmp_path, size, fit, told):
    root = str(write(tmp_path / "set", classes(size)))
    found = load_image_set(root, size=DefaultSize(96, photographs_only=True))
    assert (found.image_shape, found.fit) == ((96, 96, 3), fit)
    assert told in found.notes[-1]
    # Of a size that somebody asked for, or one from scratch, the other rule holds.
    assert load_image_set(root, size=96).fit == load_image_set(root).fit == "pad"
    assert "That takes" not in load_image_set(root, size=96, fit="crop").notes[-1]


def test_one_shorter_side_is_said_once(tmp_path):
    root = str(write(tmp_path / "set", classes((100, 120), (100, 140))))
    assert "Image sizes differ (shorter side 100 pixels): " in load_image_set(root).notes[-1]


@pytest.mark.long
def test_what_was_decided_is_kept_with_the_decoded_images(tmp_path, monkeypatch):
    root = str(write(tmp_path / "set", classes(*[(100, 200)] * 60)))
    first = load_image_set(root)
    monkeypatch.setattr(room, "decode_fitted", lambda *_: pytest.fail("decoded again"))
    again = load_image_set(root)
    assert (again.fit, again.notes, again.fingerprint) == ("pad", first.notes, first.fingerprint)


def test_pixels_of_a_program_follow_the_same_rule():
    x, y = np.full((4, 100, 200), 7, np.uint8), [0, 1, 0, 1]
    found = as_image_set((x, y))
    assert (found.image_shape, found.fit) == ((64, 64, 1), "pad")
    assert not found.splits["train"].images[0, 0].any()
    assert load_image_set((x, y), fit="crop").fit == "crop"
    assert load_image_set((x, y), fit="crop").splits["train"].images.min() == 7


def test_an_image_set_that_was_padded_is_padded_again_unless_a_crop_is_asked_for():
    split = Split(np.full((4, 100, 90, 1), 7, np.uint8), np.array([0, 1, 0, 1]))
    images = ImageSet("made", ("a", "b"), {"train": split}, fit="pad")
    assert load_image_set(images, size=30).fit == "pad"
    assert load_image_set(images, size=30, fit="crop").fit == "crop"
    assert load_image_set(replace(images, fit="crop"), size=30).fit == "crop"


def test_how_much_was_cropped_is_known(tmp_path):
    root = str(write(tmp_path / "set", classes((100, 125), (100, 125), (100, 100))))
    assert load_image_set(root, fit="crop").cropped == pytest.approx(0.2)
    assert load_image_set(root, fit="pad").cropped == 0
    assert load_image_set("digits", limit=2, size=16).cropped == 0


def test_the_share_that_a_crop_takes():
    assert lost_to_crop(np.array([[100, 200, 3]])) == 0.5
    assert lost_to_crop(np.array([[3, 4, 3], [5, 5, 1], [400, 300, 3]])) == 0.25
    assert Shapes.of(np.array([[300, 400, 3]])).cropped((64, 64, 3), ShapeOptions(fit="crop")) == 0.25
