from __future__ import annotations

import torch

from stepladder.techniques.operations import OPERATIONS, apply_operations
from stepladder.techniques.trivial_augment import TrivialAugment


def test_each_image_gets_one_operation_of_the_stream(make_images, stream):
    images = make_images(64, 16)
    rng = stream(3)
    numbers = torch.randint(0, len(OPERATIONS), (64,), generator=rng)
    strengths = torch.randint(0, 31, (64,), generator=rng) / 30
    signs = torch.randint(0, 2, (64,), generator=rng) * 2.0 - 1
    changed, _ = TrivialAugment().augment(images, torch.arange(64), stream(3))
    for i in range(64):
        part = slice(i, i + 1)
        alone = apply_operations(images[part], numbers[part], strengths[part], signs[part], wide=True)
        assert torch.equal(changed[i], alone[0])
    assert len(numbers.unique()) == len(OPERATIONS)


def test_the_share_that_changes_is_p(make_images, stream):
    images = make_images(400, 8)
    changed, _ = TrivialAugment(p=0.2).augment(images, torch.arange(400), stream())
    share = float((changed != images).flatten(1).any(dim=1).float().mean())
    assert 0.1 < share < 0.25
