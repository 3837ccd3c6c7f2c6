from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stepladder.network import load_preset
from stepladder.techniques import Context, Technique


def stream_of(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise_of(count: int = 16, size: int = 8, channels: int = 3, seed: int = 0) -> Tensor:
    """Random uint8 images (N, C, H, W), channels-last in memory as the training loop has them."""
    pixels = torch.randint(0, 256, (count, size, size, channels), generator=stream_of(seed), dtype=torch.uint8)
    return pixels.permute(0, 3, 1, 2)


@pytest.fixture(scope="session")
def stream() -> Callable[..., torch.Generator]:
    return stream_of


@pytest.fixture(scope="session")
def make_images() -> Callable[..., Tensor]:
    return noise_of


def begun(technique: Technique, images: Tensor | None = None, classes: int = 16, **told: object) -> Technique:
    """Tell a technique of a trial on ``images``, and let it learn from them."""
    shape = (3, 8, 8) if images is None else tuple(images.shape[1:])
    facts = {"network": load_preset("report"), "epochs": 20, "steps_per_epoch": 10, "class_counts": (4,) * classes}
    technique.begin(Context(**{"image_shape": shape, **facts, **told}))
    if images is not None:
        technique.restore(technique.fit([images]), torch.device("cpu"))
    return technique


@pytest.fixture(scope="session")
def begin() -> Callable[..., Technique]:
    return begun
