from __future__ import annotations

import numpy as np
import torch
from PIL import Image

from stepladder.techniques.pixels import warp
from stepladder.techniques.rotate import Rotate, rotations


def test_quarter_turns_are_numpy_s(make_images):
    images = make_images(4)
    turned = warp(images, rotations(torch.tensor([0.0, 1, 2, 3]) * torch.pi / 2))
    for quarter in range(4):
        expected = np.rot90(images[quarter].numpy(), quarter, axes=(1, 2))  # anticlockwise
        np.testing.assert_array_equal(turned[quarter].numpy(), expected)


def test_other_angles_are_pillow_s(stream):
    # A smooth image, where bilinear sampling of two makes differs by rounding alone.
    y, x = np.mgrid[:32, :32]
    image = (128 + 60 * np.sin(x / 5) + 60 * np.cos(y / 7)).astype(np.uint8)
    images = torch.from_numpy(image).expand(8, 1, 32, 32)
    angles = (torch.rand(8, generator=stream(2)) * 2 - 1) * 40
    turned, _ = Rotate(degrees=40).augment(images, torch.arange(8), stream(2))
    assert len(turned) == 8
    for angle, found in zip(angles.tolist(), turned, strict=True):
        expected = Image.fromarray(image).rotate(angle, Image.Resampling.BILINEAR)
        inner = np.s_[8:24, 8:24]
        np.testing.assert_allclose(found[0].numpy()[inner].astype(int), np.asarray(expected)[inner].astype(int), atol=2)
