"""Larger images: the same network, at a finer resolution."""

from __future__ import annotations

import math
from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique


class Upscale(Technique):
    """Enlarge every image before the network reads it, in training and evaluation alike.

    Tan and Le 2019, section 3.2 (resolution). The layers stay as they are: their kernels see finer steps of the image,
    and a hidden layer reads larger maps, and so has more weights. Interpolation is bicubic, as Pillow's.
    """

    name = "upscale"
    group = "inputs"
    summary = "enlarge images, so that convolutions see finer steps of them"
    plain = (
        "Enlarge every image before the network reads it. A layer then moves over the object in finer steps, at "
        "the price of more computation."
    )
    papers = (
        cite("tan2019efficientnet", "section 3.2"),
        cite("keys1981cubic", "equation 15"),
    )
    differs = (
        "images are enlarged by interpolation, which adds no detail; the paper reads originals of more pixels, and "
        "lets depth and width grow too"
    )
    caveat = "a kernel covers less of the image; few layers may no longer see the whole object"
    cost = (
        "time and activations grow with factor²: a step of network report takes 2.2 times as long at 1.5; a hidden "
        "layer behind the maps gets more weights"
    )
    interactions = "a crop's pixels are those before it; list it before inputs techniques that learn an image"

    factor: Annotated[float, Field(ge=1, le=8, description="how many times as high and wide")] = 1.5

    def check(self, context: Context) -> list[str]:  # noqa: ARG002
        """Refuse images that would be larger than any ``size`` may make them."""
        # Imported here: the module decodes images, too, and takes 20 ms to load.
        from stepladder.datasets.shapes import MAX_SIDE

        sides = self.shape_before()[1:]
        height, width = self._enlarged(*sides)
        if max(height, width) > max(MAX_SIDE, *sides):
            most = math.floor(100 * MAX_SIDE / max(sides)) / 100
            fix = f"choose at most {most:g}, or leave it out" if most > 1 else "leave it out"
            raise RecipeError(
                f"upscale.factor is {self.factor:g} and would make images of {height}×{width}, where {MAX_SIDE} pixels "
                f"a side are the most; {fix}"
            )
        return []

    def prepared_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of the enlarged images."""
        channels, height, width = shape
        return (channels, *self._enlarged(height, width))

    def prepare(self, images: Tensor) -> Tensor:
        """Enlarge each image."""
        size = self._enlarged(*images.shape[2:])
        if size == images.shape[2:]:
            return images
        return F.interpolate(images, size=size, mode="bicubic", antialias=True)

    def _enlarged(self, height: int, width: int) -> tuple[int, int]:
        return round(height * self.factor), round(width * self.factor)
