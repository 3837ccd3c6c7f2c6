"""The two local descriptors behind one face: what they learn, where they stand, and what they say of images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from stepladder.baselines.blocks import resized_shape, to_shorter_side
from stepladder.baselines.patches import cut_patches, fit_whitening, normalize_contrast, patch_grid
from stepladder.baselines.settings import BagSettings
from stepladder.baselines.sift import describe_points, load_opencv, sift_grid, to_grey


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


class DenseSift:
    """RootSIFT on a grid; it learns nothing."""

    def __init__(self, settings: BagSettings, height: int, width: int) -> None:
        load_opencv()
        shape = resized_shape(height, width, settings.side)
        self._side, self._window = settings.side, settings.window
        self._points = sift_grid(*shape, settings.window, settings.step)
        self.centers = (self._points + 0.5) / shape

    def raw(self, images: np.ndarray) -> np.ndarray:
        """Return the descriptors of grey images."""
        return describe_points(
            to_shorter_side(to_grey(images)[..., None], self._side)[..., 0], self._points, self._window
        )

    def learn(self, raw: np.ndarray) -> dict[str, np.ndarray]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def finish(self, raw: np.ndarray, learned: Mapping[str, np.ndarray]) -> np.ndarray:  # noqa: ARG002
        """Return them as they are."""
        return raw


def make_descriptor(settings: BagSettings, height: int, width: int) -> Descriptor:
    """Return the descriptor of ``settings`` for images of ``height`` × ``width`` pixels.

    Raises:
        StepladderError: it needs an extra that is not installed.
    """
    kind = WhitenedPatches if settings.descriptor == "patches" else DenseSift
    return kind(settings, height, width)
