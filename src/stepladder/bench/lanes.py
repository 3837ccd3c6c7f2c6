"""The training loop as a study runs it: a process a core, one thread each, all at the same time.

Each process trains an epoch of random images whenever it is told to, and says its rate.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import suppress
from types import TracebackType

import numpy as np
import torch

from stepladder.data import Split
from stepladder.recipe import Recipe, parse_recipe
from stepladder.training.device import Compute, available_cores
from stepladder.training.history import EpochRecord
from stepladder.training.loop import Watched, train_network

SIZE, CHANNELS, CLASSES = 32, 3, 10


def random_images(count: int) -> Split:
    """Return ``count`` 32×32 color images of noise in ten classes; the pixels do not change the speed."""
    pixels = np.random.default_rng(0)
    images = pixels.integers(0, 256, (count, SIZE, SIZE, CHANNELS), dtype=np.uint8)
    return Split(images, pixels.integers(0, CLASSES, count, dtype=np.int64))


class Lanes:
    """Processes of one thread, as many as this one may use cores.

    Args:
        recipe: with an epoch for every time that they will be asked, and one more to warm up.
        images: of an epoch.
    """

    def __init__(self, recipe: Recipe, compute: Compute, images: int) -> None:
        order = {"recipe": recipe.to_table(), "images": images, "precision": compute.precision}
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-m", "stepladder.bench.lanes"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(available_cores())
        ]
        self._tell(json.dumps(order))

    def __len__(self) -> int:
        return len(self._processes)

    def __enter__(self) -> Lanes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def epoch(self) -> float:
        """Let all train an epoch at the same time, and return their training images a second together."""
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
    watched = Watched(train.take(np.arange(CLASSES)))
    with suppress(BrokenPipeError, KeyboardInterrupt):
        train_network(parse_recipe(order["recipe"]), train, watched, CLASSES, 0, compute, on_epoch=answer)


if __name__ == "__main__":
    main()
