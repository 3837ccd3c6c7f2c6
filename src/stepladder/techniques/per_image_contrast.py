"""Every image to the same mean and contrast."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique


class PerImageContrast(Technique):
    """x ← scale·(x − mean) / max(epsilon, √(regularization + variance)), mean and variance over the image's values.

    Global contrast normalization: Goodfellow, Bengio and Courville 2016, section 12.2.1.1, equation 12.3. Nothing is
    learned, so a single image suffices.
    """

    name = "per_image_contrast"
    group = "inputs"
    summary = "give every image mean 0 and standard deviation 1 of its own"
    plain = (
        "Give each image by itself a mean of 0 and a standard deviation of 1. A dark photo and a bright photo of "
        "the same thing then look alike to the network."
    )
    papers = (cite("goodfellow2016deep", "section 12.2.1.1, equation 12.3"),)
    caveat = "forgets how bright an image is, and blows up the noise of nearly flat ones"
    cost = "0.2 ms a batch of 128 color images of 32×32"
    interactions = "usual before zca; undoes random brightness and contrast"

    scale: Annotated[float, Field(gt=0, le=100, description="standard deviation afterwards")] = 1.0
    regularization: Annotated[
        float, Field(ge=0, le=1, description="added to each image's variance (pixels 0 to 1)")
    ] = 0.0
    epsilon: Annotated[float, Field(gt=0, le=1, description="smallest divisor, for flat images")] = 1e-4

    def prepare(self, images: Tensor) -> Tensor:
        """Center and scale each image."""
        centered = images - images.mean(dim=(1, 2, 3), keepdim=True)
        deviation = (centered.square().mean(dim=(1, 2, 3), keepdim=True) + self.regularization).sqrt()
        return centered.mul_(self.scale / deviation.clamp_(min=self.epsilon))
