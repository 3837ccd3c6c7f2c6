from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.techniques.translate import Translate


@pytest.mark.parametrize(("share", "down", "across"), [(0.25, 2, 3), (1.0, 8, 12)])
def test_image_by_image(stream, share, down, across):
    images = torch.randint(1, 256, (30, 3, 8, 12), generator=stream(), dtype=torch.uint8)
    rng = stream(4)
    tops = torch.randint(0, 2 * down + 1, (30,), generator=rng).tolist()
    lefts = torch.randint(0, 2 * across + 1, (30,), generator=rng).tolist()
    expected = np.zeros((30, 3, 8, 12), dtype=np.uint8)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        padded = np.pad(images[i].numpy(), ((0, 0), (down, down), (across, across)))
        expected[i] = padded[:, top : top + 8, left : left + 12]
    targets = torch.arange(30)
    shifted, same = Translate(share=share).augment(images, targets, stream(4))
    np.testing.assert_array_equal(shifted.numpy(), expected)
    assert same is targets


def test_a_share_of_less_than_half_a_pixel_changes_nothing(make_images, stream):
    images = make_images()
    assert Translate(share=0.05).augment(images, torch.arange(16), stream())[0] is images
