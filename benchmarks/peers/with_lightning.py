"""Peer: PyTorch Lightning, with the notebook's Dataset and a DataLoader. Called as notebook.py is.

Progress bar, logger, checkpoints and summary are off, which they are not by default: only the training is compared.
"""

import json
import platform
import random
import sys
import warnings
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning
import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

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


class Classifier(lightning.LightningModule):
    """The network with its loss and optimizer."""

    def __init__(self, classes: int, lr: float) -> None:
        super().__init__()
        self.model = make_network(classes)
        self.lr = lr

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the loss of a batch."""
        images, labels = batch
        return F.cross_entropy(self.model(images), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.SGD(self.parameters(), lr=self.lr)


class Times(lightning.Callback):
    """Seconds of each epoch."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.started = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        """The clock starts."""
        self.started = perf_counter()

    def on_train_epoch_end(self, *_: Any) -> None:
        """The clock stops."""
        self.seconds.append(perf_counter() - self.started)


def fit(model: Classifier, batches: DataLoader[tuple[Tensor, int]], times: Times, **limits: Any) -> None:
    """Train ``model``."""
    trainer = lightning.Trainer(
        accelerator="cpu",
        callbacks=[times],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **limits,
    )
    trainer.fit(model, batches)


def _peak_memory() -> int | None:
    """Bytes that this process had at most."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def main() -> None:
    """Warm up, train, evaluate, and print."""
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    folder, order = Path(sys.argv[1]), json.loads(sys.argv[2])
    torch.manual_seed(order["seed"])
    random.seed(order["seed"])
    images = Images(folder, "train", order, augment=True)
    batches = DataLoader(images, batch_size=order["batch_size"], shuffle=True, num_workers=order["workers"])
    warm = Classifier(order["classes"], order["lr"])
    fit(warm, batches, Times(), max_epochs=1, limit_train_batches=min(len(batches), order["warmup_steps"]))

    model, times = Classifier(order["classes"], order["lr"]), Times()
    print("ready", flush=True)
    sys.stdin.readline()
    fit(model, batches, times, max_epochs=order["epochs"])
    peak = _peak_memory()
    model.eval()
    with torch.inference_mode():
        held = DataLoader(Images(folder, "val", order, augment=False), batch_size=250)
        right = torch.cat([(model.model(images).argmax(1) == labels).float() for images, labels in held])
    answer = {
        "images_per_second": [len(images) / seconds for seconds in times.seconds],
        "accuracy": right.mean().item(),
        "peak_memory_bytes": peak,
        "weights": sum(weights.numel() for weights in model.parameters()),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "lightning": lightning.__version__,
            "pillow": PIL.__version__,
        },
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
