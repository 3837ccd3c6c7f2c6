"""Random windows of different sizes and shapes, resized to the whole image."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.pixels import uniform, warp


class RandomResizedCrop(Technique):
    """Replace each training image by a random window of it, resized to the image's own size, bilinearly.

    The window has a share of the area between ``smallest`` and 1, and is between 3:4 and 4:3 as wide as high, its
    logarithm uniform (Szegedy et al. 2015, section 6, where the smallest is 0.08). A window that would be wider or
    higher than the image ends at its rim.
    """

    name = "random_resized_crop"
    group = "augmentation"
    summary = "show a random part of each training image, resized to the whole"
    plain = (
        "Cut a random part out of each training image and enlarge it to full size. The network sees the object at "
        "many sizes and places, and learns to recognize parts of it."
    )
    papers = (cite("szegedy2015going", "section 6"),)
    differs = (
        "a window has at least 35 % of the area, not 8 %; the logarithm of the aspect is uniform; a window that "
        "would leave the image ends at its rim"
    )
    caveat = "small windows may lack the object; hurts where size or place tells the class"
    cost = "2 ms a batch of 128 color images of 32×32"
    interactions = "does more of what random_crop, scale and translate do"

    smallest: Annotated[
        float,
        Field(gt=0, le=1, description="share of the area that a window has at least; 1 leaves images as they are"),
    ] = 0.35

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Show each image's own window."""
        if self.smallest == 1:
            return images, targets
        count, (height, width) = len(images), images.shape[2:]
        area = uniform(count, self.smallest, 1, rng)
        ratio = (uniform(count, -1, 1, rng) * math.log(4 / 3)).exp()
        columns, rows = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
        matrices = torch.zeros(count, 2, 3, device=images.device)
        for axis, (share, size) in enumerate(((columns, width), (rows, height))):
            matrices[:, axis, axis] = share
            # The window's middle, from the image's: as far as the window stays within.
            matrices[:, axis, 2] = uniform(count, -0.5, 0.5, rng) * (1 - share) * size
        return warp(images, matrices), targets
