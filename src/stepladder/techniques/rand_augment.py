"""Some random operations an image, of one strength."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.operations import OPERATIONS, apply_operations


class RandAugment(Technique):
    """Apply ``count`` of fourteen operations in turn to each training image, all at strength `magnitude` of 30.

    Cubuk et al. 2020, section 3; directions are random. Shifts are shares of the image's size, 10/32 at most.
    """

    name = "rand_augment"
    group = "augmentation"
    summary = "apply two of fourteen operations at one strength to each training image"
    plain = (
        "Apply a fixed number of simple image changes to each training image, picked at random and all of one "
        "strength. The network sees many variations, and only the number and the strength are to be tuned."
    )
    papers = (
        cite("cubuk2020randaugment", "section 3"),
        cite("cubuk2019autoaugment", "table 6"),
    )
    differs = (
        "magnitude goes to 30, and 30 is the strongest, as in torchvision; on the paper's scale 10 is the "
        "strongest. Shifts are shares of the image's size"
    )
    caveat = "made for color photographs and long budgets; count and magnitude are to be tuned"
    cost = "5.5 ms a batch of 128 color images of 32×32"
    interactions = "its authors put crop and flip before it and cutout after it; repeats what the single ones do"

    count: Annotated[int, Field(ge=0, le=10, description="operations an image")] = 2
    magnitude: Annotated[float, Field(ge=0, le=30, description="strength of all operations, 30 the largest")] = 9.0

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Apply the operations one after another."""
        size, device = len(images), images.device
        for _ in range(self.count):
            numbers = torch.randint(0, len(OPERATIONS), (size,), generator=rng, device=device)
            signs = torch.randint(0, 2, (size,), generator=rng, device=device) * 2.0 - 1
            strengths = torch.full((size,), self.magnitude / 30, device=device)
            images = apply_operations(images, numbers, strengths, signs, wide=False)
        return images, targets
