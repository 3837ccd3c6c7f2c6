"""What every trained model can be asked, whether PyTorch runs it or an exported file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stepladder.model.images import ImageLike, read_pixels


@dataclass(frozen=True)
class Predictions:
    """What a model says of some images.

    Attributes:
        class_names: by position.
        probabilities: float32 (N, classes), each row adding up to 1.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def labels(self) -> np.ndarray:
        """The most probable class of each image, int64 (N,)."""
        labels: np.ndarray = self.probabilities.argmax(axis=1)
        return labels

    @property
    def names(self) -> list[str]:
        """The name of each image's most probable class."""
        return [self.class_names[label] for label in self.labels]

    def top(self, count: int = 3) -> list[list[tuple[str, float]]]:
        """Return the ``count`` most probable classes of each image with their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]
        return [
            [(self.class_names[label], float(row[label])) for label in labels]
            for labels, row in zip(order, self.probabilities, strict=True)
        ]


class Classifier(ABC):
    """A trained network with the preprocessing that its evaluation used.

    Attributes:
        class_names: what the columns of the probabilities stand for.
        image_shape: (height, width, channels) of the images that it was trained on, in pixels.
        calibrated: whether the probabilities are of logits divided by a temperature that was fitted on validation
            images; else they are the plain softmax, which is often too sure.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    calibrated: bool

    @abstractmethod
    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``pixels`` (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: pixels of another shape or type.
        """

    def predict(self, images: ImageLike | Sequence[ImageLike]) -> Predictions:
        """Say what is on images of any size and mode, prepared as the images of the evaluation were.

        Args:
            images: one or more paths, Pillow images, or uint8 arrays (H, W), (H, W, C) or (N, H, W, C).

        Raises:
            DataError: something is no image, or cannot be read.
        """
        return Predictions(self.class_names, self.probabilities(read_pixels(images, self.image_shape)))
