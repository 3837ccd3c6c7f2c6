"""Peer: the usual notebook. A Dataset that crops, flips and normalizes one image at a time, and a DataLoader.

Run as ``notebook.py FOLDER ORDER``. FOLDER has train and val images (uint8, N×H×W×3) and labels as .npy files; ORDER is
a JSON object of ``epochs``, ``warmup_steps``, ``batch_size``, ``lr``, ``mean``, ``std`` (of pixels from 0 to 1),
``classes``, ``seed``, ``threads`` (null for all) and ``workers``. Says "ready" and waits for a line before each epoch;
prints one JSON object at the end.
"""

import json
import platform
import random
import sys
from multiprocessing import active_children
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image, ImageOps
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


def train(model: nn.Module, batches: DataLoader[tuple[Tensor, int]], lr: float) -> int:
    """Train one epoch; return the bytes that the loader's workers had for themselves halfway."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    loss_function = nn.CrossEntropyLoss()
    model.train()
    memory, running = 0, 0.0
    for step, (images, labels) in enumerate(batches):
        optimizer.zero_grad()
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
        if step == len(batches) // 2:
            memory = sum(_private_memory(worker.pid) for worker in active_children())
    return memory


def accuracy(model: nn.Module, batches: DataLoader[tuple[Tensor, int]]) -> float:
    """Share of images classified rightly."""
    model.eval()
    with torch.no_grad():
        right = [(model(images).argmax(1) == labels).float() for images, labels in batches]
    return torch.cat(right).mean().item()


def _private_memory(pid: int | None) -> int:
    """Bytes that no other process shares, or 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))


def _peak_memory() -> int | None:
    """Bytes that this process had at most: the kernel's VmHWM, since getrusage's begins with the parent's memory."""
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
    if order["threads"]:
        torch.set_num_threads(order["threads"])
    size, workers = order["batch_size"], order["workers"]
    images = Images(folder, "train", order, augment=True)
    batches = DataLoader(images, batch_size=size, shuffle=True, num_workers=workers)
    first = Subset(images, range(min(len(images), order["warmup_steps"] * size)))
    train(make_network(order["classes"]), DataLoader(first, batch_size=size, num_workers=workers), order["lr"])

    model = make_network(order["classes"])
    rates, in_workers = [], 0
    for _ in range(order["epochs"]):
        print("ready", flush=True)
        sys.stdin.readline()
        started = perf_counter()
        in_workers = max(in_workers, train(model, batches, order["lr"]))
        rates.append(len(images) / (perf_counter() - started))
    peak = _peak_memory()
    answer = {
        "images_per_second": rates,
        "accuracy": accuracy(model, DataLoader(Images(folder, "val", order, augment=False), batch_size=250)),
        "peak_memory_bytes": None if peak is None else peak + in_workers,
        "weights": sum(weights.numel() for weights in model.parameters()),
        "versions": {"python": platform.python_version(), "torch": torch.__version__, "pillow": PIL.__version__},
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
