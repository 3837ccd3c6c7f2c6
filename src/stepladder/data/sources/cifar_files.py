"""The files of CIFAR's two editions: "Python / Matlab versions" and "Binary version" on the authors' page."""

from __future__ import annotations

from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.data.download import Published
from stepladder.data.image_set import Split
from stepladder.data.plain_pickle import read_plain_pickle
from stepladder.data.wording import some_of
from stepladder.errors import DataError

_PIXELS = 3 * 32 * 32
_PIECE = 500  # images read, and turned from planes to pixels, at a time
_MAX_NAMES_BYTES = 100_000


@dataclass(frozen=True)
class Edition:
    """One way in which a set is published.

    Attributes:
        archive: the published file.
        folder: the folder in it.
        images: the files with images, by split, in order.
        per_file: images in each file, by split.
        names: the file with class names, and in the python edition their key, by kind of label.
        label_keys: python edition: the key of the labels, by kind. Empty for the binary edition.
        label_bytes: binary edition: the kinds of label in the bytes before each image, in order.
    """

    archive: Published
    folder: str
    images: dict[str, tuple[str, ...]]
    per_file: dict[str, int]
    names: dict[str, tuple[str, str]]
    label_keys: dict[str, str] = field(default_factory=dict)
    label_bytes: tuple[str, ...] = ()

    def wanted(self) -> list[str]:
        """Return the names of all files that matter."""
        return [
            *dict.fromkeys(file for file, _ in self.names.values()),
            *(f for part in self.images.values() for f in part),
        ]


class CifarReader:
    """Collects what the files of one edition hold, in any order, each image straight to its place.

    Args:
        edition: what the files are.
        kind: of label: ``fine`` or ``coarse``.
        path: of the archive or folder, for messages.
    """

    def __init__(self, edition: Edition, kind: str, path: Path) -> None:
        self._edition, self._kind, self._path = edition, kind, path
        self._parts = {name: (split, i) for split, names in edition.images.items() for i, name in enumerate(names)}
        self._names_file = edition.names[kind][0]
        self._missing = [self._names_file, *self._parts]
        counts = {split: len(names) * edition.per_file[split] for split, names in edition.images.items()}
        self._images = {split: np.empty((count, _PIXELS), dtype=np.uint8) for split, count in counts.items()}
        self._labels = {split: np.zeros(count, dtype=np.int64) for split, count in counts.items()}
        self._class_names: tuple[str, ...] = ()

    def read(self, name: str, file: BufferedReader, size: int) -> None:
        """Read the file called ``name`` of ``size`` bytes from its start.

        Raises:
            DataError: it is damaged or not what the edition says.
        """
        if name not in self._missing:
            return
        self._missing.remove(name)
        try:
            if name == self._names_file:
                self._class_names = self._read_names(file, size)
                return
            split, number = self._parts[name]
            count = self._edition.per_file[split]
            part = slice(number * count, (number + 1) * count)
            read = self._python_images if self._edition.label_keys else self._binary_images
            self._labels[split][part] = read(file, size, self._images[split][part])
        except DataError as error:
            raise DataError(f"{name} in {self._path} cannot be read: {error}; get the published set again") from error

    def finish(self) -> tuple[tuple[str, ...], dict[str, Split]]:
        """Return the class names and splits.

        Raises:
            DataError: a file was missing, or a label has no name.
        """
        if self._missing:
            raise DataError(f"{self._path} lacks {some_of(self._missing)}; get the published set again")
        for split, labels in self._labels.items():
            if labels.max() >= len(self._class_names):
                raise DataError(
                    f"{self._path} has the label {labels.max()} in {split}, and names for 0 to "
                    f"{len(self._class_names) - 1}; get the published set again"
                )
        splits = {
            split: Split(images.reshape(-1, 32, 32, 3), self._labels[split]) for split, images in self._images.items()
        }
        return self._class_names, splits

    def _binary_images(self, file: BufferedReader, size: int, target: np.ndarray) -> np.ndarray:
        label_bytes = len(self._edition.label_bytes)
        record = label_bytes + _PIXELS
        if size != len(target) * record:
            raise DataError(f"it has {size:,} bytes instead of {len(target) * record:,}")
        labels = np.empty(len(target), dtype=np.int64)
        for start in range(0, len(target), _PIECE):
            piece = target[start : start + _PIECE]
            content = file.read(len(piece) * record)
            if len(content) < len(piece) * record:
                raise DataError("it is truncated")
            records = np.frombuffer(content, dtype=np.uint8).reshape(-1, record)
            labels[start : start + _PIECE] = records[:, self._edition.label_bytes.index(self._kind)]
            piece[:] = records[:, label_bytes:]
            _to_pixels(piece)
        return labels

    def _python_images(self, file: BufferedReader, size: int, target: np.ndarray) -> np.ndarray:
        content = read_plain_pickle(file, size, into=target.reshape(-1))
        data, labels = content.get("data"), content.get(self._edition.label_keys[self._kind])
        if not isinstance(data, np.ndarray) or data.shape != target.shape:
            raise DataError(f"it holds no array 'data' of {len(target):,} images")
        if not data.flags.c_contiguous:
            target[:] = data.copy()
        if not isinstance(labels, list) or len(labels) != len(target):
            raise DataError(f"it holds no list of {len(target):,} labels")
        if not all(type(label) is int and 0 <= label < 256 for label in labels):
            raise DataError("its labels are no numbers from 0 to 255")
        for start in range(0, len(target), _PIECE):
            _to_pixels(target[start : start + _PIECE])
        return np.array(labels, dtype=np.int64)

    def _read_names(self, file: BufferedReader, size: int) -> tuple[str, ...]:
        if size > _MAX_NAMES_BYTES:
            raise DataError(f"it has {size:,} bytes; class names take less")
        if self._edition.label_keys:
            content = read_plain_pickle(file, size, into=np.empty(0, dtype=np.uint8))
            return _checked_names(content.get(self._edition.names[self._kind][1]))
        return _checked_names([line.strip() for line in file.read(size).decode("latin-1").split("\n") if line.strip()])


def _to_pixels(planes: np.ndarray) -> None:
    """Turn images from three planes to pixels of three values, in place: the set is never in memory twice."""
    planes[:] = planes.reshape(-1, 3, 32 * 32).transpose(0, 2, 1).reshape(-1, _PIXELS)


def _checked_names(names: Any) -> tuple[str, ...]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError("it holds no list of class names")
    if len(set(names)) < len(names):
        raise DataError("it has the same class name twice")
    return tuple(names)
