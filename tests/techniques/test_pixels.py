"""The shared arithmetic on whole batches, against the slow way image by image."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch

from stepladder.techniques.pixels import boxes, change_some, choose, look_up, mix_colors, mix_targets, noise_like, warp


@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
@pytest.mark.parametrize("channels", [1, 3])
def test_warp_is_scipy_s_bilinear_sampling(stream, size, channels):
    images = torch.randint(0, 256, (20, channels, *size), generator=stream(), dtype=torch.uint8)
    matrices = torch.randn(20, 2, 3, generator=stream(1)) * torch.tensor([0.7, 0.7, 2.0])
    center = (np.array(size) - 1) / 2
    warped = warp(images, matrices).numpy()
    assert len(warped) == 20
    for image, matrix, found in zip(images.numpy(), matrices.double().numpy(), warped, strict=True):
        rows, columns = np.mgrid[: size[0], : size[1]]
        y, x = rows - center[0], columns - center[1]
        at_x = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] + center[1]
        at_y = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] + center[0]
        for channel in range(channels):
            padded = np.pad(image[channel].astype(float), 50)  # black outside, blended at the rim
            expected = scipy.ndimage.map_coordinates(padded, [at_y + 50, at_x + 50], order=1, cval=0)
            np.testing.assert_allclose(found[channel], expected, atol=0.51)


def test_the_identity_changes_no_bit(make_images):
    images = make_images(10, 9)
    identity = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).expand(10, 2, 3)
    assert torch.equal(warp(images, identity), images)
    levels = torch.arange(256, dtype=torch.uint8).expand(10, 3, 256)
    assert torch.equal(look_up(images, levels), images)
    assert torch.equal(mix_colors(images, torch.eye(3).expand(10, 3, 3), torch.zeros(10, 3)), images)


def test_tables_and_colors_image_by_image(make_images, stream):
    images = make_images(6)
    tables = torch.randint(0, 256, (6, 3, 256), generator=stream(), dtype=torch.uint8)
    matrices, offsets = torch.randn(6, 3, 3, generator=stream(1)), 20 * torch.randn(6, 3, generator=stream(2))
    looked_up, mixed = look_up(images, tables), mix_colors(images, matrices, offsets)
    for i in range(6):
        for channel in range(3):
            assert np.array_equal(looked_up[i, channel].numpy(), tables[i, channel].numpy()[images[i, channel].numpy()])
        expected = np.einsum("ck,kyx->cyx", matrices[i].double().numpy(), images[i].numpy().astype(float))
        expected = (expected + offsets[i].double().numpy()[:, None, None]).clip(0, 255)
        np.testing.assert_allclose(mixed[i].numpy(), expected, atol=0.51)


def test_boxes_image_by_image(make_images, stream):
    images = make_images(40, 8, 3)
    top, left, height, width = torch.randint(-4, 9, (4, 40), generator=stream()).unbind()
    inside = boxes(top, left, height.clamp(min=0), width.clamp(min=0), images).view(40, 8, 8, 3)
    expected = np.zeros((40, 8, 8, 3), dtype=np.uint8)
    for i in range(40):
        y, x, h, w = (int(value[i]) for value in (top, left, height, width))
        expected[i, max(0, y) : max(0, y + max(0, h)), max(0, x) : max(0, x + max(0, w))] = 255
    assert np.array_equal(inside.numpy(), expected)
    one, other = (torch.randint(0, 256, (40, 8, 24), generator=stream(n), dtype=torch.uint8) for n in (1, 2))
    mask = inside.view(40, 8, 24)
    assert torch.equal(choose(mask, one, other), torch.where(mask == 255, one, other))


def test_only_the_chosen_change(make_images):
    images = make_images(6)
    chosen = torch.tensor([True, False, False, True, False, False])
    changed = change_some(images, chosen, lambda some, at: some + at.view(-1, 1, 1, 1).to(torch.uint8) + 1)
    assert torch.equal(changed[1], images[1])
    assert torch.equal(changed[3], images[3] + 4)
    nobody = torch.zeros(6, dtype=torch.bool)
    assert change_some(images, nobody, lambda some, at: some + 1) is images


@pytest.mark.parametrize("soft", [False, True])
def test_targets_pair_by_pair(soft):
    targets = torch.tensor([0, 2, 1])
    given = torch.eye(4)[targets] if soft else targets
    mixed = mix_targets(given, torch.tensor([1, 2, 2]), torch.tensor([0.75, 0.5, 0.1]), 4)
    torch.testing.assert_close(mixed, torch.tensor([[0.75, 0, 0.25, 0], [0, 0.5, 0.5, 0], [0, 1.0, 0, 0]]))


def test_noise_is_every_level_alike(make_images, stream):
    counts = torch.bincount(noise_like(make_images(100, 16), stream()).flatten(), minlength=256)
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001
