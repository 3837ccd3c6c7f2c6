"""The two dense local descriptors: what they learn, where they stand, and what they say of images.

Whitened patches (Coates, Lee and Ng, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS
2011, section 3.1): every small square of an image as a vector, its brightness, contrast and correlations removed.

SIFT on a grid: how strongly, and in which directions, brightness changes around each point. Lowe, "Distinctive Image
Features from Scale-Invariant Keypoints", IJCV 2004, section 6, by OpenCV (extra ``baseline``); a grid instead of found
points after Fei-Fei and Perona, CVPR 2005; its square root after Arandjelović and Zisserman, "Three things everyone
should know to improve object retrieval", CVPR 2012, section 4 (RootSIFT).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from stepladder.baselines.settings import BagSettings
from stepladder.errors import StepladderError, missing_extra

#: Added to the variance of a patch, pixels 0 to 255: smooth patches are not blown up to noise (section 3.1.1).
VARIANCE_FLOOR = 10.0

#: Added to every eigenvalue of the covariance of normalized patches (the paper's epsilon for whitening).
EPSILON = 0.1

#: Values of a descriptor: 4 × 4 cells of 8 directions.
LENGTH = 128

#: OpenCV's cells are 1.5 times the size of a keypoint wide.
_CELL = 1.5


class Descriptor(Protocol):
    """A dense local descriptor.

    Attributes:
        centers: where the descriptors of an image stand, float64 (P, 2), row and column from 0 to 1.
    """

    centers: np.ndarray

    def raw(self, images: np.ndarray) -> np.ndarray:
        """Return descriptors of uint8 images (N, H, W, C) before anything learned, float32 (N, P, D)."""
        ...

    def learn(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Return what is learned from descriptors (M, D) of training images."""
        ...

    def finish(self, raw: np.ndarray, learned: Mapping[str, np.ndarray]) -> np.ndarray:
        """Apply what was learned to descriptors (..., D)."""
        ...


def make_descriptor(settings: BagSettings, height: int, width: int) -> Descriptor:
    """Return the descriptor of ``settings`` for images of ``height`` × ``width`` pixels.

    Raises:
        StepladderError: it needs an extra that is not installed.
    """
    kind = WhitenedPatches if settings.descriptor == "patches" else DenseSift
    return kind(settings, height, width)


class WhitenedPatches:
    """Patches after Coates, Lee and Ng 2011; what it learns is the whitening."""

    def __init__(self, settings: BagSettings, height: int, width: int) -> None:
        self._side, self._window, self._step = settings.side, settings.window, settings.step
        self.centers = patch_grid(*resized_shape(height, width, settings.side), settings.window, settings.step)

    def raw(self, images: np.ndarray) -> np.ndarray:
        """Return patches with their brightness and contrast removed."""
        return normalize_contrast(cut_patches(to_shorter_side(images, self._side), self._window, self._step))

    def learn(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        """Return the whitening's ``mean`` and ``matrix``."""
        mean, matrix = fit_whitening(raw)
        return {"mean": mean, "matrix": matrix}

    def finish(self, raw: np.ndarray, learned: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whiten."""
        whitened: np.ndarray = (raw - learned["mean"]) @ learned["matrix"]
        return whitened


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


class DenseSift:
    """RootSIFT on a grid; it learns nothing."""

    def __init__(self, settings: BagSettings, height: int, width: int) -> None:
        load_opencv()
        shape = resized_shape(height, width, settings.side)
        self._side, self._window = settings.side, settings.window
        self._points = sift_grid(*shape, settings.window, settings.step)
        self.centers = (self._points + 0.5) / shape

    def raw(self, images: np.ndarray) -> np.ndarray:
        """Return the descriptors of gray images."""
        return describe_points(
            to_shorter_side(to_gray(images)[..., None], self._side)[..., 0], self._points, self._window
        )

    def learn(self, raw: np.ndarray) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def finish(self, raw: np.ndarray, learned: Mapping[str, np.ndarray]) -> np.ndarray:  # noqa: ARG002
        """Return them as they are."""
        return raw


def load_opencv() -> Any:
    """Return the module ``cv2``.

    Raises:
        StepladderError: it is not installed; the sentence gives the command.
    """
    try:
        import cv2
    except ImportError as error:
        raise StepladderError(
            f'{missing_extra("OpenCV", "sift")}; or take `descriptor="patches"`, which needs nothing'
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
    """Return RootSIFT of gray images at given points, upright and at one scale.

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


def to_gray(images: np.ndarray) -> np.ndarray:
    """Return uint8 (N, H, W) of uint8 images (N, H, W, C), brightness by ITU-R BT.601 as JPEG has it."""
    if images.shape[-1] == 1:
        return images[..., 0]
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    gray: np.ndarray = np.rint(images.astype(np.float32) @ weights).astype(np.uint8)
    return gray


def resized_shape(height: int, width: int, side: int) -> tuple[int, int]:
    """Return height and width of an image whose shorter side becomes ``side``, in proportion, to the nearest pixel."""
    shorter = min(height, width)
    return max(side, round(height * side / shorter)), max(side, round(width * side / shorter))


def to_shorter_side(images: np.ndarray, side: int) -> np.ndarray:
    """Return uint8 images (N, H, W, C) resized so that the shorter side has ``side`` pixels, antialiased."""
    count, height, width, channels = images.shape
    new_height, new_width = resized_shape(height, width, side)
    if (new_height, new_width) == (height, width):
        return images
    resized = np.empty((count, new_height, new_width, channels), np.uint8)
    for position, image in enumerate(images):
        picture = Image.fromarray(image[..., 0] if channels == 1 else image)
        smaller = picture.resize((new_width, new_height), Image.Resampling.BICUBIC)
        resized[position] = np.asarray(smaller).reshape(new_height, new_width, channels)
    return resized
