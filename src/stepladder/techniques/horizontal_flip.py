"""Horizontal flips: the mirror image has the same class."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.techniques.base import Technique


class HorizontalFlip(Technique):
    """Mirror each training image, left to right, with probability ``p`` (Krizhevsky et al. 2012, section 4.1)."""

    name = "horizontal_flip"
    group = "augmentation"
    summary = "mirror each training image, left to right, half of the time"
    paper = "Krizhevsky, Sutskever and Hinton, ImageNet Classification with Deep CNNs, 2012, section 4.1"
    caveat = "a mirror image is a lie where left and right carry meaning: letters, digits, road signs"

    p: Annotated[float, Field(ge=0, le=1)] = 0.5

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Mirror a random share ``p`` of the batch."""
        if self.p == 0:
            return images, targets
        mirrored = torch.rand(len(images), generator=rng, device=images.device) < self.p
        positions = mirrored.nonzero().squeeze(1)
        # Only what is mirrored is moved, as rows of memory: twice as fast as mirroring all and choosing.
        rows = images.permute(0, 2, 3, 1)
        flipped = rows.index_copy(0, positions, rows.index_select(0, positions).flip(2))
        return flipped.permute(0, 3, 1, 2), targets
