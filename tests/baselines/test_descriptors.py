"""Whitened patches and dense SIFT, against slow references and other libraries."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from PIL import Image

from stepladder.baselines.descriptors import (
    cut_patches,
    describe_points,
    fit_whitening,
    normalize_contrast,
    patch_grid,
    resized_shape,
    root,
    sift_grid,
    to_gray,
    to_shorter_side,
)
from stepladder.errors import StepladderError

RANDOM = np.random.default_rng(0)


def test_patches_are_cut_like_one_by_one() -> None:
    images = RANDOM.integers(0, 256, (3, 9, 11, 3), dtype=np.uint8)
    found = cut_patches(images, size=4, stride=2)
    slow = []
    for image in images:
        own = []
        for row in range(0, 9 - 4 + 1, 2):
            for column in range(0, 11 - 4 + 1, 2):
                patch = image[row : row + 4, column : column + 4]
                own.append(np.concatenate([patch[..., channel].ravel() for channel in range(3)]))
        slow.append(own)
    np.testing.assert_array_equal(found, np.array(slow, np.float32))
    assert found.dtype == np.float32
    grid = patch_grid(9, 11, 4, 2)
    assert len(grid) == found.shape[1]
    np.testing.assert_allclose(grid[1], [2 / 9, 4 / 11])


def test_contrast_is_normalized_like_one_by_one() -> None:
    patches = RANDOM.integers(0, 256, (5, 7, 12)).astype(np.float32)
    patches[0, 0] = 200  # a flat one
    slow = np.array([[(patch - patch.mean()) / np.sqrt(patch.var() + 10) for patch in image] for image in patches])
    found = normalize_contrast(patches.copy())
    np.testing.assert_allclose(found, slow, atol=1e-5)
    assert not found[0, 0].any()


def test_whitened_patches_have_the_covariance_of_the_formula() -> None:
    mixed = RANDOM.normal(size=(4000, 6)) @ RANDOM.normal(size=(6, 6)) + 3
    rows = mixed.astype(np.float32)
    mean, matrix = fit_whitening(rows)
    np.testing.assert_allclose(mean, mixed.mean(axis=0), atol=1e-4)
    covariance = np.cov(mixed.T, bias=True)
    values, vectors = np.linalg.eigh(covariance)
    np.testing.assert_allclose(matrix, vectors @ np.diag((values + 0.1) ** -0.5) @ vectors.T, atol=1e-3)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-5)
    white = np.cov(((rows - mean) @ matrix).T, bias=True)
    np.testing.assert_allclose(np.linalg.eigvalsh(white), np.sort(values / (values + 0.1)), atol=1e-3)


def test_the_grid_is_centered_and_keeps_its_distance() -> None:
    grid = sift_grid(64, 48, window=24, step=4)
    np.testing.assert_allclose(grid.mean(axis=0), [31.5, 23.5])
    assert grid.min() >= 6
    assert grid[:, 0].max() <= 63 - 6
    assert sorted(set(np.diff(np.unique(grid[:, 0])))) == [4.0]


def test_a_smallest_image_still_has_a_point() -> None:
    assert len(sift_grid(13, 13, window=24, step=8)) == 1


def test_the_root_of_shares() -> None:
    values = np.array([[1.0, 3.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(root(values), [[0.5, np.sqrt(0.75)], [0, 0]])


def test_gray_is_that_of_pillow() -> None:
    from PIL import Image

    images = RANDOM.integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    by_pillow = np.array([np.asarray(Image.fromarray(image).convert("L")) for image in images])
    assert np.abs(to_gray(images).astype(int) - by_pillow).max() <= 1
    np.testing.assert_array_equal(to_gray(images[..., :1]), images[..., 0])


def test_every_point_is_described_in_its_place() -> None:
    pytest.importorskip("cv2", reason="the extra 'sift' is not installed")
    images = RANDOM.integers(0, 256, (2, 64, 64), dtype=np.uint8)
    images[1] = 77  # flat
    points = sift_grid(64, 64, window=24, step=16)
    found = describe_points(images, points, window=24)
    assert found.shape == (2, len(points), 128)
    np.testing.assert_allclose(np.linalg.norm(found[0], axis=1), 1, atol=1e-5)
    assert not found[1].any()
    # The same point alone is described alike, and what happens far away does not matter to it.
    alone = describe_points(images[:1], points[:1], window=24)
    np.testing.assert_array_equal(alone[0, 0], found[0, 0])
    changed = images[:1].copy()
    changed[0, 50:, 50:] = 0
    np.testing.assert_array_equal(describe_points(changed, points, window=24)[0, 0], found[0, 0])


def test_an_edge_is_told_by_its_direction() -> None:
    pytest.importorskip("cv2", reason="the extra 'sift' is not installed")
    image = np.zeros((1, 64, 64), np.uint8)
    image[:, :, 32:] = 200  # brighter to the right: all gradients point one way
    middle = np.array([[31.5, 31.5]])
    directions = (describe_points(image, middle, window=24)[0, 0].reshape(16, 8) ** 2).sum(axis=0)
    assert directions.argmax() == 0
    assert directions[0] > 0.8
    upright = (describe_points(image.transpose(0, 2, 1), middle, window=24)[0, 0].reshape(16, 8) ** 2).sum(axis=0)
    assert upright.argmax() in (2, 6)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(StepladderError, match=r"pip install 'stepladder\[sift\]'; or take `descriptor=\"patches\"`"):
        describe_points(np.zeros((1, 8, 8), np.uint8), np.array([[4.0, 4.0]]), 6)


def test_the_shorter_side_is_resized_and_the_proportions_stay() -> None:
    assert resized_shape(40, 20, 10) == (20, 10)
    assert resized_shape(20, 41, 40) == (40, 82)
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 24, 3), dtype=np.uint8)
    small = to_shorter_side(images, 6)
    assert small.shape == (3, 6, 12, 3)
    by_pillow = np.asarray(Image.fromarray(images[1]).resize((12, 6), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(small[1], by_pillow)
    assert to_shorter_side(images[..., :1], 6).shape == (3, 6, 12, 1)
    assert to_shorter_side(images, 12) is images
