"""A trained network that PyTorch runs, with the preprocessing that its evaluation used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stepladder.datasets.image_set import Fit, Span
from stepladder.errors import RecipeError, StorageError
from stepladder.model.classifier import Classifier
from stepladder.model.forward import FEWEST_IMAGES, FastForward
from stepladder.model.image_statistics import statistics_of
from stepladder.model.limits import Limits
from stepladder.model.unlikeness import Seen, Unlikeness, with_features
from stepladder.techniques import Technique
from stepladder.training.device import Compute, threads_for
from stepladder.training.evaluate import ImageBatches, compute_logits, prepare_images

#: About as many images as evaluation takes at a time, and images whose features are held at a time.
_EVALUATION_BATCH, _HELD = 250, 2_000


@dataclass(frozen=True, repr=False)
class Model(Classifier):
    """A trained network in PyTorch, with the preprocessing that its evaluation used.

    Attributes:
        class_names: what the columns of the logits stand for.
        image_shape: (height, width, channels) of the images that it was trained on, in pixels.
        fit: how images of another shape are brought to it; see :data:`stepladder.datasets.image_set.FITS`.
        span: see :class:`Classifier`.
        module: from prepared images to logits.
        techniques: fitted, in recipe order; they prepare the images.
        compute: where it runs.
        temperature: what logits are divided by before they become probabilities (Guo et al., On Calibration of Modern
            Neural Networks, 2017, section 4.2); 1 changes nothing.
        calibrated: whether the temperature was fitted on validation images.
        macs: multiply-accumulates an image; few of them are done by one thread.
        folder: where it was read from; None for one that was not.
        limits, unlikeness: what its validation images promise, and how unlike its training images an image is; None
            where that is not known.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    module: nn.Sequential
    techniques: Sequence[Technique]
    compute: Compute
    temperature: float = 1.0
    macs: int = 0
    calibrated: bool = False
    folder: Path | None = None
    fit: Fit = "crop"
    span: Span | None = None
    limits: Limits | None = None
    unlikeness: Unlikeness | None = None

    def __repr__(self) -> str:
        return self._described("" if self.folder is None else str(self.folder))

    @property
    def tells_unlikeness(self) -> bool:  # type: ignore[override]
        """Whether it can say how unlike its training images an image is."""
        return self.unlikeness is not None

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``pixels`` (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: pixels of another shape or type.
        """
        scaled = torch.from_numpy(self.logits(pixels)) / self.temperature
        return scaled.softmax(dim=1).numpy()

    def fast_probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return :meth:`probabilities`, of many images by onnxruntime where that says the same of the first of them."""
        fast = self._fast if len(pixels) >= FEWEST_IMAGES else None
        logits = fast.logits(pixels) if fast is not None and fast.agrees(pixels, self.logits) else None
        if logits is None:
            return self.probabilities(pixels)
        return (torch.from_numpy(logits) / self.temperature).softmax(dim=1).numpy()

    @property
    def arithmetic(self) -> str:  # type: ignore[override]
        """What it last computed many images in, and by what."""
        fast = self.__dict__.get("_fast")
        by = "onnxruntime" if fast is not None and fast.chosen else "PyTorch"
        return f"{self.compute.precision} by {by}"

    @cached_property
    def _fast(self) -> FastForward | None:
        on_processor = self.compute.device.type == "cpu" and self.compute.precision == "float32"
        return FastForward(self.module, self.techniques, self.compute) if on_processor else None

    def with_unlikeness(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities as above, and how unlike the training images each image is, float32 (N,).

        Raises:
            RecipeError: pixels of another shape or type.
        """
        assert self.unlikeness is not None
        module, classes = self._featured, len(self.class_names)
        parts = []
        for start in range(0, len(pixels), _HELD):  # features are wide
            outputs = self._outputs(module, pixels[start : start + _HELD])
            logits, features = outputs[:, :classes], outputs[:, classes:]
            statistics, looks = statistics_of(pixels[start : start + _HELD]), self.unlikeness.looks
            other = looks is not None and statistics.shape[1] != len(looks.center)
            if other or features.shape[1] != len(self.unlikeness.center):
                raise StorageError(f"{self.folder} has the unlikeness of another network; train the model again")
            probabilities = (torch.from_numpy(logits) / self.temperature).softmax(dim=1).numpy()
            parts.append((probabilities, self.unlikeness.score(Seen(logits, features, statistics))))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    @cached_property
    def _featured(self) -> nn.Module:
        # Once: it asks the network twice, which takes longer than the answer to one image.
        return with_features(self.module, self.example())

    def example(self) -> Tensor:
        """Return two images as the network reads them, prepared, black: to look at what it gives."""
        height, width, channels = self.image_shape
        black = torch.zeros((2, channels, height, width), dtype=torch.uint8, device=self.compute.device)
        return prepare_images(black, self.techniques)

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Return float32 logits (N, classes) of uint8 images (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: images of another shape or type.
        """
        return self._outputs(self.module, images)

    def _outputs(self, module: nn.Module, images: np.ndarray) -> np.ndarray:
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.image_shape:
            height, width, channels = self.image_shape
            raise RecipeError(
                f"the model reads uint8 images (N, {height}, {width}, {channels}); got {images.dtype} {images.shape}"
            )
        # torch reads neither mirrored views nor, without a warning, read-only memory; only those are copied.
        images = np.require(images, requirements=["C", "W"])
        batches = ImageBatches(torch.from_numpy(images).to(self.compute.device))
        with threads_for(min(len(images), _EVALUATION_BATCH) * self.macs, self.compute.threads):
            return compute_logits(module, self.techniques, batches, self.compute).cpu().numpy()
