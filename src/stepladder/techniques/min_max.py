"""Pixels from one end of a range to the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.standardize import spread


class MinMax(Technique):
    """x ← low + (high − low)·(x − min) / (max − min), a channel at a time, by the training images' extremes.

    LeCun et al. 1998, section 4.3, want inputs around zero, so the range is −1 to 1 by default. A channel that never
    varies becomes ``low``; other images may lie outside of the range.
    """

    name = "min_max"
    group = "inputs"
    summary = "stretch each color channel to the range from −1 to 1"
    plain = (
        "Stretch the levels of each color channel so that the darkest training pixel is −1 and the brightest is "
        "1. The network then reads numbers of one size around zero, which makes training easier."
    )
    papers = (cite("lecun1998efficient", "section 4.3"),)
    differs = "the darkest and the brightest level decide; the paper takes the mean and the standard deviation"
    caveat = "one pixel of black and one of white decide; the mean may still be far from 0"
    cost = "0.1 ms a batch of 128 color images of 32×32"
    interactions = "standardize after it undoes it"

    low: Annotated[float, Field(ge=-100, le=100, description="what the darkest pixel becomes")] = -1.0
    high: Annotated[float, Field(ge=-100, le=100, description="what the brightest pixel becomes")] = 1.0

    def check(self, context: Context) -> list[str]:  # noqa: ARG002
        """Refuse a range without extent."""
        if self.low >= self.high:
            raise RecipeError(f"min_max.low is {self.low:g} and min_max.high is {self.high:g}; low must be below high")
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``min`` and ``max``, float32 (C,), of the images as the techniques before prepare them."""
        lowest = highest = None
        for images in self.prepared(batches):
            low, high = images.amin(dim=(0, 2, 3)), images.amax(dim=(0, 2, 3))
            lowest = low if lowest is None else torch.minimum(lowest, low)
            highest = high if highest is None else torch.maximum(highest, high)
        assert lowest is not None, "no images"
        assert highest is not None
        return {"min": lowest, "max": highest}

    def prepare(self, images: Tensor) -> Tensor:
        """Stretch each channel."""
        extent = self.learned["max"] - self.learned["min"]
        scale = (self.high - self.low) / torch.where(extent > 0, extent, 1)
        return (images - spread(self.learned["min"], images)).mul_(spread(scale, images)).add_(self.low)
