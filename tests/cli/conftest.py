"""Images for commands, and the flag that writes golden files anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.pictures import as_dots, rendered


@pytest.fixture(scope="module", autouse=True)
def _quick_reports() -> Iterator[None]:
    """Commands write reports whose pictures are dots, but for tests that want them as users get them."""
    with as_dots():
        yield


@pytest.fixture
def pictures_rendered() -> Iterator[None]:
    """Pictures as users get them."""
    with rendered():
        yield


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
