"""Small views of images: box means, chunk by chunk, so that a set larger than memory passes through."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

#: Images in float at once: 2,048 of 32×32×3 take 25 MB.
_CHUNK_VALUES = 6_291_456


def chunks(images: np.ndarray) -> Iterator[slice]:
    """Yield slices over the first axis of about 25 MB each once in float32."""
    step = max(1, _CHUNK_VALUES // max(1, int(np.prod(images.shape[1:]))))
    for start in range(0, len(images), step):
        yield slice(start, min(start + step, len(images)))


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
    return np.matmul(columns, narrow.reshape(count, height, old_width, channels))


@lru_cache(maxsize=16)
def _averaging(old: int, new: int) -> np.ndarray:
    """Return the (new, old) matrix whose row i averages the i-th of ``new`` equal parts of ``old`` pixels."""
    edges = np.linspace(0, old, new + 1)
    pixel = np.arange(old)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    weights = np.clip(covered, 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
