"""A trial with any technique of the catalogue, stopped within an epoch or at its end, goes on to the same bits.

The technique stands alone, so that what it remembers from step to step cannot hide behind another's; nine of them at
once, and what every single step sees, are in ``tests/training/test_checkpoint.py``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from stepladder.datasets import Split
from stepladder.recipe import Recipe
from stepladder.techniques import TECHNIQUES
from stepladder.training.assembly import TrainingData
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.device import choose_compute
from stepladder.training.loop import TrainedNetwork, TrainingCallbacks, train_network
from stepladder.training.stop import Stop, Stopped

from .settings import SETTINGS, strong_options

CPU = choose_compute("cpu", "float32")
EPOCHS, STEPS = 3, 4  # of 16 images each
#: Steps that are done when the trial stops: within the first epoch, at its end, and within the second.
MOMENTS = {"within an epoch": 2, "at the end of an epoch": STEPS, "within a later epoch": STEPS + 3}


class StopAt(Stop):
    """Wants to stop once so many steps are done, the moment that the loop itself would notice."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def step_done(self, _: int) -> None:
        self.left -= 1
        if self.left == 0:
            self.request("interrupt")


@pytest.fixture(scope="module")
def images() -> dict[bool, Split]:
    """64 images, gray and in color, of classes of unequal size, so that weights of classes matter."""
    random = np.random.default_rng(0)
    labels = np.sort(random.integers(0, 10, 64) ** 2 // 10).astype(np.int64)
    return {color: Split(random.integers(0, 256, (64, 8, 8, 3 if color else 1), np.uint8), labels) for color in (0, 1)}


def kept(trained: TrainedNetwork) -> tuple[dict[str, bytes], list[str]]:
    """All weights and buffers, and the history without its times; as text, in which NaN equals itself."""
    weights = {name: value.numpy().tobytes() for name, value in trained.module.state_dict().items()}
    times = {"seconds": 0.0, "images_per_second": None}
    return weights, [json.dumps({**vars(record), **times}) for record in trained.history]


@pytest.mark.long
@pytest.mark.parametrize("name", TECHNIQUES)
def test_stopped_with_it_alone_a_trial_ends_with_the_bits_of_one_that_never_was(
    name: str, images: dict[bool, Split], tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    split = images[SETTINGS[name].color]
    optimizer = {"name": "sgd", "lr": 0.05, "momentum": 0.9}
    network = "conv3-2 pool2 conv3-2 fc8 fc"
    technique = {"name": name, **strong_options(name, network, split.image_shape[2])}
    listed = [*SETTINGS[name].beside, technique]
    recipe = tiny_recipe(*listed, epochs=EPOCHS, batch_size=16, network=network, optimizer=optimizer)

    def train(folder: Path | None, steps: int = 0) -> tuple[TrainedNetwork, int]:
        """Train until so many steps are done, and return also how many were."""
        stop, done = StopAt(steps), []
        checkpoints = None if folder is None else Checkpoints(folder, {"trial": name}, every_seconds=1e9, stop=stop)

        def step_done(count: int) -> None:
            done.append(count)
            stop.step_done(count)

        trained = train_network(
            recipe, TrainingData(split, split, 10), 0, CPU, TrainingCallbacks(step_done), checkpoints=checkpoints
        )
        return trained, len(done)

    undisturbed, steps = train(None)
    assert steps == EPOCHS * STEPS
    whole = kept(undisturbed)
    assert all(math.isfinite(record.train_loss) for record in undisturbed.history)
    for moment, count in MOMENTS.items():
        folder = tmp_path / moment
        with pytest.raises(Stopped):
            train(folder, count)
        assert f"{count:08d}" in {path.name for path in folder.iterdir()}, moment
        torch.manual_seed(1)  # nothing may come from outside the checkpoint
        resumed, steps = train(folder)
        assert steps == EPOCHS * STEPS - count, "it goes on; it does not begin anew"
        assert kept(resumed) == whole, moment
