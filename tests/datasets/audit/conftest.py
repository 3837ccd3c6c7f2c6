"""Real photographs, cut small, and copies of them planted as people make them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from stepladder.datasets import Split


def crops_of_photographs(side: int = 48, to: int = 32) -> np.ndarray:
    """All ``side``-pixel tiles of scikit-learn's two photographs that show something, resized to ``to`` pixels."""
    tiles = []
    for photograph in load_sample_images().images:
        height, width = (length // side * side for length in photograph.shape[:2])
        grid = photograph[:height, :width].reshape(height // side, side, width // side, side, 3)
        tiles += list(grid.transpose(0, 2, 1, 3, 4).reshape(-1, side, side, 3))
    small = np.stack([np.asarray(Image.fromarray(tile).resize((to, to), Image.Resampling.LANCZOS)) for tile in tiles])
    # A piece of clear sky has nothing that would survive JPEG, and nobody could tell it from another.
    steps = np.abs(np.diff(small.astype(np.float32), axis=2)).mean(axis=(1, 2, 3))
    return small[steps > 8]


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image.squeeze()).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).reshape(image.shape)


def moved(image: np.ndarray, down: int, right: int) -> np.ndarray:
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = image.shape[:2]
    return padded[2 - down : 2 - down + height, 2 - right : 2 - right + width]


def brighter(image: np.ndarray) -> np.ndarray:
    return np.clip(image * 1.1 + 10, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "JPEG at quality 50": lambda image: as_jpeg(image, 50),
    "JPEG at quality 90": lambda image: as_jpeg(image, 90),
    "one pixel down": lambda image: moved(image, 1, 0),
    "one pixel up and left": lambda image: moved(image, -1, -1),
    "brighter": brighter,
    "mirrored": lambda image: image[:, ::-1],
    "all at once": lambda image: as_jpeg(brighter(moved(image, 1, 0)), 70),
}


@pytest.fixture(scope="session")
def photographs() -> np.ndarray:
    images = crops_of_photographs()
    assert len(images) > 70
    return images


@pytest.fixture(scope="session")
def split_of() -> Callable[..., Split]:
    def make(images: np.ndarray, classes: int = 2) -> Split:
        return Split(np.ascontiguousarray(images), np.arange(len(images), dtype=np.int64) % classes)

    return make


@pytest.fixture(params=CHANGES.values(), ids=CHANGES.keys())
def change(request: pytest.FixtureRequest) -> Callable[[np.ndarray], np.ndarray]:
    return request.param
