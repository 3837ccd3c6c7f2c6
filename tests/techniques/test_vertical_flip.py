from __future__ import annotations

import torch

from stepladder.techniques.vertical_flip import VerticalFlip


def test_image_by_image(make_images, stream):
    images, targets = make_images(100), torch.arange(100)
    chosen = (torch.rand(100, generator=stream(3)) < 0.3).tolist()
    expected = torch.stack([image.flip(1) if flip else image for image, flip in zip(images, chosen, strict=True)])
    flipped, same = VerticalFlip(p=0.3).augment(images, targets, stream(3))
    assert torch.equal(flipped, expected)
    assert same is targets
