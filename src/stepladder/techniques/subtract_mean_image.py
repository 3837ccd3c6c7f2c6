"""The average training image, taken off."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Technique


class SubtractMeanImage(Technique):
    """x ← x − mean image: every pixel of every channel has its own mean over the training images.

    Krizhevsky et al. 2012, section 2.
    """

    name = "subtract_mean_image"
    group = "inputs"
    summary = "subtract the average training image"
    plain = (
        "Compute the average of all training images, pixel by pixel, and subtract it from every image. What all "
        "images have in common is gone, and the network learns from what makes them differ."
    )
    papers = (cite("krizhevsky2012imagenet", "section 2"),)
    caveat = "centers, but does not scale; where objects have no fixed place it differs little from a mean a channel"
    cost = "0.1 ms a batch of 128 color images of 32×32, and one image of memory"
    interactions = "standardize after it only scales; put random_crop with a size before it, so that the sizes agree"

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``mean``, float32 (C, H, W), summed in double precision."""
        total, count = None, 0
        for images in self.prepared(batches):
            part = images.sum(dim=0, dtype=torch.float64)
            total = part if total is None else total + part
            count += len(images)
        assert total is not None, "no images"
        return {"mean": (total / count).float()}

    def prepare(self, images: Tensor) -> Tensor:
        """Subtract the mean image."""
        mean = self.learned["mean"]
        check_size(self.name, mean.shape[1:], images)
        return images - mean.unsqueeze(0).contiguous(memory_format=torch.channels_last)


def check_size(name: str, learned: Iterable[int], images: Tensor) -> None:
    """Refuse images of another size than the technique ``name`` learned from.

    Raises:
        RecipeError: a technique after it changes the size.
    """
    height, width = learned
    if images.shape[2:] != (height, width):
        raise RecipeError(
            f"{name} learned from images of {height}×{width} pixels and gets {images.shape[2]}×{images.shape[3]}; "
            f"list the technique that changes the size before it"
        )
