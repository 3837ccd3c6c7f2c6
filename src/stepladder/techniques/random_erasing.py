"""Noise over a part of the image."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.pixels import as_images, as_rows, boxes, choose, noise_like, uniform


class RandomErasing(Technique):
    """Replace a rectangle of each training image by random pixels, with probability ``p``.

    Zhong et al. 2020, algorithm 1: its area is ``smallest`` to ``largest`` of the image, its height ``aspect`` to 1 /
    ``aspect`` times its width. The logarithm of that ratio is uniform, so that half of the rectangles are tall; the
    paper draws the ratio itself, from 0.3 to 3.33, so that three in four are. Where the paper draws again, a side
    longer than the image is cut to it.
    """

    name = "random_erasing"
    group = "augmentation"
    summary = "replace a random rectangle of every other training image by noise"
    plain = (
        "Replace a random rectangle of a training image by noise, in half of the images. The network cannot rely "
        "on a single part of the object and learns to use all of it."
    )
    papers = (cite("zhong2020random", "algorithm 1"),)
    differs = (
        "the logarithm of the aspect is uniform, where the paper draws the aspect itself from 0.3 to 3.33, so "
        "that half instead of three quarters of the rectangles are tall; a side longer than the image is cut to "
        "it, where the paper draws again"
    )
    caveat = "too large a rectangle hides the object; small networks and short budgets under-fit"
    cost = "0.4 ms a batch of 128 color images of 32×32"
    interactions = "repeats what cutout does"

    p: Annotated[float, Field(ge=0, le=1, description="probability of erasing part of an image")] = 0.5
    smallest: Annotated[float, Field(ge=0, le=1, description="smallest area, of the image's")] = 0.02
    largest: Annotated[float, Field(ge=0, le=1, description="largest area, of the image's")] = 0.4
    aspect: Annotated[
        float, Field(gt=0, le=1, description="smallest height over width; the largest is its inverse")
    ] = 0.3

    def check(self, context: Context) -> list[str]:  # noqa: ARG002
        """Refuse areas the wrong way round."""
        if self.smallest > self.largest:
            raise RecipeError(
                f"random_erasing.smallest is {self.smallest:g} and random_erasing.largest is {self.largest:g}; "
                f"smallest must be at most largest"
            )
        return []

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Erase one rectangle an image."""
        if self.p == 0 or self.largest == 0:
            return images, targets
        count, channels, height, width = images.shape
        erased = torch.rand(count, generator=rng, device=images.device) < self.p
        area = uniform(count, self.smallest, self.largest, rng) * (height * width)
        ratio = (uniform(count, -1, 1, rng) * math.log(1 / self.aspect)).exp()
        rows = (area * ratio).sqrt().round().clamp(1, height)
        columns = (area / ratio).sqrt().round().clamp(1, width)
        top = (uniform(count, 0, 1, rng) * (height - rows + 1)).floor()
        left = (uniform(count, 0, 1, rng) * (width - columns + 1)).floor()
        mask = boxes(top.long(), left.long(), (rows * erased).long(), columns.long(), images)
        return as_images(choose(mask, as_rows(noise_like(images, rng)), as_rows(images)), channels), targets
