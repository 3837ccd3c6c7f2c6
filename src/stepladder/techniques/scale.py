"""Larger and smaller."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.pixels import uniform, warp


class Scale(Technique):
    """Enlarge or shrink each training image around its center by up to 1 + ``amount``, bilinearly; black comes in.

    Simard et al. 2003, section 2: the factor lies between 1 / (1 + amount) and 1 + amount, its logarithm uniform.
    """

    name = "scale"
    group = "augmentation"
    summary = "enlarge or shrink each training image by up to a fifth"
    plain = (
        "Enlarge or shrink each training image a little. The network learns that the class does not depend on how "
        "near the object was."
    )
    papers = (cite("simard2003best", "section 2"),)
    differs = "the range and its distribution are ours: the logarithm of the factor is uniform"
    caveat = "blurs small images; hurts where the size of the object tells its class"
    cost = "1.5 ms a batch of 128 color images of 32×32"
    interactions = "each warp blurs once more: rotate and scale together blur twice"

    amount: Annotated[float, Field(ge=0, le=10, description="largest factor, less 1")] = 0.2

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Scale each image by a factor of its own."""
        if self.amount == 0:
            return images, targets
        inverse = (uniform(len(images), -1, 1, rng) * math.log1p(self.amount)).exp()
        matrices = torch.zeros(len(images), 2, 3, device=images.device)
        matrices[:, 0, 0] = matrices[:, 1, 1] = inverse
        return warp(images, matrices), targets
