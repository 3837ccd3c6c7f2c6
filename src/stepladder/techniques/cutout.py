"""A hole in every image."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.pixels import along_row, as_images, as_rows, boxes, choose


class Cutout(Technique):
    """Cover a square around a random pixel of each training image with the training images' mean color.

    DeVries and Taylor 2017, section 3.2: the square may reach over the rim, so that some images lose little.
    """

    name = "cutout"
    group = "augmentation"
    summary = "cover a random square of each training image"
    plain = (
        "Cover a random square of each training image with one color. The network cannot rely on a single part of "
        "the object and learns to use all of it."
    )
    papers = (cite("devries2017cutout", "section 3.2"),)
    differs = (
        "the square has half of the shorter side by default; the paper tunes it for each data set: 16 of 32 "
        "pixels on CIFAR-10, 8 on CIFAR-100"
    )
    caveat = "too large a square hides the object; small networks and short budgets under-fit"
    cost = "0.2 ms a batch of 128 color images of 32×32"
    interactions = "repeats what random_erasing does; cutmix fills the hole with another image instead"

    size: Annotated[
        int | None, Field(ge=0, le=10_000, description="side in pixels; by default half of the shorter side")
    ] = None
    p: Annotated[float, Field(ge=0, le=1, description="probability of covering part of an image")] = 1.0

    def check(self, context: Context) -> list[str]:
        """Refuse squares larger than the image."""
        shorter = min(context.image_shape[1:])
        if self.size is not None and self.size > shorter:
            raise RecipeError(
                f"cutout.size is {self.size} and the images are {context.image_shape[1]}×{context.image_shape[2]}; "
                f"choose at most {shorter}"
            )
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``color``, float32 (C,), the mean color in levels."""
        sums, count = torch.zeros(0), 0
        for images in batches:
            part = images.sum(dim=(0, 2, 3)).cpu()
            sums = sums + part if count else part
            count += images[:, 0].numel()
        return {"color": (sums.double() / count).float()}

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Cover one square an image."""
        count, channels, height, width = images.shape
        side = min(height, width) // 2 if self.size is None else self.size
        if side == 0 or self.p == 0:
            return images, targets
        center_y = torch.randint(0, height, (count,), generator=rng, device=images.device)
        center_x = torch.randint(0, width, (count,), generator=rng, device=images.device)
        covered = torch.rand(count, generator=rng, device=images.device) < self.p
        sides = covered * side
        mask = boxes(center_y - side // 2, center_x - side // 2, sides, sides, images)
        color = along_row(self.learned["color"].round().to(torch.uint8).unsqueeze(0), width)
        return as_images(choose(mask, color, as_rows(images)), channels), targets
