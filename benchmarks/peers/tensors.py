"""Peer: plain PyTorch with all images in memory as one float32 tensor; batches are cropped and flipped at once.

What a careful person writes without a framework: float32, NCHW, the defaults of PyTorch. Called as notebook.py is.
"""

import json
import platform
import sys
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

_PADDING = 4


def load(folder: Path, split: str) -> tuple[Tensor, Tensor]:
    """Return images as float32 (N, 3, H, W) from 0 to 1, and labels, int64 (N,)."""
    images = torch.from_numpy(np.load(folder / f"{split}_images.npy"))
    labels = torch.from_numpy(np.load(folder / f"{split}_labels.npy"))
    return images.permute(0, 3, 1, 2).contiguous().float().div_(255), labels


def augment(images: Tensor) -> Tensor:
    """Crop each image at a random place of its padded self, and mirror half of them."""
    count, _, height, width = images.shape
    padded = F.pad(images, (_PADDING,) * 4)
    top, left = torch.randint(0, 2 * _PADDING + 1, (2, count))
    # All windows as a view, then one gather: of five ways to crop a batch the fastest here, 0.7 ms.
    cropped = padded.unfold(2, height, 1).unfold(3, width, 1)[torch.arange(count), :, top, left]
    mirrored = torch.rand(count) < 0.5
    cropped[mirrored] = cropped[mirrored].flip(3)
    return cropped


def make_network(classes: int) -> nn.Sequential:
    """Three convolutions of 5×5 and a hidden layer, for 32×32 color images."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 4 * 4, 1000), nn.ReLU(), nn.Linear(1000, classes)),
    )


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
    if order["threads"]:
        torch.set_num_threads(order["threads"])
    images, labels = load(folder, "train")
    mean, std = (torch.tensor(order[name]).view(1, 3, 1, 1) for name in ("mean", "std"))

    def train(model: nn.Module, positions: Tensor) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=order["lr"])
        model.train()
        running = torch.zeros(())
        for batch in positions.split(order["batch_size"]):
            inputs = augment(images[batch]).sub_(mean).div_(std)
            loss = F.cross_entropy(model(inputs), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            running += loss.detach()

    train(make_network(order["classes"]), torch.randperm(len(labels))[: order["warmup_steps"] * order["batch_size"]])
    model = make_network(order["classes"])
    rates = []
    for _ in range(order["epochs"]):
        print("ready", flush=True)
        sys.stdin.readline()
        started = perf_counter()
        train(model, torch.randperm(len(labels)))
        rates.append(len(labels) / (perf_counter() - started))
    peak = _peak_memory()

    images, labels = load(folder, "val")
    model.eval()
    with torch.inference_mode():
        guesses = torch.cat([model((part - mean) / std).argmax(1) for part in images.split(250)])
    answer = {
        "images_per_second": rates,
        "accuracy": (guesses == labels).float().mean().item(),
        "peak_memory_bytes": peak,
        "weights": sum(weights.numel() for weights in model.parameters()),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
