"""What every trained model can be asked, whether PyTorch runs it or an exported file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from math import prod
from pathlib import Path

import numpy as np

from stepladder.datasets.archives import OpenArchives
from stepladder.datasets.image_set import Fit, Span
from stepladder.errors import DataError, RecipeError, printable
from stepladder.model.images import ImageLike, name_images, read_pixels
from stepladder.model.limits import (
    FEWEST_IMAGES,
    Answered,
    Limits,
    in_sets,
    rounded,
    threshold_for_risk,
    threshold_for_sets,
)

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
        answered: whether it is sure enough for the risk that was asked for; None where none was.
        classes: the set that holds the right class in the share of images asked for, likeliest first; None where none
            was.
        unlikeness: how far it is from the training images, in nats: above 0 it is unlike them; None where that was not
            asked for.
    """

    name: str
    probability: float
    path: Path | None = None
    answered: bool | None = None
    classes: tuple[str, ...] | None = None
    unlikeness: float | None = None


@dataclass(frozen=True)
class Doubts:
    """What is asked of a model beside its classes, and the thresholds for it.

    Attributes:
        risk: share of wrong answers among those that it gives, as was asked for; None where it answers everything.
        coverage: share of sets that hold the right class, likewise.
        unlike: whether it says how unlike the training images an image is.
        answered: from where on it answers, and what its validation images did there.
        inside: probability from which on a class is in a set.
    """

    risk: float | None = None
    coverage: float | None = None
    unlike: bool = False
    answered: Answered | None = None
    inside: float | None = None


@dataclass(frozen=True, repr=False)
class Predictions:
    """What a model says of some images; iterating gives a :class:`Prediction` for each, in order.

    Attributes:
        class_names: by position.
        probabilities: float32 (N, classes), each row adding up to 1.
        paths: of each image's file, None for an image that came from memory; empty where none was kept.
        answered: bool (N,), whether the model is sure enough for the risk that was asked for; None where none was.
        inside: bool (N, classes), which classes are in each image's set; None where no coverage was asked for.
        unlikeness: float32 (N,), how far each image is from the training images, in nats: above 0 it is unlike them, as
            at most one in twenty images like them is; None where that was not asked for.
    """

    class_names: tuple[str, ...]
    probabilities: np.ndarray
    paths: tuple[Path | None, ...] = ()
    answered: np.ndarray | None = None
    inside: np.ndarray | None = None
    unlikeness: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.probabilities)

    def __iter__(self) -> Iterator[Prediction]:
        paths = self.paths or (None,) * len(self)
        sets = self.sets
        for number, (label, row, path) in enumerate(zip(self.labels, self.probabilities, paths, strict=True)):
            yield Prediction(
                self.class_names[label],
                float(row[label]),
                path,
                None if self.answered is None else bool(self.answered[number]),
                None if sets is None else sets[number],
                None if self.unlikeness is None else float(self.unlikeness[number]),
            )

    def __repr__(self) -> str:
        lines = [f"Predictions of {len(self):,} image{'s' if len(self) != 1 else ''}"]
        for one in islice(self, _SHOWN):
            line = f"  {printable(one.name[:_LETTERS])} {100 * one.probability:.1f} %{_doubted(one)}"
            lines.append(line if one.path is None else f"{line}  {printable(str(one.path)[-_LETTERS:])}")
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

    @property
    def sets(self) -> list[tuple[str, ...]] | None:
        """The names in each image's set, likeliest first; None where no coverage was asked for."""
        if self.inside is None:
            return None
        order = np.argsort(-self.probabilities, axis=1, kind="stable")
        return [
            tuple(self.class_names[label] for label in labels if inside[label])
            for labels, inside in zip(order, self.inside, strict=True)
        ]

    @property
    def unlike(self) -> np.ndarray | None:
        """Whether each image is unlike the training images, bool (N,); None where that was not asked for."""
        return None if self.unlikeness is None else self.unlikeness > 0

    def top(self, count: int = 3) -> list[list[tuple[str, float]]]:
        """Return the ``count`` most probable classes of each image with their probabilities, likeliest first."""
        order = np.argsort(-self.probabilities, axis=1, kind="stable")[:, :count]
        return [
            [(self.class_names[label], float(row[label])) for label in labels]
            for labels, row in zip(order, self.probabilities, strict=True)
        ]


def _doubted(one: Prediction) -> str:
    told = ["not sure enough"] if one.answered is False else []
    told += ["unlike the training images"] if one.unlikeness is not None and one.unlikeness > 0 else []
    return f" ({', '.join(told)})" if told else ""


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
        arithmetic: what it computes in, and by what: ``bfloat16 by PyTorch``, ``float32 by onnxruntime``.
    """

    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    fit: Fit
    span: Span | None
    calibrated: bool
    limits: Limits | None
    tells_unlikeness: bool
    arithmetic: str

    @abstractmethod
    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 probabilities (N, classes) of uint8 ``pixels`` (N, H, W, C) of ``image_shape``.

        Raises:
            RecipeError: pixels of another shape or type.
        """

    @abstractmethod
    def with_unlikeness(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the same, and how unlike the training images each image is, float32 (N,), above 0 for unlike.

        Only of a model that ``tells_unlikeness``.

        Raises:
            RecipeError: pixels of another shape or type.
        """

    def doubts(self, abstain: float | None = None, sets: float | None = None, unlike: bool = False) -> Doubts:
        """Return the thresholds for what is asked beside the classes; see :meth:`predict`.

        Raises:
            RecipeError: the model's validation images cannot promise it, or it has none.
        """
        for name, asked in (("abstain", abstain is not None), ("sets", sets is not None)):
            if asked and self.limits is None:
                raise RecipeError(
                    f"`{name}` goes by what validation images promise, and this model knows of none: it was trained "
                    "without any, its test images were not read yet, or it is of an older version; train it again"
                )
        if unlike and not self.tells_unlikeness:
            why = (
                "this model knows of none: it was trained without any, its test images were not read yet, or it is of "
                "an older version"
                if self.limits is None
                else "this model had fewer"
            )
            raise RecipeError(f"`unlike` needs {FEWEST_IMAGES} validation images or more, and {why}; train it again")
        answered = inside = None
        if abstain is not None and self.limits is not None:
            answered = threshold_for_risk(self.limits.answered, abstain)
        if sets is not None and self.limits is not None:
            inside = threshold_for_sets(self.limits.true_probability, sets)
        return Doubts(abstain, sets, unlike, answered, inside)

    def predict(
        self,
        images: ImageLike | Sequence[ImageLike],
        *,
        abstain: float | None = None,
        sets: float | None = None,
        unlike: bool = False,
    ) -> Predictions:
        """Say what is on images of any size and mode, prepared as the images of the evaluation were.

        Args:
            images: one or more paths of files, folders or archives (all images in them but what is hidden), patterns
                with ``*`` or ``?``, Pillow images, or uint8 arrays (H, W), (H, W, C) or (N, H, W, C).
            abstain: share of wrong answers among those that are given, more than 0 and less than 1: where the model is
                not sure enough for it, ``answered`` is False. It holds with 90 % confidence for images like those held
                out for validation; see :func:`stepladder.model.limits.threshold_for_risk`.
            sets: share of the images whose set of classes holds the right one, likewise; see
                :func:`stepladder.model.limits.threshold_for_sets`.
            unlike: say how unlike the training images each image is.

        Raises:
            DataError: something is no image, or cannot be read.
            RecipeError: the model's validation images cannot promise what is asked, or it has none.
        """
        doubts = self.doubts(abstain, sets, unlike)
        with OpenArchives() as archives:
            named = list(name_images(images, archives))
            if not named:
                raise DataError(
                    "there are no images to look at; give files, folders, archives, patterns, Pillow images or arrays"
                )
            held = max(1, _HELD_BYTES // prod(self.image_shape))
            parts: list[Predictions] = []
            for start in range(0, len(named), held):
                pixels = read_pixels(
                    [image for image, _ in named[start : start + held]], self.image_shape, self.fit, self.span
                )
                parts.append(self.answer(pixels, doubts))
        return Predictions(
            self.class_names,
            np.concatenate([part.probabilities for part in parts]),
            tuple(path for _, path in named),
            _joined([part.answered for part in parts]),
            _joined([part.inside for part in parts]),
            _joined([part.unlikeness for part in parts]),
        )

    def fast_probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return :meth:`probabilities` by the fastest arithmetic here that names the same classes, to 1e-4."""
        return self.probabilities(pixels)

    def answer(self, pixels: np.ndarray, doubts: Doubts) -> Predictions:
        """Say what is on uint8 ``pixels`` (N, H, W, C) of ``image_shape``, with what ``doubts`` ask for.

        Raises:
            RecipeError: pixels of another shape or type.
        """
        if doubts.unlike:
            return self.doubted(*self.with_unlikeness(pixels), doubts)
        return self.doubted(self.fast_probabilities(pixels), None, doubts)

    def doubted(self, probabilities: np.ndarray, unlikeness: np.ndarray | None, doubts: Doubts) -> Predictions:
        """Return an answer with what ``doubts`` ask for, of float32 probabilities (N, classes) and unlikeness (N,)."""
        answered = inside = None
        if doubts.answered is not None:
            answered = rounded(probabilities.max(axis=1)) > doubts.answered.above
        if doubts.inside is not None:
            inside = in_sets(probabilities, doubts.inside)
        return Predictions(self.class_names, probabilities, (), answered, inside, unlikeness)

    def _described(self, place: str) -> str:
        """Return a short line: the class, how many names, the images' shape, where it was read from."""
        height, width, channels = self.image_shape
        count = len(self.class_names)
        told = f"{count} class{'es' if count != 1 else ''}, images of {height}×{width}×{channels}"
        return f"{type(self).__name__}({told}{f', from {printable(place[-300:])}' if place else ''})"


def _joined(parts: list[np.ndarray | None]) -> np.ndarray | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None
