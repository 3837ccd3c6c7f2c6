"""What tests in several folders share."""

from __future__ import annotations

import os

# One thread: on images this small two are no faster, and beside another busy process they can be twenty times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable

import numpy as np
import pytest

from stepladder.data import ImageSet, Split, load_image_set
from stepladder.recipe import Recipe, parse_recipe


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep decoded images in a folder of this run, here and in the processes that tests start."""
    os.environ["STEPLADDER_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    """Real images, few of them: 30 handwritten digits of each class."""
    return load_image_set("digits", limit=30)


@pytest.fixture(scope="session")
def digits_train(digits: ImageSet) -> Split:
    return digits.splits["train"]


@pytest.fixture(scope="session")
def tiny_recipe() -> Callable[..., Recipe]:
    """Make a recipe of one small convolution and few epochs with the techniques that are named."""

    def make(*techniques: str | dict[str, object], **settings: object) -> Recipe:
        network = {
            "layers": [
                {"name": "conv1", "kind": "conv", "channels": 4, "kernel_size": 3, "padding": 1},
                {"name": "relu1", "kind": "relu"},
                {"name": "pool1", "kind": "max_pool", "kernel_size": 2, "stride": 2},
                {"name": "flatten", "kind": "flatten"},
                {"name": "fc1", "kind": "linear", "features": 16},
                {"name": "relu2", "kind": "relu"},
                {"name": "fc2", "kind": "linear", "features": "classes"},
            ]
        }
        tables = [{"name": entry} if isinstance(entry, str) else entry for entry in techniques]
        table = {"name": "tiny", "network": network, "epochs": 2, "batch_size": 16, "techniques": tables}
        return parse_recipe({**table, **settings})

    return make


@pytest.fixture
def noise() -> Split:
    """40 images of 8×8 color noise in four classes."""
    random = np.random.default_rng(0)
    return Split(random.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), np.arange(40, dtype=np.int64) % 4)
