"""Does a technique that is switched on change anything?"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from stepladder.network import Network
from stepladder.techniques.base import Progress, Technique


def techniques_without_effect(
    techniques: Sequence[Technique], network: Network, images: Tensor, targets: Tensor, progress: Progress
) -> list[str]:
    """Return the names of the techniques that change nothing at any hook, tried on one batch.

    A technique that replaces the loss or averages the weights counts as one with effect.

    Args:
        techniques: fitted, in recipe order.
        network: before any rewriting.
        images: uint8 (B, C, H, W), one training batch.
        targets: int64 (B,).
        progress: the first step of the trial; the learning rate is looked at over the whole budget.
    """
    idle = []
    prepared = images.float() / 255
    for technique in techniques:
        rewritten = technique.rewrite(network)
        # A stream of its own, so that looking moves no random number of the trial.
        rng = torch.Generator(images.device).manual_seed(0)
        augmented, mixed = technique.augment(images, targets, rng)
        after = technique.prepare(prepared)
        starts = range(0, progress.steps_per_epoch * progress.epochs, progress.steps_per_epoch)
        factors = (technique.lr_factor(Progress(step, progress.steps_per_epoch, progress.epochs)) for step in starts)
        if not (
            rewritten != network
            or not _same(augmented, images)
            or not _same(mixed, targets)
            or not _same(after, prepared)
            or technique.overrides("loss")
            or technique.overrides("weights")
            or any(factor != 1 for factor in factors)
        ):
            idle.append(technique.name)
        network, prepared = rewritten, after
    return idle


def _same(one: Tensor, other: Tensor) -> bool:
    return one is other or (one.shape == other.shape and one.dtype == other.dtype and bool(torch.equal(one, other)))
