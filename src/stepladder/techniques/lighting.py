"""AlexNet's noise along the colors' principal axes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.pixels import along_row, as_images, as_rows, to_levels


class Lighting(Technique):
    """Add Σ_i α_i·λ_i·p_i to all pixels of an image, α_i from N(0, ``std``²) for each image and axis.

    Krizhevsky et al. 2012, section 4.1: λ and p are eigenvalues and eigenvectors of the covariance of the training
    images' colors, from 0 to 1. An object keeps its identity when light changes its intensity and color.
    """

    name = "lighting"
    group = "augmentation"
    summary = "add noise along the principal axes of the training images' colors"
    plain = (
        "Add to all pixels of a training image one random color, along the directions in which the colors of the "
        "training images vary most. This imitates another color and strength of light, which does not change what "
        "is seen."
    )
    papers = (cite("krizhevsky2012imagenet", "section 4.1"),)
    caveat = "a small change at the default; hurts where color tells the class"
    cost = "0.2 ms a batch of 128 color images of 32×32"
    interactions = "does part of what color_jitter does"

    std: Annotated[float, Field(ge=0, le=10, description="standard deviation of the noise, times the eigenvalue")] = 0.1

    def check(self, context: Context) -> list[str]:
        """Refuse gray images."""
        if context.image_shape[0] != 3:
            raise RecipeError("lighting adds noise to colors, and the images are gray; leave it out")
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``axes``, float32 (C, C): each column an eigenvector times its eigenvalue, in levels."""
        total = products = torch.zeros(0)
        count = 0
        for images in batches:
            colors = images.permute(0, 2, 3, 1).flatten(0, 2).double() / 255
            if not count:
                total, products = colors.new_zeros(colors.shape[1]), colors.new_zeros(colors.shape[1], colors.shape[1])
            total += colors.sum(dim=0)
            products += colors.T @ colors
            count += len(colors)
        mean = total / count
        values, vectors = torch.linalg.eigh((products / count - mean.outer(mean)).cpu())
        return {"axes": (vectors * values.clamp(min=0) * 255).float()}

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Add one color to each image."""
        if self.std == 0:
            return images, targets
        noise = torch.randn(len(images), images.shape[1], generator=rng, device=images.device) * self.std
        colors = noise @ self.learned["axes"].T
        return as_images(to_levels(as_rows(images) + along_row(colors, images.shape[3])), images.shape[1]), targets
