"""How fast is the training loop, against a plain PyTorch loop and against the machine's own matrix product?

As a script, ``python -m stepladder.bench.engine``, it is one of the processes that train at the same time.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from statistics import median
from time import perf_counter
from types import TracebackType

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.datasets import ImageSet, Split
from stepladder.network import trace_network
from stepladder.network.spec import BatchNorm, Dropout
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies.design.rungs import Rung
from stepladder.studies.prepare import settle_compute
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.interpreter import python_command
from stepladder.training.arithmetic import Arithmetic
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute, available_cores, choose_compute, threads_for
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainingCallbacks, train_network

#: Of the images that are trained on.
SIZE, CHANNELS, CLASSES = 32, 3, 10

_STEPS = 20
#: Rows and columns of the matrices.
_MATRIX = 2048
#: Matrix products in one measurement: about as long as twenty training steps.
_PRODUCTS = 20


@dataclass(frozen=True)
class EngineSpeed:
    """Figures of one run, one entry a round; each round measures all, so that drift of the machine hits all alike.

    Attributes:
        rung: of the reference ladder; it says which techniques are on.
        plain: training images a second of a plain PyTorch loop with the rung's network: float32, NCHW, ReLU before
            pooling, standardized beforehand, no augmentation.
        alone: the same of Stepladder's loop with every technique of the rung on, one trial on all cores.
        stepladder: of a trial a core at the same time, together: as a study runs them. On a GPU, of one trial.
        trials_at_a_time: how many trials that are.
        matrix_products: FLOP a second of a 2048² matrix product, by precision; see :func:`matrix_rates`.
        flop_an_image: of one training step, an image: forward, weight gradients, input gradients but the first layer's.
    """

    rung: str
    plain: list[float]
    alone: list[float]
    stepladder: list[float]
    trials_at_a_time: int
    matrix_products: dict[str, list[float]]
    flop_an_image: float
    recipe: Recipe
    compute: Compute

    @property
    def ratios(self) -> list[float]:
        """Stepladder's rate over the plain loop's, round by round."""
        return [ours / plain for ours, plain in zip(self.stepladder, self.plain, strict=True)]

    @property
    def shares(self) -> list[float]:
        """Stepladder's useful FLOP a second over those of the faster matrix product, round by round."""
        best = map(max, zip(*self.matrix_products.values(), strict=True))
        return [rate * self.flop_an_image / peak for rate, peak in zip(self.stepladder, best, strict=True)]


def settle_engine(recipe: Recipe, device: str = "auto", precision: str = "auto") -> tuple[Compute, Arithmetic]:
    """Return in which arithmetic a study of ``recipe`` would train on such images here, and how that came about.

    Raises:
        RecipeError: see :func:`stepladder.training.device.choose_compute`.
    """
    names = tuple(map(str, range(CLASSES)))
    images = ImageSet("random", names, {"train": random_images(recipe.batch_size)})
    return settle_compute(images, recipe, Execution(device=device, precision=precision))


def measure_engine(
    rung: Rung, compute: Compute, rounds: int = 9, on_round: Callable[[], None] | None = None
) -> EngineSpeed:
    """Measure all rates on random 32×32 color images; the pixels do not change the speed.

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
    products: list[dict[str, float]] = []

    def measure_peers(record: EpochRecord) -> None:
        """Between two epochs of one trial, measure the others."""
        if record.images_per_second is None:
            return
        alone.append(record.images_per_second)
        together.append(record.images_per_second if processes is None else processes.train_epoch())
        plain.append(plain_epoch())
        products.append(matrix_rates(compute))
        if on_round:
            on_round()

    images = TrainingData(train, train.take(np.arange(CLASSES)), CLASSES)
    on_cpu = compute.device.type == "cpu"
    with OneThreadProcesses(recipe, compute, len(train)) if on_cpu else nullcontext() as processes:
        train_network(recipe, images, 0, compute, TrainingCallbacks(on_epoch=measure_peers))
        count = 1 if processes is None else len(processes)
    return EngineSpeed(
        rung=rung.name,
        plain=plain[1:],
        alone=alone[1:],
        stepladder=together[1:],
        trials_at_a_time=count,
        matrix_products={one: [found[one] for found in products[1:]] for one in products[0]},
        flop_an_image=flop_an_image(recipe),
        recipe=recipe,
        compute=compute,
    )


def summarize_rates(values: list[float]) -> tuple[float, float, float]:
    """Return (median, minimum, maximum)."""
    return median(values), min(values), max(values)


def random_images(count: int) -> Split:
    """Return ``count`` 32×32 color images of noise in ten classes; the pixels do not change the speed."""
    pixels = np.random.default_rng(0)
    images = pixels.integers(0, 256, (count, SIZE, SIZE, CHANNELS), dtype=np.uint8)
    return Split(images, pixels.integers(0, CLASSES, count, dtype=np.int64))


def matrix_rate(compute: Compute, products: int = _PRODUCTS) -> float:
    """Return the FLOP a second of a 2048² matrix product in the precision used, on all cores or the device.

    Args:
        products: after one that warms up.
    """
    dtype = torch.bfloat16 if compute.precision == "bfloat16" else torch.float32
    one, other = (torch.randn(_MATRIX, _MATRIX, device=compute.device).to(dtype) for _ in range(2))
    # A small network that was trained before has left torch with one thread.
    with threads_for(_MATRIX**3, compute.threads):
        _wait_for(one @ other)
        started = perf_counter()
        for _ in range(products):
            product = one @ other
        _wait_for(product)
        return products * 2 * _MATRIX**3 / (perf_counter() - started)


def matrix_rates(compute: Compute, products: int = _PRODUCTS) -> dict[str, float]:
    """Return :func:`matrix_rate` by precision: of float32, and of bfloat16 where the device multiplies it natively.

    Without instructions for bfloat16 one product takes a minute.
    """
    native = choose_compute(compute.device.type).precision == "bfloat16"
    precisions = ("float32", "bfloat16") if native else ("float32",)
    return {one: matrix_rate(replace(compute, precision=one), products) for one in precisions}


def flop_an_image(recipe: Recipe, num_classes: int = CLASSES) -> float:
    """Return the FLOP of a training step, an image of 32×32 in color.

    Forward, weight gradients, input gradients but the first layer's; layers that multiply, no others.
    """
    costs = [cost for cost in trace_network(recipe.network, (CHANNELS, SIZE, SIZE), num_classes) if cost.macs]
    # Two FLOP a multiply-accumulate; forward, weight and input gradient cost the same; images need no gradient.
    return 2 * (3 * sum(cost.macs for cost in costs) - costs[0].macs)


def _wait_for(result: Tensor) -> None:
    """Reading one number makes an asynchronous device finish."""
    result[0, 0].item()


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


class OneThreadProcesses:
    """The training loop as a study runs it: a process for each core, one thread each, all at the same time.

    Each process trains an epoch of random images when it is told to, and answers with its rate.

    Args:
        recipe: with one epoch for each call of :meth:`train_epoch`, and one more to warm up.
        images: of an epoch.
    """

    def __init__(self, recipe: Recipe, compute: Compute, images: int) -> None:
        order = {"recipe": recipe.to_table(), "images": images, "precision": compute.precision}
        self._processes = [
            subprocess.Popen(
                python_command("-m", "stepladder.bench.engine"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(available_cores())
        ]
        self._tell(json.dumps(order))

    def __len__(self) -> int:
        return len(self._processes)

    def __enter__(self) -> OneThreadProcesses:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def train_epoch(self) -> float:
        """Let all processes train an epoch at the same time; return their training images a second, summed."""
        self._tell("go")
        rates = []
        for process in self._processes:
            assert process.stdout is not None
            rates.append(float(process.stdout.readline()))
        return sum(rates)

    def _tell(self, line: str) -> None:
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()


def main() -> None:
    """Be one of the processes."""
    order = json.loads(sys.stdin.readline())
    train = random_images(order["images"])

    def answer(record: EpochRecord) -> None:
        """Say the rate of the epoch that has ended, and wait until the next is asked for."""
        if record.images_per_second is not None:
            print(record.images_per_second, flush=True)
        if not sys.stdin.readline():
            sys.exit()

    compute = Compute(torch.device("cpu"), order["precision"], threads=1)
    images = TrainingData(train, train.take(np.arange(CLASSES)), CLASSES)
    with suppress(BrokenPipeError, KeyboardInterrupt):
        train_network(parse_recipe(order["recipe"]), images, 0, compute, TrainingCallbacks(on_epoch=answer))


if __name__ == "__main__":
    main()
