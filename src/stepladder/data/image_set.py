"""The image set: labelled images in memory, their class names, and a fingerprint of the content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from stepladder.errors import DataError

#: The names a split can have. ``train`` is always there; a source gives the others where its data has them.
SPLIT_NAMES = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """One part of an image set.

    Attributes:
        images: uint8, shape (N, H, W, C), values 0 to 255, C is 1 or 3.
        labels: int64, shape (N,), positions in the image set's ``class_names``.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        assert self.images.dtype == np.uint8, self.images.dtype
        assert self.images.ndim == 4, self.images.shape
        assert self.labels.dtype == np.int64, self.labels.dtype
        assert self.labels.shape == self.images.shape[:1], (self.labels.shape, self.images.shape)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> Split:
        """Return the images at ``positions`` (int64, any order) as a new split."""
        return Split(self.images[positions], self.labels[positions])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, pixels and labels, in hex."""
        digest = hashlib.sha256(repr(self.images.shape).encode())
        digest.update(np.ascontiguousarray(self.images).reshape(-1).data)
        digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()


@dataclass(frozen=True)
class ImageSet:
    """Labelled images as a source gives them, before validation is split off.

    Attributes:
        name: short, safe as a folder name; results are reported under it.
        class_names: what the labels stand for, by position.
        splits: ``train`` and, where the source has them, ``validation`` and ``test``; equal image shapes in all.
        notes: sentences that whoever reads a result must know (what was resized, what was left out).
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        assert "train" in self.splits
        assert set(self.splits) <= set(SPLIT_NAMES), set(self.splits)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image, in pixels."""
        height, width, channels = self.splits["train"].images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """How many classes there are, and so how many logits a network gives."""
        return len(self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of class names and of every split's content, in hex. The name and the notes are not part of it."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for name in SPLIT_NAMES:
            if name in self.splits:
                digest.update(f"{name} {self.splits[name].fingerprint}\n".encode())
        return digest.hexdigest()

    def limited(self, images_per_class: int) -> ImageSet:
        """Return the set with only the first ``images_per_class`` images of each class in each split.

        Raises:
            DataError: ``images_per_class`` is below 1.
        """
        if images_per_class < 1:
            raise DataError(f"--limit is {images_per_class}; it must be at least 1 image a class")
        splits = {
            name: split.take(first_of_each_class(split.labels, images_per_class)) for name, split in self.splits.items()
        }
        note = f"Limited to the first {images_per_class} images of each class in each split (--limit)."
        return replace(self, splits=splits, notes=(*self.notes, note))


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Return the positions (int64, ascending) of the first ``count`` labels of each kind."""
    kept = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept))
