"""The center of each image."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique


class CenterCrop(Technique):
    """Cut the center out of every image, ``share`` of its height and width, in training and evaluation alike.

    7/8, as 224 of 256 pixels, is how published networks for ImageNet are evaluated (Touvron et al. 2019): objects stand
    in the middle of photographs.
    """

    name = "center_crop"
    group = "inputs"
    summary = "cut out the center of each image, seven eighths of its height and width"
    plain = (
        "Cut out the middle of every image and leave the border away. In photographs the object mostly stands in "
        "the middle, so the network spends its work there."
    )
    papers = (cite("touvron2019fixing"),)
    differs = (
        "training images are cut in the same way; the paper trains on random crops and cuts the center in "
        "evaluation alone"
    )
    caveat = "what stands at the rim is lost"
    cost = "none; what follows has a quarter fewer pixels to work on"
    interactions = "random_crop with a size cuts the center in evaluation too: use one of them"

    share: Annotated[float, Field(gt=0, le=1, description="of height and width that stays; 1 keeps all")] = 0.875

    def prepare(self, images: Tensor) -> Tensor:
        """Return the center, a view."""
        height, width = images.shape[2:]
        rows, columns = self._window(height, width)
        top, left = (height - rows) // 2, (width - columns) // 2
        return images[:, :, top : top + rows, left : left + columns]

    def prepared_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the shape of the center."""
        channels, height, width = shape
        return (channels, *self._window(height, width))

    def _window(self, height: int, width: int) -> tuple[int, int]:
        return max(1, round(self.share * height)), max(1, round(self.share * width))
