"""Another light, another camera."""

from __future__ import annotations

import math
from functools import cache
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.pixels import mix_colors, uniform

#: Share of each channel in how bright a color looks (ITU-R BT.601).
LUMA = (0.299, 0.587, 0.114)
#: Red, green and blue to luma and two axes of chroma (NTSC).
_YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
_FROM_YIQ = tuple(tuple(row) for row in torch.linalg.inv(torch.tensor(_YIQ, dtype=torch.float64)).tolist())


class ColorJitter(Technique):
    """Change brightness, contrast, saturation and hue of each training image, in this order, by random factors.

    After Howard 2013, section 2.2. He changes no hue, draws factors from 0.5 to 1.5, and applies them in random order.
    Here factors lie in 1 ± the option; contrast blends with the image's mean luma, saturation with each pixel's; hue
    turns the plane of chroma by up to ``hue`` of a full turn. All four are one matrix a color and image, so that levels
    are clipped once, at the end, where others clip after each.
    """

    name = "color_jitter"
    group = "augmentation"
    summary = "change brightness, contrast, saturation and hue at random"
    plain = (
        "Change brightness, contrast, saturation and hue of each training image a little, at random. The network "
        "learns to recognize the object in another light or through another camera."
    )
    papers = (cite("howard2013improvements", "section 2.2"),)
    differs = (
        "the paper changes no hue, draws factors from 0.5 to 1.5, and applies them in random order; here the "
        "order is fixed, and all changes are one matrix, so that levels are clipped once"
    )
    caveat = "hurts where color tells the class: fruit, traffic lights, stained cells"
    cost = "1.3 ms a batch of 128 color images of 32×32"
    interactions = "per_image_contrast undoes the brightness and contrast of it"

    brightness: Annotated[float, Field(ge=0, le=1, description="largest change of the factor")] = 0.2
    contrast: Annotated[float, Field(ge=0, le=1, description="largest change of the factor")] = 0.2
    saturation: Annotated[float, Field(ge=0, le=1, description="largest change of the factor; needs color")] = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5, description="largest turn, in full turns; needs color")] = 0.02

    def check(self, context: Context) -> list[str]:
        """Refuse gray images, where saturation and hue do not exist."""
        if context.image_shape[0] != 3 and (self.saturation or self.hue):
            raise RecipeError(
                "color_jitter changes saturation and hue, and the images are gray; set color_jitter.saturation=0 and "
                "color_jitter.hue=0, or leave it out"
            )
        return []

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Change each image by factors of its own."""
        if not (self.brightness or self.contrast or self.saturation or self.hue):
            return images, targets
        count, channels = images.shape[:2]
        amounts = (self.brightness, self.contrast, self.saturation, self.hue)
        bright, contrast, saturate, turn = (uniform(count, -amount, amount, rng) for amount in amounts)
        device = images.device
        weights = _kept(LUMA if channels == 3 else (1.0,), device)
        mean = images.mean(dim=(2, 3), dtype=torch.float32) @ weights * (1 + bright)

        identity = torch.eye(channels, device=device)
        matrices = ((1 + bright) * (1 + contrast)).view(-1, 1, 1) * identity
        offsets = (-contrast * mean).unsqueeze(1).expand(-1, channels)
        if channels == 3:
            gray = weights.expand(3, 3)  # each row: the luma
            color = gray + (1 + saturate).view(-1, 1, 1) * (identity - gray)
            color = hue_turns(turn) @ color
            matrices, offsets = color @ matrices, (color @ offsets.unsqueeze(2)).squeeze(2)
        return mix_colors(images, matrices, offsets), targets


def hue_turns(turns: Tensor) -> Tensor:
    """Return matrices, float32 (B, 3, 3), that turn the chroma of a color by ``turns`` (B,) full turns."""
    to_yiq, back = _kept(_YIQ, turns.device), _kept(_FROM_YIQ, turns.device)
    cos, sin = (turns * 2 * math.pi).cos(), (turns * 2 * math.pi).sin()
    one, zero = torch.ones_like(turns), torch.zeros_like(turns)
    turned = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=1).view(-1, 3, 3)
    matrices: Tensor = back @ turned @ to_yiq
    return matrices


@cache
def _kept(values: tuple[float, ...] | tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    """Return a constant, float32 on ``device``, copied there once: a recorded step of a GPU may copy none."""
    return torch.tensor(values, device=device)
