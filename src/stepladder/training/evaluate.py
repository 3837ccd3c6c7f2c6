"""Images into a network, and how well it does: the same way in training, evaluation and prediction."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.datasets import Split
from stepladder.techniques import Technique
from stepladder.training.device import Compute
from stepladder.training.metrics import Measure

#: Pixels of one evaluation batch: on a CPU 250 images of 32×32, fewer of larger ones. More leave the cache and are
#: slower. A GPU would wait for each of so small batches to be launched, kernel after kernel.
_BATCH_PIXELS, _GPU_BATCH_PIXELS = 250 * 32 * 32, 2_000 * 32 * 32


@dataclass(frozen=True)
class Score:
    """How well a network does.

    Attributes:
        loss: mean cross-entropy, in nats an image.
        accuracy: share of the images classified rightly.
        metric: by another metric, where one was asked for.
    """

    loss: float
    accuracy: float
    metric: float | None = None


@dataclass(frozen=True, repr=False)
class ImageBatches:
    """Images in order, some at a time as uint8 (B, C, H, W); can be gone through any number of times.

    Attributes:
        pixels: uint8 (M, H, W, C).
        rows: int64 (N,), which of them and in what order; None for all.
    """

    pixels: Tensor
    rows: Tensor | None = None

    def __repr__(self) -> str:
        return f"ImageBatches({len(self.pixels if self.rows is None else self.rows):,} images)"

    def __iter__(self) -> Iterator[Tensor]:
        most = _BATCH_PIXELS if self.pixels.device.type == "cpu" else _GPU_BATCH_PIXELS
        size = max(1, most // (self.pixels.shape[1] * self.pixels.shape[2]))
        if self.rows is None:
            parts: Iterable[Tensor] = self.pixels.split(size)
        else:
            parts = (self.pixels.index_select(0, rows) for rows in self.rows.split(size))
        for part in parts:
            yield part.permute(0, 3, 1, 2)


class Examples(Protocol):
    """What the loop needs of a split, of images or of what frozen layers make of them."""

    @property
    def labels(self) -> Tensor:
        """Labels, int64 (N,)."""

    def __len__(self) -> int: ...

    @property
    def batches(self) -> Iterable[Tensor]:
        """All of them in order, as evaluation sees them; can be gone through any number of times."""

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return those at ``positions`` (int64 (B,)) as training sees them, and their labels (B,)."""


@dataclass(frozen=True, repr=False)
class DeviceSplit:
    """A split on the device.

    Attributes:
        pixels: uint8 (M, H, W, C).
        labels: int64 (N,).
        rows: int64 (N,), where in ``pixels`` each image is; None where it is all of them, in order.
    """

    pixels: Tensor
    labels: Tensor
    rows: Tensor | None = None

    @classmethod
    def load(cls, split: Split, device: torch.device) -> DeviceSplit:
        """Copy ``split`` to ``device``; on the CPU the pixels are shared, not copied."""
        with warnings.catch_warnings():
            # torch warns of read-only memory, because it cannot promise not to write to it. Nothing here does.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
            labels = torch.from_numpy(split.labels).to(device)
            if device.type != "cpu":
                return cls(torch.from_numpy(split.images).to(device), labels)
            rows = None if split.rows is None else torch.from_numpy(split.rows)
            return cls(torch.from_numpy(split.pixels), labels, rows)

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"DeviceSplit({len(self):,} images on {self.pixels.device})"

    @property
    def batches(self) -> ImageBatches:
        """All images in order."""
        return ImageBatches(self.pixels, self.rows)

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (B, C, H, W) and labels (B,) at ``positions``, copied."""
        chosen = self.select(positions)
        assert chosen.rows is not None
        # Whole images are rows of the (N, H, W, C) block, so this copies rows; indexing a view is ten times slower.
        return self.pixels.index_select(0, chosen.rows).permute(0, 3, 1, 2), chosen.labels

    def select(self, positions: Tensor) -> DeviceSplit:
        """Return the split of the images at ``positions``, without copying pixels."""
        rows = positions if self.rows is None else self.rows.index_select(0, positions)
        return DeviceSplit(self.pixels, self.labels.index_select(0, positions), rows)


def prepare_images(images: Tensor, techniques: Sequence[Technique]) -> Tensor:
    """Turn uint8 images (B, C, H, W) into what the network reads: float32, 0 to 1, as each technique prepares it.

    Features of frozen layers, float32, come as they are: their images were prepared before.
    """
    if images.is_floating_point():
        return images
    prepared = images.float().div_(255)
    for technique in techniques:
        prepared = technique.prepare(prepared)
    return prepared


@torch.inference_mode()
def compute_logits(
    module: nn.Module, techniques: Sequence[Technique], batches: Iterable[Tensor], compute: Compute
) -> Tensor:
    """Return float32 logits (N, classes) of batches of uint8 images (B, C, H, W), in evaluation mode."""
    was_training = module.training
    module.eval()
    with compute.autocast():
        logits = [module(prepare_images(images, techniques)).float() for images in batches]
    module.train(was_training)
    return torch.cat(logits)


def evaluate(
    module: nn.Module,
    techniques: Sequence[Technique],
    split: Examples,
    compute: Compute,
    measure: Measure | None = None,
) -> Score:
    """Score the network on plain images in evaluation mode.

    Args:
        measure: one more figure to work out.
    """
    logits = compute_logits(module, techniques, split.batches, compute)
    loss = F.cross_entropy(logits.double(), split.labels)
    correct = (logits.argmax(dim=1) == split.labels).sum()
    more = None if measure is None else measure(logits.cpu().numpy(), split.labels.cpu().numpy())
    return Score(loss=float(loss), accuracy=int(correct) / len(split), metric=more)
