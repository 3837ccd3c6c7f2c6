"""How long trials will take is measured on a few images and counted for all."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split, make_splits
from stepladder.recipe import Recipe
from stepladder.studies.prepare import describe_data
from stepladder.studies.running import estimate
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute, choose_compute
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainingCallbacks

SPEED, EVALUATION = 1000.0, 0.002  # training images a second; seconds to evaluate one


def test_seconds_are_those_of_all_training_and_validation_images(
    tiny_recipe: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []

    def train(
        recipe: Recipe, images: TrainingData, seed: int, compute: Compute, callbacks: TrainingCallbacks, **_: Any
    ) -> Any:
        looked_at.append(len(images.watched))
        seconds = len(images.train) / SPEED + EVALUATION * (len(images.train) + len(images.watched))
        assert callbacks.on_epoch is not None
        for epoch in (1, 2):
            callbacks.on_epoch(EpochRecord(epoch, 0.1, 1.0, 1.0, 0.5, seconds, SPEED))
        return SimpleNamespace(seconds=2 * seconds)

    monkeypatch.setattr(estimate, "train_network", train)
    labels = np.arange(24_000) % 2
    images = ImageSet("dots", ("a", "b"), {"train": Split(np.zeros((24_000, 1, 1, 1), np.uint8), labels)})
    splits = make_splits(images)
    assert splits.validation is not None
    count, watched = len(splits.train), len(splits.validation)
    assert count > 5000  # of which training accuracy is measured on a sample
    assert watched > 1000

    recipe = tiny_recipe(epochs=3)
    data, compute = describe_data(images, splits), choose_compute("cpu", "float32")
    told: list[int] = []

    class Noting(Callbacks):
        def measuring(self, rungs: int) -> None:
            told.append(rungs)

    # A curve's sizes, and a point of a sweep that differs by its rate alone: one measurement serves them all.
    other_rate = recipe.model_copy(update={"optimizer": recipe.optimizer.model_copy(update={"lr": 0.5})})
    sizes = {"all": count, "half": count // 2, "few": 1000}
    work = {name: Work(recipe, images) for name, images in sizes.items()} | {"rate": Work(other_rate, count)}
    found = estimate_seconds(work, splits, data, compute, Noting())

    def expected(images: int) -> float:
        return 3 * (images / SPEED + EVALUATION * (min(5000, images) + watched))

    assert found == pytest.approx({name: expected(images) for name, images in (sizes | {"rate": count}).items()})
    assert looked_at == [1000]
    assert told == [1]
