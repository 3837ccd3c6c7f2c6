from __future__ import annotations

import torch

from stepladder.techniques.operations import OPERATIONS, apply_operations
from stepladder.techniques.rand_augment import RandAugment


def test_operations_one_after_another(make_images, stream):
    images = make_images(20, 16)
    changed, _ = RandAugment(count=3, magnitude=15).augment(images, torch.arange(20), stream(4))
    rng, expected = stream(4), images
    for _ in range(3):
        numbers = torch.randint(0, len(OPERATIONS), (20,), generator=rng)
        signs = torch.randint(0, 2, (20,), generator=rng) * 2.0 - 1
        expected = apply_operations(expected, numbers, torch.full((20,), 0.5), signs, wide=False)
    assert torch.equal(changed, expected)
    assert not torch.equal(changed, images)
