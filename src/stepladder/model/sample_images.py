"""Real images that are there wherever Stepladder is: crops of two photographs, to compare two forms of a model on."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from stepladder.model.images import read_pixels


def sample_photographs(shape: tuple[int, int, int], count: int = 64) -> np.ndarray:
    """Return crops of scikit-learn's two photographs as uint8 (count, *shape)."""
    return read_pixels(sample_crops(count), shape)


def sample_crops(count: int) -> list[np.ndarray]:
    """Return squares of 40 pixels and more of scikit-learn's two photographs, a temple and a flower.

    Returns:
        ``count`` arrays uint8 (side, side, 3), the same every time.
    """
    random = np.random.default_rng(0)
    photographs = _photographs()
    crops = []
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        side = int(random.integers(40, min(height, width)))
        top, left = random.integers(0, height - side), random.integers(0, width - side)
        crops.append(photograph[top : top + side, left : left + side])
    return crops


def _photographs() -> list[np.ndarray]:
    """What ``sklearn.datasets.load_sample_images`` gives; importing it takes a second."""
    found = find_spec("sklearn")
    assert found is not None, "scikit-learn is a dependency"
    folder = Path((found.submodule_search_locations or [""])[0], "datasets", "images")
    photographs = []
    for name in ("china.jpg", "flower.jpg"):
        with Image.open(folder / name) as image:
            photographs.append(np.asarray(image))
    return photographs
