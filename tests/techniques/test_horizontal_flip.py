from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.techniques import Progress
from stepladder.techniques.horizontal_flip import HorizontalFlip


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("channels", [1, 3])
def test_image_by_image(make_images, stream, p, channels):
    images = make_images(200, channels=channels)
    mirrored = (torch.rand(200, generator=stream(3)) < p).tolist()
    expected = np.stack(
        [image[:, :, ::-1] if flip else image for image, flip in zip(images.numpy(), mirrored, strict=True)]
    )
    targets = torch.arange(200)
    flipped, same = HorizontalFlip(p=p).augment(images, targets, stream(3))
    np.testing.assert_array_equal(flipped.numpy(), expected)
    assert 0 < sum(mirrored) < 200
    assert same is targets


def test_the_share_is_p(make_images, stream):
    images = make_images(20_000, size=2, channels=1)
    images[:, :, 0, 0], images[:, :, 0, 1] = 0, 255
    flipped, _ = HorizontalFlip(p=0.3).augment(images, torch.zeros(20_000), stream())
    share = float((flipped[:, 0, 0, 0] == 255).float().mean())
    assert abs(share - 0.3) < 6 * (0.3 * 0.7 / 20_000) ** 0.5


def test_both_ends(make_images, stream):
    images, targets = make_images(), torch.arange(16)
    assert torch.equal(HorizontalFlip(p=1).augment(images, targets, stream())[0], images.flip(3))
    assert HorizontalFlip(p=0).augment(images, targets, stream())[0] is images


def test_twice_is_the_same_image(make_images, stream):
    images, flip = make_images(), HorizontalFlip(p=1)
    once, targets = flip.augment(images, torch.arange(16), stream())
    assert torch.equal(flip.augment(once, targets, stream())[0], images)


def test_alternating_shows_each_image_in_both_forms_in_any_two_epochs(make_images, begin, stream):
    images = make_images(50)
    technique = begin(HorizontalFlip(alternating=True), images, classes=50, class_counts=(1,) * 50)
    rng, seen = stream(1), []
    for epoch in range(3):
        order = torch.randperm(50, generator=stream(epoch))
        forms = torch.empty(50, dtype=torch.bool)
        for positions in order.split(16):
            technique.batch_started(positions, Progress(epoch * 10, 10, 20))
            flipped, _ = technique.augment(images[positions], torch.arange(len(positions)), rng)
            mirrored = images[positions].flip(3)
            for position, image, plain, mirror in zip(positions, flipped, images[positions], mirrored, strict=True):
                assert torch.equal(image, plain) != torch.equal(image, mirror)
                forms[position] = torch.equal(image, mirror)
        seen.append(forms)
    assert torch.equal(seen[0], ~seen[1])
    assert torch.equal(seen[0], seen[2])
    assert 10 < int(seen[0].sum()) < 40
