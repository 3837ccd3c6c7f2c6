"""Against slow references, patch by patch."""

import numpy as np

from stepladder.baselines.descriptors import cut_patches, fit_whitening, normalize_contrast, patch_grid

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
