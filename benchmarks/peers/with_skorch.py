"""Peer: skorch, with the notebook's Dataset. Called as notebook.py is. Its printed table is off, which it is not by
default: only the training is compared.
"""

import json
import platform
import random
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import PIL
import skorch
import torch
from PIL import Image, ImageOps
from skorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

_PADDING = 4


class Images(Dataset[tuple[Tensor, int]]):
    """One image at a time, as float32 (3, H, W)."""

    def __init__(self, folder: Path, split: str, order: dict[str, Any], augment: bool) -> None:
        self.images = np.load(folder / f"{split}_images.npy")
        self.labels = np.load(folder / f"{split}_labels.npy").tolist()
        self.mean = torch.tensor(order["mean"]).view(3, 1, 1)
        self.std = torch.tensor(order["std"]).view(3, 1, 1)
        self.augment = augment

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image = Image.fromarray(self.images[index])
        if self.augment:
            width, height = image.size
            left, top = random.randint(0, 2 * _PADDING), random.randint(0, 2 * _PADDING)
            image = ImageOps.expand(image, _PADDING).crop((left, top, left + width, top + height))
            if random.random() < 0.5:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous().float().div(255)
        return (pixels - self.mean) / self.std, self.labels[index]


def make_network(classes: int) -> nn.Sequential:
    """Three convolutions of 5×5 and a hidden layer, for 32×32 color images."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 4 * 4, 1000), nn.ReLU(), nn.Linear(1000, classes)),
    )


class Times(Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started = 0.0

    def on_epoch_begin(self, *_: Any, **__: Any) -> None:
        """The clock starts."""
        self.started = perf_counter()

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        """The clock stops."""
        self.seconds.append(perf_counter() - self.started)


def fit(images: Dataset[tuple[Tensor, int]], order: dict[str, Any], epochs: int, times: Times) -> nn.Module:
    """Train a new network and return it."""
    net = skorch.NeuralNetClassifier(
        make_network(order["classes"]),
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.SGD,
        lr=order["lr"],
        batch_size=order["batch_size"],
        max_epochs=epochs,
        iterator_train__shuffle=True,
        iterator_train__num_workers=order["workers"],
        train_split=None,
        callbacks=[times],
        verbose=0,
    )
    net.fit(images, y=None)
    module: nn.Module = net.module_
    return module


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
    torch.manual_seed(order["seed"])
    random.seed(order["seed"])
    images = Images(folder, "train", order, augment=True)
    first = Subset(images, range(min(len(images), order["warmup_steps"] * order["batch_size"])))
    fit(first, order, 1, Times())

    times = Times()
    print("ready", flush=True)
    sys.stdin.readline()
    model = fit(images, order, order["epochs"], times)
    peak = _peak_memory()
    model.eval()
    with torch.inference_mode():
        held = DataLoader(Images(folder, "val", order, augment=False), batch_size=250)
        right = torch.cat([(model(images).argmax(1) == labels).float() for images, labels in held])
    answer = {
        "images_per_second": [len(images) / seconds for seconds in times.seconds],
        "accuracy": right.mean().item(),
        "peak_memory_bytes": peak,
        "weights": sum(weights.numel() for weights in model.parameters()),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "skorch": skorch.__version__,
            "pillow": PIL.__version__,
        },
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
