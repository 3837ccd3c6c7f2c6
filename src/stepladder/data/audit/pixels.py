"""Small views of images: box means, and what is computed of one chunk after another."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def box_means(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return ``images`` (N, H, W, C) as means over ``height`` × ``width`` boxes, fractional boxes included.

    Returns:
        float32, shape (N, height, width, C), in the values of the input.
    """
    if images.shape[1:3] == (height, width):
        return images.astype(np.float32)
    rows, columns = _averaging(images.shape[1], height), _averaging(images.shape[2], width)
    count, _, old_width, channels = images.shape
    narrow = np.matmul(rows, images.reshape(count, images.shape[1], -1).astype(np.float32))
    means: np.ndarray = np.matmul(columns, narrow.reshape(count, height, old_width, channels))
    return means


@lru_cache(maxsize=16)
def _averaging(old: int, new: int) -> np.ndarray:
    """Return the (new, old) matrix whose row i averages the i-th of ``new`` equal parts of ``old`` pixels."""
    edges = np.linspace(0, old, new + 1)
    pixel = np.arange(old)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights: np.ndarray = np.clip(covered, 0, None)
    averaging: np.ndarray = weights / weights.sum(axis=1, keepdims=True)
    return averaging.astype(np.float32)
