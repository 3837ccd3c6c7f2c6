"""Make ``ultralytics/`` and ``timm/`` by the real libraries: two variants of three seeds, of two epochs on tiny images.

Both need a torchvision, which the pinned torch has no build for, so they run in an environment of their own:

    python -m venv /tmp/frameworks
    /tmp/frameworks/bin/pip install torch==2.14.1 torchvision==0.29.1 timm==1.0.31 ultralytics==8.4.190
    /tmp/frameworks/bin/python tests/studies/scores/data/make_ultralytics_and_timm.py

Nothing is downloaded: the images are the digits of scikit-learn, or made here, and the networks begin at random.
timm's ``train.py`` is no part of its package; what it does for its ``summary.csv`` is done here by the same function.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path

os.environ.update(YOLO_OFFLINE="true", WANDB_MODE="disabled")

import numpy as np
import torch
from PIL import Image

HERE = Path(__file__).parent
SEEDS, CLASSES, EPOCHS = 3, 3, 2
IMAGES = {"train": 24, "val": 12, "test": 12}


def images(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return colored squares with noise, uint8 (N, 32, 32, 3), and their labels: a color a class."""
    rng = np.random.default_rng(sorted(IMAGES).index(split))
    labels = np.arange(IMAGES[split]) % CLASSES
    noise = rng.integers(0, 120, (IMAGES[split], 32, 32, 3))
    noise[np.arange(IMAGES[split]), :, :, labels] += 60
    return noise.astype(np.uint8), labels


def make_ultralytics() -> None:
    """Train YOLO classifiers, and keep the ``results.csv`` of each."""
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for split in IMAGES:
            for number, (image, label) in enumerate(zip(*images(split), strict=True)):
                path = data / split / f"class{label}" / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
        for variant, erasing in (("plain", 0.0), ("erasing", 0.4)):
            for seed in range(SEEDS):
                YOLO("yolo11n-cls.yaml").train(
                    data=str(data), epochs=EPOCHS, imgsz=32, batch=8, seed=seed, erasing=erasing, device="cpu",
                    workers=0, plots=False, amp=False, project=folder, name=f"{variant}{seed}", verbose=False,
                )  # fmt: skip
                kept = HERE / "ultralytics" / variant / f"seed{seed}"
                kept.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(Path(folder) / f"{variant}{seed}" / "results.csv", kept / "results.csv")


def make_timm() -> None:
    """Train networks of timm as its ``train.py`` does, and have it write the ``summary.csv`` of each."""
    import timm
    from timm.optim import create_optimizer_v2
    from timm.utils import accuracy
    from timm.utils.summary import update_summary

    tensors = {}
    for split in IMAGES:
        pixels, labels = images(split)
        tensors[split] = torch.tensor(pixels).permute(0, 3, 1, 2).float() / 255, torch.tensor(labels)
    for variant, rate in (("slow", 0.01), ("fast", 0.05)):
        for seed in range(SEEDS):
            torch.manual_seed(seed)
            network = timm.create_model("resnet10t", num_classes=CLASSES)
            optimizer = create_optimizer_v2(network, opt="sgd", lr=rate, momentum=0.9)
            kept = HERE / "timm" / f"{variant}_seed{seed}"
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            for epoch in range(EPOCHS):
                losses = []
                network.train()
                for batch in torch.randperm(IMAGES["train"]).split(8):
                    loss = torch.nn.functional.cross_entropy(
                        network(tensors["train"][0][batch]), tensors["train"][1][batch]
                    )
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                    losses.append(float(loss.detach()))
                network.eval()
                with torch.no_grad():
                    logits = network(tensors["val"][0])
                top1, top2 = accuracy(logits, tensors["val"][1], topk=(1, 2))
                measured = OrderedDict(
                    loss=float(torch.nn.functional.cross_entropy(logits, tensors["val"][1])),
                    top1=float(top1),
                    top5=float(top2),
                )
                update_summary(
                    epoch,
                    OrderedDict(loss=sum(losses) / len(losses)),
                    measured,
                    filename=str(kept / "summary.csv"),
                    lr=rate,
                    write_header=epoch == 0,
                    log_wandb=False,
                )


if __name__ == "__main__":
    make_timm()
    make_ultralytics()
