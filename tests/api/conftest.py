"""One small study, by the library and by the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import stepladder as sl
from stepladder.datasets import ImageSet
from tests.pictures import as_dots

#: Two channels and eight hidden units: a trial takes a tenth of a second.
LINE = "conv3-2 pool2 fc8 fc"


@pytest.fixture(scope="module", autouse=True)
def _quick_reports() -> Iterator[None]:
    """Studies write reports whose pictures are dots."""
    with as_dots():
        yield


@pytest.fixture(scope="session")
def few() -> ImageSet:
    """13 digits of each class."""
    return sl.load_image_set("digits", limit=13)


@pytest.fixture(scope="session")
def tiny() -> sl.RecipeOptions:
    return sl.RecipeOptions("small", network=LINE, settings={"epochs": 1, "batch_size": 16})


@pytest.fixture(scope="session")
def here() -> sl.Execution:
    """Nothing that is measured decides: one process, float32."""
    return sl.Execution(device="cpu", precision="float32", workers=1)


@pytest.fixture
def small_study(tmp_path: Path, few: ImageSet, tiny: sl.RecipeOptions, here: sl.Execution) -> Callable[..., sl.Study]:
    """Run two rungs with two seeds, or what is asked for."""

    def run(**more: Any) -> sl.Study:
        asked: dict[str, Any] = {
            "plan": ["base:", "+standardize:standardize"],
            "seeds": 2,
            "out": tmp_path / "study",
            "execution": here,
            "progress": False,
        }
        return sl.study(few, tiny, **{**asked, **more})

    return run
