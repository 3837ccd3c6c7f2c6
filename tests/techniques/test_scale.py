from __future__ import annotations

import math

import numpy as np
import torch

from stepladder.techniques.scale import Scale


def test_image_by_image(stream):
    """A straight slope stays one, as steep as the image was enlarged."""
    slope = torch.arange(32, dtype=torch.uint8).mul(4).add(60)
    images = slope.expand(50, 1, 32, 32)
    factors = (
        ((torch.rand(50, generator=stream(1)) * 2 - 1) * math.log1p(0.5)).exp().numpy()
    )  # of the way into the input
    scaled, _ = Scale(amount=0.5).augment(images, torch.arange(50), stream(1))
    x = np.arange(32) - 15.5
    for factor, found in zip(factors, scaled, strict=True):
        expected = 60 + 4 * (x * factor + 15.5)
        inside = np.abs(x * factor) < 15
        np.testing.assert_allclose(found[0, 16].numpy()[inside], expected[inside], atol=0.6)
    assert factors.min() < 0.75
    assert factors.max() > 1.35
