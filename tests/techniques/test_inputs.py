"""Deterministic changes of the images, against numpy and the formulas."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.min_max import MinMax
from stepladder.techniques.per_image_contrast import PerImageContrast
from stepladder.techniques.random_crop import RandomCrop
from stepladder.techniques.requirements import begin_techniques, check_techniques
from stepladder.techniques.standardize import Standardize
from stepladder.techniques.subtract_mean_image import SubtractMeanImage
from stepladder.techniques.upscale import Upscale
from stepladder.techniques.zca import ZCA


def correlated(make_images, count: int = 400, size: int = 4) -> torch.Tensor:
    images = make_images(count, size)
    images[:, 1] = images[:, 0] // 2 + images[:, 1] // 4
    return images


def prepared(technique, images: torch.Tensor) -> np.ndarray:
    return technique.prepare(images.float() / 255).double().numpy()


def test_min_max(make_images, begin):
    images = make_images(30) // 2 + 10
    found = prepared(begin(MinMax(low=-2, high=3), images), images)
    pixels = images.numpy() / 255
    low, high = pixels.min(axis=(0, 2, 3)), pixels.max(axis=(0, 2, 3))
    expected = (pixels - low[:, None, None]) / (high - low)[:, None, None] * 5 - 2
    np.testing.assert_allclose(found, expected, atol=1e-5)
    flat = torch.full((4, 3, 8, 8), 9, dtype=torch.uint8)
    assert np.all(prepared(begin(MinMax(), flat), flat) == -1)


def test_the_mean_image(make_images, begin):
    images = make_images(30)
    technique = begin(SubtractMeanImage(), images)
    found = prepared(technique, images)
    np.testing.assert_allclose(found, images.numpy() / 255 - images.numpy().mean(axis=0) / 255, atol=1e-6)
    parts = technique.fit(list(images.split(7)))
    torch.testing.assert_close(parts["mean"], technique.learned["mean"])
    with pytest.raises(RecipeError, match="learned from images of 8×8 pixels and gets 6×6; list the technique that"):
        technique.prepare(torch.zeros(1, 3, 6, 6))


def test_contrast_of_each_image(make_images, begin):
    images = make_images(10)
    images[3] = 77
    found = prepared(begin(PerImageContrast(scale=2, regularization=0.01), images), images)
    pixels = images.numpy() / 255
    centered = pixels - pixels.mean(axis=(1, 2, 3), keepdims=True)
    deviation = np.sqrt(0.01 + (centered**2).mean(axis=(1, 2, 3), keepdims=True))
    np.testing.assert_allclose(found, 2 * centered / deviation, atol=1e-5)
    assert np.abs(found[3]).max() < 1e-5


def test_zca_against_numpy(make_images, begin):
    images = correlated(make_images)
    technique = begin(ZCA(epsilon=1e-4), images)
    rows = images.numpy().reshape(400, -1) / 255
    values, vectors = np.linalg.eigh(np.cov(rows.T, bias=True))
    matrix = vectors @ np.diag(1 / np.sqrt(values + 1e-4)) @ vectors.T
    np.testing.assert_allclose(technique.learned["matrix"].numpy(), matrix, rtol=1e-3, atol=1e-3)
    found = prepared(technique, images).reshape(400, -1)
    np.testing.assert_allclose(found, (rows - rows.mean(axis=0)) @ matrix, atol=2e-3)
    whitened = np.cov(found.T, bias=True)
    assert np.abs(whitened - np.diag(np.diag(whitened))).max() < 0.02


def test_zca_is_applied_in_float32_under_autocast(make_images, begin):
    images = correlated(make_images)
    technique = begin(ZCA(epsilon=1e-4), images)
    plain = technique.prepare(images.float() / 255)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(technique.prepare(images.float() / 255), plain)


def test_zca_of_large_images_is_refused(begin):
    technique = begin(ZCA(), image_shape=(3, 64, 64))
    said = r"zca needs a matrix of 12,288² numbers for 64×64×3 images, .* at most 3,072"
    with pytest.raises(RecipeError, match=said):
        technique.check(technique.context)


def test_zca_is_asked_of_the_images_that_it_gets(begin):
    context = begin(ZCA(), image_shape=(3, 32, 32)).context
    for before, fits in ((RandomCrop(size=16), True), (Upscale(factor=2), False)):
        small = replace(context, image_shape=(3, 64, 64)) if fits else context
        techniques = [before, ZCA()]
        begin_techniques(techniques, small)
        if fits:
            assert check_techniques(techniques) == []
        else:
            with pytest.raises(RecipeError, match="for 64×64×3 images"):
                check_techniques(techniques)


@pytest.mark.parametrize("first", [PerImageContrast(), MinMax(low=0, high=5)])
def test_statistics_are_of_what_the_techniques_before_make(make_images, begin, first):
    images = correlated(make_images)
    begin(first, images)
    for second in (Standardize(), ZCA(epsilon=1e-3)):
        begin_techniques([first, second], first.context)
        second.restore(second.fit(list(images.split(33))), torch.device("cpu"))
        found = second.prepare(first.prepare(images.float() / 255)).double()
        np.testing.assert_allclose(found.mean(dim=(0, 2, 3)), 0, atol=1e-4)
        if isinstance(second, Standardize):
            np.testing.assert_allclose(found.std(dim=(0, 2, 3), correction=0), 1, atol=1e-4)


def test_a_mean_image_of_crops(make_images, begin):
    crop, mean = RandomCrop(size=6), SubtractMeanImage()
    begin(crop)
    begin_techniques([crop, mean], crop.context)
    mean.restore(mean.fit([make_images(20)]), torch.device("cpu"))
    assert mean.learned["mean"].shape == (3, 6, 6)
