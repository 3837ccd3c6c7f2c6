from __future__ import annotations

import io

import numpy as np
from PIL import Image

from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.datasets.audit import draw_sheet
from stepladder.datasets.audit.sheet import inner_box


def opened(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


def test_the_sheet_shows_each_class_in_its_row():
    images = np.zeros((40, 8, 8, 3), np.uint8)
    labels = np.arange(40, dtype=np.int64) % 2
    images[labels == 0] = (200, 0, 0)
    images[labels == 1] = (0, 0, 200)
    sheet = opened(draw_sheet(ImageSet("two", ("red", "blue"), {"train": Split(images, labels)})))
    top, bottom = sheet[: len(sheet) // 2], sheet[len(sheet) // 2 :]
    for half, color, other in ((top, (200, 0, 0), (0, 0, 200)), (bottom, (0, 0, 200), (200, 0, 0))):
        # Twelve pictures of 64 × 64 pixels.
        assert (half == color).all(axis=2).sum() == 12 * 64 * 64
        assert not (half == other).all(axis=2).any()


def test_the_same_set_gives_the_same_bytes():
    images = load_image_set("digits", limit=20)
    assert draw_sheet(images) == draw_sheet(images)


def test_a_thousand_classes_still_open():
    labels = np.arange(1000, dtype=np.int64)
    images = ImageSet(
        "many", tuple(f"class {n}" for n in labels), {"train": Split(np.zeros((1000, 4, 4, 1), np.uint8), labels)}
    )
    assert opened(draw_sheet(images)).shape[0] < 8000


def test_any_name_and_shape_is_drawn():
    names = ("кошка 猫 \u202e\n", "x" * 200)
    for height, width in ((1, 1), (40, 8), (300, 200)):
        split = Split(np.full((2, height, width, 3), 9, np.uint8), np.arange(2, dtype=np.int64))
        assert opened(draw_sheet(ImageSet("odd", names, {"train": split}))).ndim == 3


FRAME = (224, 122, 0)


def wide_set(tmp_path, fit):
    for name in ("a", "b"):
        (tmp_path / name).mkdir(exist_ok=True)
        for number in range(2):
            Image.fromarray(np.full((100, 200, 3), (0, 0, 200), np.uint8)).save(tmp_path / name / f"{number}.png")
    return load_image_set(str(tmp_path), fit=fit)


def test_of_padded_images_the_sheet_frames_the_image(tmp_path):
    sheet = opened(draw_sheet(wide_set(tmp_path, "pad")))
    frames = (sheet == FRAME).all(axis=2)
    # Four pictures of 64 × 32 of an image, with black above and below them.
    assert frames.sum() == 4 * (64 * 32 - 60 * 28)
    assert (sheet == (0, 0, 200)).all(axis=2).sum() == 4 * 60 * 28
    assert (sheet == 0).all(axis=2).sum() == 4 * 64 * 32


def test_of_cropped_images_the_sheet_shows_what_the_crop_takes_away_and_frames_what_it_keeps(tmp_path):
    cropped, padded = wide_set(tmp_path, "crop"), wide_set(tmp_path, "pad")
    assert cropped.cropped == 0.5
    sheet = opened(draw_sheet(cropped, padded))
    assert (sheet == (0, 0, 200)).all(axis=2).sum() == 4 * 28 * 28
    assert (sheet == FRAME).all(axis=2).sum() == 4 * (32 * 32 - 28 * 28)
    dim = (165, 165, 235)  # a third of the blue, on white
    assert (abs(sheet.astype(int) - dim).max(axis=2) <= 1).sum() == 4 * 32 * 32


def test_the_image_within_its_padding_is_found():
    padded = np.zeros((10, 10, 3), np.uint8)
    assert inner_box(padded) == (0, 0, 10, 10)
    padded[3:7] = 9
    assert inner_box(padded) == (0, 3, 10, 7)
    assert inner_box(padded.transpose(1, 0, 2)) == (3, 0, 7, 10)
    padded[:] = 9
    padded[:, 0] = 0  # on one side alone: the image's own
    assert inner_box(padded) == (0, 0, 10, 10)
