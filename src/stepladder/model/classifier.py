"""What every trained model can be asked, whether PyTorch runs it or an exported file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np

from stepladder.datasets.image_set import Fit, Span
from stepladder.errors import DataError
from stepladder.model.images import ImageLike, name_images, read_pixels

#: Pixels that are held at a time while many files are asked about, in bytes.
_HELD_BYTES = 2**28
#: Images that a printed answer names, and letters of a name or path.
_SHOWN, _LETTERS = 5, 36


@dataclass(frozen=True)
class Prediction:
    """What a model says of one image.

    Attributes:
        name: the most probable class.
        probability: of that class, a fraction of 1.
        path: of the file; None for an image that came from memory.
    """

    name: str
    probability: float
    path: Path | None = None


@dataclass(frozen=True, repr=False)
class Predictions:
    """What a model says of some images; iterating gives a :class:`Prediction` for each, in order.

    Attributes:
        class_names: by position.
        probabilities: float32 (N, classes), each row adding up to 1.
        paths: of each image's file, None for an image that came from memory; empty where none was kept.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray
    paths: tuple[Path | None, ...] = ()

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[Prediction]:
        paths = self.paths or (None,) * len(self)
        for label, row, path in zip(self.labels, self.probabilities, paths, strict=True):
            yield Prediction(self.class_names[label], float(row[label]), path)

    def __repr__(self) -> str:
        lines = [f"Predictions of {len(self):,} image{'s' if len(self) != 1 else ''}"]
        for one in islice(self, _SHOWN):
            line = f"  {one.name[:_LETTERS]} {100 * one.probability:.1f} %"
            lines.append(line if one.path is None else f"{line}  {str(one.path)[-_LETTERS:]}")
        if len(self) > _SHOWN:
            lines.append(f"  and {len(self) - _SHOWN:,} more")
        return "\n".join(lines)

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
        fit: how images of another shape are brought to it; see :data:`stepladder.datasets.image_set.FITS`.
        span: of gray images of more than 8 bits, the values (0 to 65,535) that become black and white; None for 0 and
            65,535.
        calibrated: whether the probabilities are of logits divided by a temperature that was fitted on validation
            images; else they are the plain softmax, which is often too sure.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    fit: Fit
    span: Span | None
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
            images: one or more paths of files or folders (all images below them but what is hidden), patterns with
                ``*`` or ``?``, Pillow images, or uint8 arrays (H, W), (H, W, C) or (N, H, W, C).

        Raises:
            DataError: something is no image, or cannot be read.
        """
        named = list(name_images(images))
        if not named:
            raise DataError("there are no images to look at; give files, folders, patterns, Pillow images or arrays")
        held = max(1, _HELD_BYTES // prod(self.image_shape))
        parts = []
        for start in range(0, len(named), held):
            pixels = read_pixels(
                [image for image, _ in named[start : start + held]], self.image_shape, self.fit, self.span
            )
            parts.append(self.probabilities(pixels))
        return Predictions(self.class_names, np.concatenate(parts), tuple(path for _, path in named))

    def _described(self, place: str) -> str:
        """Return a short line: the class, how many names, the images' shape, where it was read from."""
        height, width, channels = self.image_shape
        count = len(self.class_names)
        told = f"{count} class{'es' if count != 1 else ''}, images of {height}×{width}×{channels}"
        return f"{type(self).__name__}({told}{f', from {place[-300:]}' if place else ''})"
