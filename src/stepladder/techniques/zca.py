"""ZCA whitening: pixels that no longer predict one another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.subtract_mean_image import check_size

#: Values of an image at most: the matrix is the square of it, and its eigenvectors take the cube in time.
LARGEST = 32 * 32 * 3


class ZCA(Technique):
    """x ← U·(Λ + epsilon)^(−1/2)·Uᵀ·(x − mean), Λ and U of the covariance of the training images' values.

    Krizhevsky 2009, appendix A. Fitted in float64 and applied in float32, on images as the techniques before it prepare
    them.
    """

    name = "zca"
    group = "inputs"
    summary = "whiten images: remove the correlation of their pixels"
    plain = (
        "Transform the images so that no pixel can be predicted from the others by a linear rule, while they "
        "still look like images. Neighboring pixels are nearly equal, and without that repetition the network "
        "sees edges and differences first."
    )
    papers = (cite("krizhevsky2009learning", "appendix A"),)
    differs = "epsilon is added to every eigenvalue, so that small ones are not blown up"
    caveat = "raises the noise of fine detail: the smaller epsilon, the more; small convolutions lose smooth areas"
    cost = (
        "on 32×32×3 a minute or two to fit on 50,000 images in every trial, 15 ms and more a batch of 128, and a "
        "matrix of 38 MB in the model"
    )
    interactions = (
        "usual after per_image_contrast; standardize before it changes little; flips and crops come before it"
    )

    epsilon: Annotated[float, Field(gt=0, le=10, description="added to every eigenvalue (pixels 0 to 1)")] = 0.01

    def check(self, context: Context) -> list[str]:  # noqa: ARG002
        """Refuse images whose matrix would not fit into reasonable time."""
        channels, height, width = self.shape_before()
        if channels * height * width > LARGEST:
            raise RecipeError(
                f"zca needs a matrix of {channels * height * width:,}² numbers for {height}×{width}×{channels} images, "
                f"and is for at most {LARGEST:,} values an image, as 32×32×3 has; leave it out, or use smaller images"
            )
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:
        """Return ``mean``, float32 (C, H, W), and ``matrix``, float32 (C·H·W, C·H·W)."""
        total, count = None, 0
        for images in self.prepared(batches):
            part = images.sum(dim=0, dtype=torch.float64)
            total = part if total is None else total + part
            count += len(images)
        assert total is not None, "no images"
        mean = total / count
        # Centered first: the difference of two large sums would lose the small eigenvalues.
        covariance = torch.zeros(mean.numel(), mean.numel(), dtype=torch.float64, device=mean.device)
        for images in self.prepared(batches):
            rows = (images.double() - mean).flatten(1)
            covariance.addmm_(rows.T, rows)
        values, vectors = torch.linalg.eigh(covariance / count)
        matrix = (vectors * (values.clamp(min=0) + self.epsilon).rsqrt()) @ vectors.T
        return {"mean": mean.float().contiguous(), "matrix": matrix.float()}

    def prepare(self, images: Tensor) -> Tensor:
        """Whiten each image."""
        mean, matrix = self.learned["mean"], self.learned["matrix"]
        check_size(self.name, mean.shape[1:], images)
        # In bfloat16, which autocast would choose, the small eigenvalues drown.
        with torch.autocast(images.device.type, enabled=False):
            rows = (images - mean).flatten(1) @ matrix
        return rows.view(images.shape).contiguous(memory_format=torch.channels_last)
