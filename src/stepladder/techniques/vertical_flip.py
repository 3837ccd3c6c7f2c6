"""Vertical flips: upside down it has the same class."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.horizontal_flip import flip


class VerticalFlip(Technique):
    """Turn each training image upside down, as a mirror image, with probability ``p`` (Shorten, Khoshgoftaar 2019)."""

    name = "vertical_flip"
    group = "augmentation"
    summary = "mirror each training image, top to bottom, half of the time"
    plain = (
        "Show each training image upside down, as a mirror image, half of the time. Where images have no up and "
        "down, as under a microscope, this doubles the training images for free."
    )
    papers = (cite("shorten2019survey", "section Flipping"),)
    caveat = "only for images without an up and down: from above, through a microscope, of textures"
    cost = "0.2 ms a batch of 128 color images of 32×32"
    interactions = "with horizontal_flip also turns by 180 degrees"

    p: Annotated[float, Field(ge=0, le=1, description="probability of mirroring an image")] = 0.5

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror a random share ``p`` of the batch."""
        if self.p == 0:
            return images, targets
        return flip(images, torch.rand(len(images), generator=rng, device=images.device) < self.p, axis=1), targets
