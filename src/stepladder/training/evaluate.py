"""Images into a network, and how well it does: the same way in training, evaluation and prediction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stepladder.data import Split
from stepladder.techniques import Technique
from stepladder.training.device import Compute

#: Pixels of one evaluation batch: 250 images of 32×32, fewer of larger ones. More leave the cache and are slower.
_BATCH_PIXELS = 250 * 32 * 32


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy in nats an image, and the share of images classified rightly."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class DeviceSplit:
    """A split on the device: ``pixels`` uint8 (N, H, W, C), ``labels`` int64 (N,)."""

    pixels: Tensor
    labels: Tensor

    @classmethod
    def load(cls, split: Split, device: torch.device) -> DeviceSplit:
        """Copy ``split`` to ``device``; on the CPU the pixels are shared, not copied."""
        return cls(torch.from_numpy(split.images).to(device), torch.from_numpy(split.labels).to(device))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """All images as (N, C, H, W): a view, channels-last in memory."""
        return self.pixels.permute(0, 3, 1, 2)

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images (B, C, H, W) and labels at ``positions``, copied."""
        # Whole images are rows of the (N, H, W, C) block, so this copies rows; indexing the view is ten times slower.
        return self.pixels.index_select(0, positions).permute(0, 3, 1, 2), self.labels.index_select(0, positions)


def prepare_images(images: Tensor, techniques: Sequence[Technique]) -> Tensor:
    """Turn uint8 images (B, C, H, W) into what the network reads: float32, 0 to 1, as each technique prepares it."""
    prepared = images.float().div_(255)
    for technique in techniques:
        prepared = technique.prepare(prepared)
    return prepared


@torch.inference_mode()
def compute_logits(module: nn.Module, techniques: Sequence[Technique], images: Tensor, compute: Compute) -> Tensor:
    """Return float32 logits (N, classes) of uint8 images (N, C, H, W) in evaluation mode, in batches."""
    was_training = module.training
    module.eval()
    batch_size = max(1, _BATCH_PIXELS // (images.shape[2] * images.shape[3]))
    with compute.autocast():
        logits = [module(prepare_images(batch, techniques)).float() for batch in images.split(batch_size)]
    module.train(was_training)
    return torch.cat(logits)


def evaluate(module: nn.Module, techniques: Sequence[Technique], split: DeviceSplit, compute: Compute) -> Score:
    """Score the network on plain images in evaluation mode."""
    logits = compute_logits(module, techniques, split.images, compute)
    loss = F.cross_entropy(logits.double(), split.labels)
    correct = (logits.argmax(dim=1) == split.labels).sum()
    return Score(loss=float(loss), accuracy=int(correct) / len(split))
