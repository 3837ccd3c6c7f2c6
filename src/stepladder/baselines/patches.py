"""Whitened patches: every small square of an image as a vector, its brightness, contrast and correlations removed.

Coates, Lee and Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011, section 3.1.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

#: Added to the variance of a patch, pixels 0 to 255: smooth patches are not blown up to noise (section 3.1.1).
VARIANCE_FLOOR = 10.0

#: Added to every eigenvalue of the covariance of normalized patches (the paper's epsilon for whitening).
EPSILON = 0.1


def patch_grid(height: int, width: int, size: int, stride: int) -> np.ndarray:
    """Return the centers of all patches of an image, float64 (P, 2): row and column from 0 to 1, row by row."""
    rows = (np.arange(0, height - size + 1, stride) + size / 2) / height
    columns = (np.arange(0, width - size + 1, stride) + size / 2) / width
    return np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1).reshape(-1, 2)


def cut_patches(images: np.ndarray, size: int, stride: int) -> np.ndarray:
    """Return the patches of uint8 images (N, H, W, C) as float32 (N, P, C·size·size), in the order of the grid."""
    windows = sliding_window_view(images, (size, size), axis=(1, 2))[:, ::stride, ::stride]
    count, rows, columns, channels = windows.shape[:4]
    return windows.reshape(count, rows * columns, channels * size * size).astype(np.float32)


def normalize_contrast(patches: np.ndarray) -> np.ndarray:
    """Return x ← (x − mean(x)) / √(var(x) + 10) for each patch x, float32; ``patches`` (..., D) is changed in place."""
    patches -= patches.mean(axis=-1, keepdims=True)
    variance = np.einsum("...d,...d->...", patches, patches)[..., None] / np.float32(patches.shape[-1])
    patches /= np.sqrt(variance + np.float32(VARIANCE_FLOOR))
    return patches


def fit_whitening(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, float32 (D,), and the ZCA matrix, float32 (D, D), of normalized patches (N, D).

    The matrix is U·(Λ + 0.1)^(−1/2)·Uᵀ with Λ and U of the covariance, computed in float64.
    """
    mean = patches.mean(axis=0, dtype=np.float64)
    covariance = np.zeros((len(mean), len(mean)))
    for start in range(0, len(patches), 65_536):
        rows = patches[start : start + 65_536] - mean
        covariance += rows.T @ rows
    values, vectors = np.linalg.eigh(covariance / len(patches))
    matrix = (vectors / np.sqrt(values.clip(min=0) + EPSILON)) @ vectors.T
    return mean.astype(np.float32), matrix.astype(np.float32)
