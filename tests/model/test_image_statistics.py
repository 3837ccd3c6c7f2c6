"""Brightness, contrast and roughness, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.model.image_statistics import image_statistics, statistics_of


def by_hand(image: np.ndarray) -> list[float]:
    """Channel by channel, one number after another."""
    channels = [image[:, :, c].astype(np.float64) / 255 for c in range(image.shape[2])]
    means = [one.mean() for one in channels]
    found = [one.std() for one in channels]
    while True:
        height, width = channels[0].shape
        for axis in (0, 1):
            if channels[0].shape[axis] > 1:
                found += [float(np.abs(np.diff(one, axis=axis)).mean()) for one in channels]
        if min(height, width) < 4:
            return [*means, *found, *np.log(np.array(found) + 2 / 255)]
        halves = [one[: height // 2 * 2, : width // 2 * 2] for one in channels]
        channels = [(h[::2, ::2] + h[1::2, ::2] + h[::2, 1::2] + h[1::2, 1::2]) / 4 for h in halves]


@pytest.mark.parametrize("shape", [(8, 8, 1), (9, 30, 3), (1, 5, 3), (1, 1, 1), (4, 3, 2)])
def test_they_are_what_numpy_gives(shape: tuple[int, int, int]) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, *shape), dtype=np.uint8)
    found = statistics_of(images)
    np.testing.assert_allclose(found, [by_hand(image) for image in images], atol=1e-6)
    # The batch is cut where it is large; an image's numbers do not depend on the others.
    np.testing.assert_allclose(image_statistics(torch.from_numpy(images[2:3])).numpy()[0], found[2], atol=1e-6)


def test_of_a_flat_image_nothing_but_its_brightness_is_there() -> None:
    found = statistics_of(np.full((1, 16, 16, 1), 51, np.uint8))
    assert found[0, 0] == pytest.approx(0.2)
    half = (found.shape[1] - 1) // 2
    assert np.abs(found[0, 1 : 1 + half]).max() < 1e-6
    np.testing.assert_allclose(found[0, 1 + half :], np.log(2 / 255), rtol=1e-4)
