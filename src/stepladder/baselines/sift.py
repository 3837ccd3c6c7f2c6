"""SIFT on a dense grid: how strongly, and in which directions, brightness changes around each point.

Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 2004, section 6, by OpenCV (extra
``baseline``); a grid instead of found points after Fei-Fei and Perona, CVPR 2005; its square root after Arandjelović
and Zisserman, "Three things everyone should know to improve object retrieval", CVPR 2012, section 4 (RootSIFT).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from stepladder.errors import StepladderError, missing_extra

#: Values of a descriptor: 4 × 4 cells of 8 directions.
LENGTH = 128

#: OpenCV's cells are 1.5 times the size of a keypoint wide.
_CELL = 1.5


def load_opencv() -> Any:
    """Return the module ``cv2``.

    Raises:
        StepladderError: it is not installed; the sentence gives the command.
    """
    try:
        import cv2
    except ImportError as error:
        raise StepladderError(
            f"{missing_extra('OpenCV', 'baseline')}; or take --descriptor patches, which needs nothing"
        ) from error
    return cv2


def sift_grid(height: int, width: int, window: int, step: int) -> np.ndarray:
    """Return the points of the grid, float64 (P, 2): row and column in pixels, ``step`` apart, centered in the image.

    The outermost points are at least a quarter of the ``window`` from the border: SIFT sees black beyond it.
    """
    margin = window / 4
    axes = []
    for length in (height, width):
        count = int((length - 1 - 2 * margin) // step) + 1
        axes.append((length - 1) / 2 + step * (np.arange(count) - (count - 1) / 2))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def describe_points(images: np.ndarray, points: np.ndarray, window: int) -> np.ndarray:
    """Return RootSIFT of grey images at given points, upright and at one scale.

    Args:
        images: uint8, shape (N, H, W).
        points: float, shape (P, 2), row and column.
        window: width in pixels of the square that a descriptor covers.

    Returns:
        float32, shape (N, P, 128), each row of length 1, or 0 where the image is flat.
    """
    cv2 = load_opencv()
    sift = cv2.SIFT_create()
    size = window / (4 * _CELL)
    keypoints = [cv2.KeyPoint(float(column), float(row), size, 0.0) for row, column in points]
    found = np.empty((len(images), len(points), LENGTH), np.float32)
    for position, image in enumerate(images):
        kept, values = sift.compute(np.ascontiguousarray(image), keypoints)
        assert len(kept) == len(points), (len(kept), len(points))
        found[position] = values
    return root(found)


def root(values: np.ndarray) -> np.ndarray:
    """Return √(x / Σx) of each row of ``values`` (..., D), which are at least 0; rows of zeros stay zeros."""
    total = values.sum(axis=-1, keepdims=True)
    roots: np.ndarray = np.sqrt(values / np.where(total > 0, total, 1))
    return roots


def to_grey(images: np.ndarray) -> np.ndarray:
    """Return uint8 (N, H, W) of uint8 images (N, H, W, C), brightness by ITU-R BT.601 as JPEG has it."""
    if images.shape[-1] == 1:
        return images[..., 0]
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    grey: np.ndarray = np.rint(images.astype(np.float32) @ weights).astype(np.uint8)
    return grey
