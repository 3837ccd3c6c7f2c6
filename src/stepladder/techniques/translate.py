"""Shifts: the same image somewhere else."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.random_crop import cut_windows


class Translate(Technique):
    """Shift each training image by whole pixels, up to ``share`` of its height and width each way; black comes in.

    Simard et al. 2003, section 2: every shift is equally likely.
    """

    name = "translate"
    group = "augmentation"
    summary = "shift each training image by up to an eighth of its size"
    plain = (
        "Shift each training image by a random distance, and fill the gap with black. The network learns that the "
        "class does not depend on where the object stands."
    )
    papers = (cite("simard2003best", "section 2"),)
    differs = "the range and its distribution are ours: whole pixels, every shift up to the limit equally likely"
    caveat = "hurts where the place of the object in the image tells its class"
    cost = "0.3 ms a batch of 128 color images of 32×32"
    interactions = "repeats what random_crop with padding does"

    share: Annotated[float, Field(ge=0, le=1, description="of height and width, the farthest shift")] = 0.125

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Shift each image."""
        height, width = images.shape[2:]
        down, across = round(self.share * height), round(self.share * width)
        if not down and not across:
            return images, targets
        count = len(images)
        top = torch.randint(0, 2 * down + 1, (count,), generator=rng, device=images.device)
        left = torch.randint(0, 2 * across + 1, (count,), generator=rng, device=images.device)
        return cut_windows(F.pad(images, (across, across, down, down)), top, left, height, width), targets
