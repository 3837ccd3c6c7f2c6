"""Real studies of made images, in which whatever could be confused differs.

Test images are brighter than those that train, so that statistics learned of them would be others; four in ten of their
labels are wrong, so that they would give another temperature than the validation images; the top rung has two dropout
layers, an average of the weights and ``best-val``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split
from stepladder.network import find_network
from stepladder.recipe import Recipe, change_settings, parse_recipe
from stepladder.studies import study as module
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.rules import Rules
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.timing import Estimate
from stepladder.studies.study import run_study

RULES = Rules(validation=0.3, select="best-val")
#: Each of its own factor, so that a study of all subsets has eight rungs.
TECHNIQUES = (
    {"name": "standardize"},
    {"name": "dropout", "p": 0.2, "where": "all"},
    {"name": "ema", "decay": 0.6, "ramp": False},
)


def made_split(count: int, seed: int, brighter: int = 0, wrong: float = 0.0) -> Split:
    """Gray images of 8×8 in three classes: a bar in another row for each, under noise."""
    random = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 3
    pixels = random.integers(0, 150, (count, 8, 8, 1))
    for image, label in zip(pixels, labels, strict=True):
        image[2 * label + 1] += 90
    moved = random.random(count) < wrong
    labels[moved] = (labels[moved] + 1) % 3
    return Split((pixels + brighter).clip(0, 255).astype(np.uint8), labels)


@pytest.fixture(scope="session")
def made_images() -> ImageSet:
    splits = {"train": made_split(120, 1, wrong=0.1), "test": made_split(60, 2, brighter=45, wrong=0.4)}
    return ImageSet("made", ("first", "second", "third"), splits)


@pytest.fixture(scope="session")
def made_recipe() -> Recipe:
    return parse_recipe(
        {
            "name": "made",
            "network": find_network("conv3-3 pool2 fc8 fc").network.model_dump(mode="json"),
            "optimizer": {"name": "sgd", "lr": 0.5},
            "epochs": 5,
            "batch_size": 16,
            "techniques": list(TECHNIQUES),
        }
    )


RunMade = Callable[..., SavedStudy]


@pytest.fixture(scope="session")
def run_made(made_images: ImageSet, made_recipe: Recipe) -> RunMade:
    """Run a study of the made images; nothing is measured for an estimate, which would take longer than the trials."""

    def run(
        out: Path,
        plan: str,
        seeds: int,
        *,
        techniques: tuple[str, ...] = ("standardize", "dropout", "ema"),
        epochs: int = 5,
        callbacks: Callbacks | None = None,
        execution: Execution | None = None,
        **rules: Any,
    ) -> SavedStudy:
        chosen = [setting for setting in made_recipe.techniques if setting.name in techniques]
        recipe = change_settings(made_recipe, {"epochs": str(epochs)}).with_techniques(chosen)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "estimate_seconds", lambda work, *_, **__: Estimate(dict.fromkeys(work, 1.0), {}))
            return run_study(
                made_images,
                make_design(plan, recipe),
                out,
                seeds=seeds,
                rules=Rules(**{"validation": RULES.validation, "select": RULES.select, **rules}),
                execution=execution or Execution("cpu", "float32"),
                callbacks=callbacks,
            )

    return run


@pytest.fixture(scope="module")
def state_of_the_module(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where studies of a module's fixtures note their readings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEPLADDER_STATE", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="module")
def ladder(run_made: RunMade, state_of_the_module: None, tmp_path_factory: pytest.TempPathFactory) -> SavedStudy:
    return run_made(tmp_path_factory.mktemp("studies") / "ladder", "ladder", 3)
