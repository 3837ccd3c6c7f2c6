"""Shots of objects whose class was drawn at random: nothing to learn, and all to remember."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 16


def shots_of(rng: np.random.Generator, shots: int) -> list[np.ndarray]:
    """Return so many shots of one object: other light, noise, and a pixel to any side."""
    object_ = np.kron(rng.integers(30, 226, (4, 4, 3)), np.ones((SIDE // 4, SIDE // 4, 1)))
    images = []
    for _ in range(shots):
        image = object_ * rng.uniform(0.85, 1.15) + rng.normal(0, 12, object_.shape)
        image = np.roll(image, tuple(rng.integers(-1, 2, 2)), (0, 1))
        images.append(np.clip(image, 0, 255).astype(np.uint8))
    return images


def write_objects(root: Path, objects: int = 80, shots: int = 10) -> Path:
    """Write ``<class>/object07_3.png`` and so on, the class of each object drawn from a and b."""
    rng = np.random.default_rng(0)
    for number in range(objects):
        folder = root / "ab"[rng.integers(2)]
        folder.mkdir(parents=True, exist_ok=True)
        for shot, image in enumerate(shots_of(rng, shots)):
            Image.fromarray(image).save(folder / f"object{number:02d}_{shot}.png")
    return root
