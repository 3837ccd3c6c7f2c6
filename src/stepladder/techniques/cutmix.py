"""A piece of another image."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.mixup import draw_beta
from stepladder.techniques.pixels import as_images, as_rows, boxes, choose, mix_targets


class Cutmix(Technique):
    """Replace a rectangle of each training image by that of another, and the same share of its target.

    Yun et al. 2019, section 3.1: the rectangle has the image's aspect and 1 − λ of its area, λ from
    Beta(alpha, alpha), around a random pixel and cut off at the rim; what is left of it counts. Each image has a
    rectangle of its own, where the authors' code has one a batch.
    """

    name = "cutmix"
    group = "augmentation"
    summary = "put a rectangle of another training image in, and its share of the target"
    plain = (
        "Paste a rectangle of one training image into another, and share the target by area. The network must "
        "recognize objects by parts, and no part of the image is wasted on a blank."
    )
    papers = (cite("yun2019cutmix", "section 3.1"),)
    differs = (
        "every image has a rectangle of its own, where the authors' code has one a batch; as in that code the "
        "target's share is what is left of the rectangle inside the image"
    )
    caveat = "a strong regularizer: small networks and short budgets under-fit; the piece may not show its class"
    cost = "0.3 ms a batch of 128 color images of 32×32"
    interactions = "after mixup it mixes mixtures; needs a loss that takes shares of classes"
    mixes_targets = True

    alpha: Annotated[float, Field(gt=0, le=100, description="1 takes every share alike, less takes extremes")] = 1.0
    p: Annotated[float, Field(ge=0, le=1, description="probability of a piece in an image")] = 0.5

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Put one rectangle into each image."""
        if self.p == 0:
            return images, targets
        count, channels, height, width = images.shape
        device = images.device
        side = (1 - draw_beta(self.alpha, count, rng)).sqrt()
        chosen = torch.rand(count, generator=rng, device=device) < self.p
        rows, columns = (side * height).round().long() * chosen, (side * width).round().long()
        top = torch.randint(0, height, (count,), generator=rng, device=device) - rows // 2
        left = torch.randint(0, width, (count,), generator=rng, device=device) - columns // 2
        partners = torch.randperm(count, generator=rng, device=device)
        mask = boxes(top, left, rows, columns, images)
        pixels = as_rows(images)
        mixed = choose(mask, pixels.index_select(0, partners), pixels)
        # Of the rectangle itself, not of its mask: counting the mask takes longer than all the rest.
        seen_rows = (top + rows).clamp(max=height) - top.clamp(min=0)
        seen_columns = (left + columns).clamp(max=width) - left.clamp(min=0)
        share = 1 - (seen_rows * seen_columns).float() / (height * width)
        return as_images(mixed, channels), mix_targets(targets, partners, share, self.context.num_classes)
