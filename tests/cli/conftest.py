"""Images for commands, and the flag that writes golden files anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits


@pytest.fixture
def folder_of_images(tmp_path: Path) -> Path:
    """Handwritten zeros, ones and twos as PNG files: 12 a class in <class>/<number>.png."""
    digits = load_digits()
    folder = tmp_path / "my images"
    for label, name in enumerate(("zero", "one", "two")):
        (folder / name).mkdir(parents=True)
        for number, image in enumerate(digits.images[digits.target == label][:12]):
            Image.fromarray(np.round(image * 255 / 16).astype(np.uint8)).save(folder / name / f"{number}.png")
    return folder
