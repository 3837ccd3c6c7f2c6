"""How fast is the training loop, against a plain PyTorch loop and against the machine's own matrix product?"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from stepladder.bench.lanes import CHANNELS, CLASSES, Lanes, random_images
from stepladder.bench.product import flop_an_image, matrix_rate
from stepladder.data import Split
from stepladder.network.spec import BatchNorm, Dropout
from stepladder.recipe import Recipe
from stepladder.study.design.plan import Rung
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord
from stepladder.training.loop import Watched, train_network

_STEPS = 20


@dataclass(frozen=True)
class EngineSpeed:
    """Figures of one run, one entry a round; measured in turn, so that drift of the machine hits all three alike.

    Attributes:
        rung: of the reference ladder; it says which techniques are on.
        plain: training images a second of a plain PyTorch loop with the rung's network: float32, NCHW, ReLU before
            pooling, standardized beforehand, no augmentation.
        alone: the same of Stepladder's loop with every technique of the rung on, one trial on all cores.
        stepladder: of a trial a core at the same time, together: as a study runs them. On a GPU, of one trial.
        lanes: how many trials that are.
        matrix_product: FLOP a second of a 2048² matrix product in the precision used.
        flop_an_image: of one training step, an image: forward, weight gradients, input gradients but the first layer's.
    """

    rung: str
    plain: list[float]
    alone: list[float]
    stepladder: list[float]
    lanes: int
    matrix_product: list[float]
    flop_an_image: float
    recipe: Recipe
    compute: Compute

    @property
    def ratios(self) -> list[float]:
        """Stepladder's rate over the plain loop's, round by round."""
        return [ours / plain for ours, plain in zip(self.stepladder, self.plain, strict=True)]

    @property
    def shares(self) -> list[float]:
        """Stepladder's useful FLOP a second over the matrix product's, round by round."""
        return [
            rate * self.flop_an_image / peak for rate, peak in zip(self.stepladder, self.matrix_product, strict=True)
        ]


def measure_engine(
    rung: Rung, compute: Compute, rounds: int = 9, on_round: Callable[[], None] | None = None
) -> EngineSpeed:
    """Measure the three rates on random 32×32 color images; the pixels do not change the speed.

    Args:
        rung: of the reference ladder.
        rounds: measurements kept, after one that warms up.
        on_round: called after each, the warm-up too.
    """
    recipe = rung.recipe.model_copy(update={"epochs": rounds + 1})
    train = random_images(_STEPS * recipe.batch_size)
    plain_epoch = _plain_loop(train, recipe, compute.device)
    plain: list[float] = []
    alone: list[float] = []
    together: list[float] = []
    products: list[float] = []

    def measure_peers(record: EpochRecord) -> None:
        """Between two epochs of one trial, measure the others."""
        if record.images_per_second is None:
            return
        alone.append(record.images_per_second)
        together.append(record.images_per_second if lanes is None else lanes.epoch())
        plain.append(plain_epoch())
        products.append(matrix_rate(compute))
        if on_round:
            on_round()

    watched = Watched(train.take(np.arange(CLASSES)))
    on_cpu = compute.device.type == "cpu"
    with Lanes(recipe, compute, len(train)) if on_cpu else nullcontext() as lanes:
        train_network(recipe, train, watched, CLASSES, seed=0, compute=compute, on_epoch=measure_peers)
        count = 1 if lanes is None else len(lanes)
    return EngineSpeed(
        rung=rung.name,
        plain=plain[1:],
        alone=alone[1:],
        stepladder=together[1:],
        lanes=count,
        matrix_product=products[1:],
        flop_an_image=flop_an_image(recipe),
        recipe=recipe,
        compute=compute,
    )


def summarize_rates(values: list[float]) -> tuple[float, float, float]:
    """Return (median, minimum, maximum)."""
    return median(values), min(values), max(values)


def _plain_loop(train: Split, recipe: Recipe, device: torch.device) -> Callable[[], float]:
    """Return a function that trains one epoch as a tutorial would and returns its images a second.

    The rung's network, batch size and optimizer; standardized once beforehand and not augmented, which is less work
    than Stepladder does.
    """
    network = recipe.network
    for technique in recipe.make_techniques():
        network = technique.rewrite(network)
    normalized, dropping = (any(isinstance(layer, kind) for layer in network.layers) for kind in (BatchNorm, Dropout))
    images = torch.from_numpy(train.images).permute(0, 3, 1, 2).float().div(255).contiguous().to(device)
    images = (images - images.mean(dim=(0, 2, 3), keepdim=True)) / images.std(dim=(0, 2, 3), keepdim=True)
    labels = torch.from_numpy(train.labels).to(device)
    model = nn.Sequential(
        *_plain_block(CHANNELS, 32, normalized),
        *_plain_block(32, 64, normalized),
        *_plain_block(64, 64, normalized),
        nn.Flatten(),
        nn.Linear(64 * 4 * 4, 1000),
        nn.ReLU(),
        nn.Dropout(0.5 if dropping else 0),
        nn.Linear(1000, CLASSES),
    ).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=recipe.optimizer.lr)

    def epoch() -> float:
        started = perf_counter()
        model.train()
        running = 0.0
        for batch in torch.randperm(len(labels)).to(device).split(recipe.batch_size):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            running += loss.item()
        return len(labels) / (perf_counter() - started)

    return epoch


def _plain_block(channels_in: int, channels_out: int, normalized: bool) -> list[nn.Module]:
    convolution = nn.Conv2d(channels_in, channels_out, kernel_size=5, padding=2)
    norm: list[nn.Module] = [nn.BatchNorm2d(channels_out)] if normalized else []
    return [convolution, *norm, nn.ReLU(), nn.MaxPool2d(2)]
