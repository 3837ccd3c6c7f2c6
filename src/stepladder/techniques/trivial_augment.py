"""One random operation an image, of random strength, and nothing to tune."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.operations import OPERATIONS, apply_operations


class TrivialAugment(Technique):
    """Apply to each training image one of fourteen operations, each equally likely, with a strength equally likely.

    Müller and Hutter 2021, section 3; by default in their wide range, with which they had their best results on CIFAR.
    Strengths are 31 equal steps from none to all. Shifts are shares of the image's size: all of it in the wide range.
    """

    name = "trivial_augment"
    group = "augmentation"
    summary = "apply one of fourteen operations at random strength to each training image"
    plain = (
        "Pick one of fourteen simple image changes for each training image, at random and with random strength. "
        "The network sees many variations, and there is nothing to tune."
    )
    papers = (
        cite("mueller2021trivialaugment", "section 3"),
        cite("cubuk2019autoaugment", "table 6"),
    )
    differs = "shifts are shares of the image's size instead of pixels"
    caveat = "made for color photographs and long budgets; some operations destroy gray, small or technical images"
    cost = "2.5 ms a batch of 128 color images of 32×32"
    interactions = "its authors put crop and flip before it and cutout after it; repeats what the single ones do"

    p: Annotated[float, Field(ge=0, le=1, description="probability of changing an image")] = 1.0
    wide: Annotated[bool, Field(description="the wide range of strengths")] = True

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Apply one operation an image."""
        if self.p == 0:
            return images, targets
        count, device = len(images), images.device
        numbers = torch.randint(0, len(OPERATIONS), (count,), generator=rng, device=device)
        strengths = torch.randint(0, 31, (count,), generator=rng, device=device) / 30
        signs = torch.randint(0, 2, (count,), generator=rng, device=device) * 2.0 - 1
        chosen = torch.rand(count, generator=rng, device=device) < self.p
        return apply_operations(images, numbers * chosen, strengths, signs, self.wide), targets
