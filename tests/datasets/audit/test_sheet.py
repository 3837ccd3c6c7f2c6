from __future__ import annotations

import io

import numpy as np
from PIL import Image

from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.datasets.audit import draw_sheet


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
