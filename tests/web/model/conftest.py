from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import stepladder as sl
from stepladder.datasets import load_image_set
from tests.terminal import Terminal
from tests.web.served import Served, served


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of all digits that knows its limits, trained for a second."""
    recipe = sl.RecipeOptions("small", network="conv3-4 pool2 fc16 fc", settings={"epochs": 4, "batch_size": 32})
    here = sl.Execution(device="cpu", precision="float32", workers=1)
    folder = tmp_path_factory.mktemp("shapes")
    sl.train("digits", recipe, out=folder / "digits", execution=here, progress=False)
    return folder / "digits" / "model"


@pytest.fixture(scope="session")
def server(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory, model_folder: Path) -> Iterator[Served]:
    """That model as it is served."""
    with served(terminal, tmp_path_factory.mktemp("server"), "serve", str(model_folder), "--port", "0") as running:
        yield running


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Some digits, as PNG files."""
    return [as_png(image[:, :, 0]) for image in load_image_set("digits").splits["train"].images[:8]]


def as_png(pixels: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def as_base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
