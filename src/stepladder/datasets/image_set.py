"""The image set: labelled images, in memory or mapped from a file, their class names, and a content fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from stepladder.datasets.groups import first_groups
from stepladder.datasets.mapped import FEWEST_RELEASED, release
from stepladder.errors import DataError, printable, some_of

#: The names a split can have. ``train`` is always there; a source gives the others where its data has them.
SPLIT_NAMES = ("train", "validation", "test")

#: How an image of another shape is brought to the one that is wanted: the shorter side resized and the center kept; the
#: longer side resized and black added; or both sides resized, each by itself.
Fit = Literal["crop", "pad", "stretch"]
FITS: tuple[Fit, ...] = ("crop", "pad", "stretch")

#: Of images of 16 bits, the values (0 to 65,535) that become black and white.
Span = tuple[int, int]

#: Unless a size is asked for, images of one size keep it up to this many pixels a side; all others become squares of at
#: most this many. A network from scratch learns little more from larger ones, and takes hours.
MAX_CHOSEN_SIDE = 64

#: Images whose shorter side had as many pixels or more are taken for photographs, for which a pretrained network is.
PHOTOGRAPH_SIDE = 64

# Values looked at a time.
_LOOKED_AT = 1_000_000

# Images copied at a time where a split is not one piece of memory: few megabytes, so that no set is held twice.
_CHUNK_PIXELS = 4_000_000


@dataclass(frozen=True)
class Split:
    """One part of an image set: labels, and which rows of a block of pixels belong to them.

    Splitting copies no pixels, so a set that lies in a mapped file and is larger than the memory can be split too.

    Attributes:
        pixels: uint8, shape (M, H, W, C), values 0 to 255, C is 1 or 3; a mapped file perhaps, and perhaps read-only.
        labels: int64, shape (N,), positions in the image set's ``class_names``.
        rows: int64, shape (N,), where in ``pixels`` each image is; None where the split is all of it, in order.
        groups: int64, shape (N,): images of one number belong together and stay on one side of every split; the same
            number means the same group in all splits of a set. None where nobody named groups. No part of the content.
    """

    pixels: np.ndarray
    labels: np.ndarray
    rows: np.ndarray | None = None
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert self.pixels.dtype == np.uint8, self.pixels.dtype
        assert self.pixels.ndim == 4, self.pixels.shape
        assert self.labels.dtype == np.int64, self.labels.dtype
        placed = self.pixels[:, 0, 0, 0] if self.rows is None else self.rows
        assert self.labels.shape == placed.shape, (self.labels.shape, placed.shape)
        assert self.groups is None or self.groups.shape == self.labels.shape, self.groups.shape

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        height, width, channels = self.image_shape
        return f"Split({len(self):,} images of {height}×{width}×{channels}, {len(np.unique(self.labels)):,} classes)"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels), in pixels."""
        height, width, channels = self.pixels.shape[1:]
        return height, width, channels

    @property
    def images(self) -> np.ndarray:
        """All images, uint8 (N, H, W, C); a copy where the split has ``rows``, so ask for a large one in chunks."""
        return self.pixels if self.rows is None else self.pixels[self.rows]

    def chunks(self) -> Iterator[np.ndarray]:
        """All images in order, uint8 (n, H, W, C), a few megabytes at a time.

        Of a large set that is mapped from a file, memory is given back on the way.
        """
        height, width, channels = self.image_shape
        count = max(1, _CHUNK_PIXELS // max(1, height * width * channels))
        large = self.pixels.nbytes > FEWEST_RELEASED
        for start in range(0, len(self), count):
            part = slice(start, start + count)
            rows = None if self.rows is None else self.rows[part]
            yield self.pixels[part] if rows is None else self.pixels[rows]
            if large:
                release(self.pixels[part] if rows is None else self.pixels[rows.min() : rows.max() + 1])

    def take(self, positions: np.ndarray) -> Split:
        """Return the images at ``positions`` (int64, any order) as a new split of the same pixels."""
        rows = positions if self.rows is None else self.rows[positions]
        return Split(self.pixels, self.labels[positions], rows, None if self.groups is None else self.groups[positions])

    def first(self, count: int) -> Split:
        """Return the first ``count`` images, or all where there are fewer, as a new split of the same pixels."""
        return self.take(np.arange(min(len(self), count)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of shape, pixels and labels, in hex."""
        digest = hashlib.sha256(repr((len(self), *self.image_shape)).encode())
        for chunk in self.chunks():
            digest.update(np.ascontiguousarray(chunk).reshape(-1).data)
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
        fit: how an image of another shape is brought to this one, as a model that learned of these must do it too.
        original_side: median shorter side of the images before they were brought to this size, pixels; 0 where they
            came in it.
        cropped: share of the median training image that was cropped away, 0 to 1; 0 where nothing was.
        span: of images of 16 bits, the values (0 to 65,535) that became black and white where that was asked for, as a
            model that learned of these must read them too; None where these are 0 and 65,535.
        folders: those that were read as a whole, so that no result may be written into them; none for other sources.
        labels_from: the sentence on what was taken for labels, where that is too plain for ``notes``: class folders.
        loading: plain values by which another machine loads the same from its own copy of the files: arguments of
            :func:`stepladder.load_image_set`, and under ``labels`` those of ``LabelOptions``; None where they are of no
            path.
    """

    name: str
    class_names: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = field(default=())
    fit: Fit = "crop"
    original_side: int = 0
    cropped: float = 0.0
    span: Span | None = None
    folders: tuple[Path, ...] = ()
    labels_from: str = ""
    loading: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        assert "train" in self.splits
        assert set(self.splits) <= set(SPLIT_NAMES), set(self.splits)

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {len(self.splits[name]):,}" for name in SPLIT_NAMES if name in self.splits)
        names = some_of([name if len(name) <= 30 else f"{name[:29]}…" for name in self.class_names], at_most=10)
        height, width, channels = self.image_shape
        return (
            f"ImageSet({self.name[:40]!r}, {counts} images of {height}×{width}×{channels}, "
            f"{self.num_classes:,} classes: {printable(names)})"
        )

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image, in pixels."""
        return self.splits["train"].image_shape

    @property
    def are_photographs(self) -> bool:
        """Whether they came as large as what networks that learn from scratch are given at most by default."""
        return (self.original_side or min(self.image_shape[:2])) >= PHOTOGRAPH_SIDE

    @property
    def num_classes(self) -> int:
        """How many classes there are, and so how many logits a network gives."""
        return len(self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of class names, every split's content and the fit, in hex. Name and notes are not part of it."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        if self.fit != "crop":  # as fingerprints were before there was another
            digest.update(f"fit {self.fit}\n".encode())
        for name in SPLIT_NAMES:
            if name in self.splits:
                digest.update(f"{name} {self.splits[name].fingerprint}\n".encode())
        return digest.hexdigest()

    def limited(self, images_per_class: int) -> ImageSet:
        """Return the set with only the first ``images_per_class`` images of each class in each split.

        Groups stay whole: then it is the first groups until each class has so many, and few more.

        Raises:
            DataError: ``images_per_class`` is below 1.
        """
        if images_per_class < 1:
            raise DataError(f"`limit` is {images_per_class}; it must be at least 1 image a class")
        splits = {
            name: split.take(first_of_each_class(split.labels, images_per_class, split.groups))
            for name, split in self.splits.items()
        }
        grouped = any(split.groups is not None for split in self.splits.values())
        whole = ", or few more, as groups stay whole" if grouped else ""
        note = f"Limited to the first {images_per_class} images of each class in each split{whole}."
        return replace(self, splits=splits, notes=(*self.notes, note))


def first_of_each_class(labels: np.ndarray, count: int, groups: np.ndarray | None = None) -> np.ndarray:
    """Return the positions (int64, ascending) of the first ``count`` labels of each kind; of whole groups, if any."""
    if groups is not None:
        return first_groups(labels, groups, count)
    kept = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(kept))


def exceeds_one(images: np.ndarray) -> bool:
    """Whether any value is above 1; looks no further than the first images that tell it."""
    step = max(1, _LOOKED_AT // max(1, images[:1].size))
    return any((images[start : start + step] > 1).any() for start in range(0, len(images), step))
