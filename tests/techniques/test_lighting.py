from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.lighting import Lighting


def test_against_numpy_s_principal_axes(make_images, begin, stream):
    images = make_images(50)
    images[:, 1] = images[:, 0] // 2 + images[:, 1] // 4  # channels that go together
    technique = begin(Lighting(std=2.0), images)
    colors = images.permute(0, 2, 3, 1).reshape(-1, 3).numpy() / 255
    covariance = np.cov(colors.T, bias=True)
    axes = technique.learned["axes"].double().numpy() / 255
    # Each column is an eigenvector times its eigenvalue.
    values = np.linalg.norm(axes, axis=0)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(covariance), rtol=1e-5)
    np.testing.assert_allclose(covariance @ axes, axes * values, atol=1e-7)

    noise = (torch.randn(50, 3, generator=stream(9)) * 2.0).double().numpy()
    lit, _ = technique.augment(images, torch.arange(50), stream(9))
    for i in range(50):
        expected = (images[i].numpy() + (255 * axes @ noise[i])[:, None, None]).clip(0, 255)
        np.testing.assert_allclose(lit[i].numpy(), expected, atol=0.51)


def test_parts_of_any_size_give_the_same_axes(make_images):
    images = make_images(30)
    whole, parts = Lighting().fit([images])["axes"], Lighting().fit(list(images.split(7)))["axes"]
    torch.testing.assert_close(whole.abs(), parts.abs())


def test_gray_images_are_refused(make_images, begin):
    technique = begin(Lighting(), make_images(8, channels=1))
    with pytest.raises(RecipeError, match="lighting adds noise to colors, and the images are gray"):
        technique.check(technique.context)
