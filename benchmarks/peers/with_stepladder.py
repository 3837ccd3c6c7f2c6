"""Stepladder itself, asked as its peers are (see notebook.py); ORDER also has ``recipe`` and ``precision``."""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import torch

from stepladder.datasets import Split
from stepladder.recipe import parse_recipe
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainingCallbacks, train_network


def _peak_memory() -> int | None:
    """Bytes that this process had at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Warm up, train, evaluate, and print."""
    folder, order = Path(sys.argv[1]), json.loads(sys.argv[2])
    recipe = parse_recipe(order["recipe"])
    compute = Compute(torch.device("cpu"), order["precision"], order["threads"])
    train, val = (
        Split(np.load(folder / f"{split}_images.npy"), np.load(folder / f"{split}_labels.npy"))
        for split in ("train", "val")
    )
    first = train.take(np.arange(min(len(train), order["warmup_steps"] * recipe.batch_size)))
    short, seed = recipe.model_copy(update={"epochs": 1}), order["seed"]
    few = TrainingData(first, val.take(np.arange(1)), order["classes"])
    train_network(short, few, seed, compute, rehearsal=True)

    peak = None

    def wait(record: EpochRecord) -> None:
        """Between two epochs; before the first there is a record of the untrained network."""
        nonlocal peak
        if record.epoch < recipe.epochs:
            print("ready", flush=True)
            sys.stdin.readline()
        peak = _peak_memory()

    images = TrainingData(train, val, order["classes"])
    trained = train_network(recipe, images, seed, compute, TrainingCallbacks(on_epoch=wait))
    if trained.failure is not None:
        sys.exit(trained.error or trained.failure)
    answer = {
        "images_per_second": [record.images_per_second for record in trained.history[1:]],
        "accuracy": trained.history[-1].val_accuracy,
        "peak_memory_bytes": peak,
        "weights": sum(weights.numel() for weights in trained.module.parameters()),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
