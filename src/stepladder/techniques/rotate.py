"""Rotations by a few degrees."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique
from stepladder.techniques.pixels import uniform, warp


class Rotate(Technique):
    """Turn each training image around its center by up to ``degrees`` either way, bilinearly; black comes in.

    Simard et al. 2003, section 2: every angle is equally likely.
    """

    name = "rotate"
    group = "augmentation"
    summary = "turn each training image by a few degrees"
    plain = (
        "Turn each training image by a small random angle. The network learns that a slightly tilted object is "
        "the same object."
    )
    papers = (cite("simard2003best", "section 2"),)
    differs = "the range and its distribution are ours: every angle up to the limit is equally likely"
    caveat = "blurs small images; large angles turn a 6 into a 9"
    cost = "1.5 ms a batch of 128 color images of 32×32"
    interactions = "each warp blurs once more: rotate and scale together blur twice"

    degrees: Annotated[float, Field(ge=0, le=180, description="largest angle either way")] = 15.0

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Turn each image by an angle of its own."""
        if self.degrees == 0:
            return images, targets
        angles = uniform(len(images), -1, 1, rng) * math.radians(self.degrees)
        return warp(images, rotations(angles)), targets


def rotations(angles: Tensor) -> Tensor:
    """Return matrices for :func:`warp`, float32 (B, 2, 3), that turn by ``angles`` (B,) in radians, anticlockwise."""
    cos, sin, zero = angles.cos(), angles.sin(), torch.zeros_like(angles)
    # Rows count downwards, so that this turns the output's grid clockwise, and what is seen anticlockwise.
    return torch.stack([cos, -sin, zero, sin, cos, zero], dim=1).view(-1, 2, 3)
