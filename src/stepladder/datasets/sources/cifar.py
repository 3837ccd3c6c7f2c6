"""CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009, chapter 3).

60,000 color images of 32×32, in the two editions of the authors' page, "Python / Matlab versions" and "Binary version":
from the published archives, whose SHA-256 is compared before anything in them is read, or from a folder that the user
extracted. Archives are not unpacked.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any, cast

import numpy as np

from stepladder.datasets.download import Published, downloads, fetch, kept, sha256_of
from stepladder.datasets.image_set import ImageSet, Split
from stepladder.datasets.plain_pickle import read_plain_pickle
from stepladder.datasets.sources.base import LoadOptions, NamedSource
from stepladder.datasets.tar_members import members
from stepladder.errors import DataError, some_of

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


_SITE = "https://www.cs.toronto.edu/~kriz"

_BATCHES = {"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)}

#: The editions by set, binary first: it needs no pickle, so it is the one that is downloaded. Sizes and sums of the
#: binary ones are those in TensorFlow Datasets, of the python ones those in Keras and torchvision.
EDITIONS = {
    "cifar10": (
        Edition(
            Published(
                "cifar-10-binary.tar.gz",
                (f"{_SITE}/cifar-10-binary.tar.gz",),
                170_052_171,
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            ),
            "cifar-10-batches-bin",
            {split: tuple(f"{name}.bin" for name in names) for split, names in _BATCHES.items()},
            {"train": 10_000, "test": 10_000},
            {"fine": ("batches.meta.txt", "")},
            label_bytes=("fine",),
        ),
        Edition(
            Published(
                "cifar-10-python.tar.gz",
                (f"{_SITE}/cifar-10-python.tar.gz",),
                170_498_071,
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            ),
            "cifar-10-batches-py",
            _BATCHES,
            {"train": 10_000, "test": 10_000},
            {"fine": ("batches.meta", "label_names")},
            label_keys={"fine": "labels"},
        ),
    ),
    "cifar100": (
        Edition(
            Published(
                "cifar-100-binary.tar.gz",
                (f"{_SITE}/cifar-100-binary.tar.gz",),
                168_513_733,
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            ),
            "cifar-100-binary",
            {"train": ("train.bin",), "test": ("test.bin",)},
            {"train": 50_000, "test": 10_000},
            {"fine": ("fine_label_names.txt", ""), "coarse": ("coarse_label_names.txt", "")},
            label_bytes=("coarse", "fine"),
        ),
        Edition(
            Published(
                "cifar-100-python.tar.gz",
                (f"{_SITE}/cifar-100-python.tar.gz",),
                169_001_437,
                "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
            ),
            "cifar-100-python",
            {"train": ("train",), "test": ("test",)},
            {"train": 50_000, "test": 10_000},
            {"fine": ("meta", "fine_label_names"), "coarse": ("meta", "coarse_label_names")},
            label_keys={"fine": "fine_labels", "coarse": "coarse_labels"},
        ),
    ),
}


def load(options: LoadOptions, name: str = "cifar10", published: str = "cifar10", kind: str = "fine") -> ImageSet:
    """Load CIFAR from the user's folder or archive, the cache, or, where that is allowed, its site.

    Raises:
        DataError: the set is not there (the message says how to get it), or a file is not the published one or damaged.
    """
    edition, path = _find(name, EDITIONS[published], options)
    reader = _Reader(edition, kind, path)
    with _files(edition, path) as files:
        for file_name, file, size in files:
            reader.read(file_name, file, size)
    class_names, splits = reader.finish()
    return ImageSet(name, class_names, splits)


def _find(name: str, editions: tuple[Edition, ...], options: LoadOptions) -> tuple[Edition, Path]:
    """Return the edition and its archive (checked) or folder."""
    given = options.access.path
    if given is None:
        for edition in editions:
            if (path := kept(edition.archive)) is not None:
                return edition, path
        if options.access.download:
            return editions[0], fetch(editions[0].archive, options.access.on_download)
        archive = editions[0].archive
        raise DataError(
            f"{name} is not in {downloads()}; add `download=True` to fetch it ({archive.size / 1e6:.0f} MB from "
            f"{archive.host}), or give `data_dir` as an archive or a folder ({_accepted(editions)})"
        )
    for edition in editions:
        for folder in (given, given / edition.folder):
            if folder.is_dir() and any((folder / file).is_file() for file in edition.wanted()):
                return edition, folder
    for edition in editions:
        path = given if given.is_file() else given / edition.archive.name
        if path.is_file() and (given != path or given.stat().st_size == edition.archive.size):
            if path.stat().st_size == edition.archive.size and sha256_of(path) == edition.archive.sha256:
                return edition, path
            raise _not_published(path, edition)
    if given.is_file():
        raise _not_published(given, editions[0])
    raise DataError(f"{given} holds no {name}; give an archive or a folder ({_accepted(editions)})")


def _not_published(path: Path, edition: Edition) -> DataError:
    return DataError(
        f"{path} is not the published archive (its SHA-256 should be {edition.archive.sha256}) and was not read; "
        "get it again, or give the folder that you extracted"
    )


def _accepted(editions: tuple[Edition, ...]) -> str:
    return ", ".join(f"{edition.archive.name} or {edition.folder}/" for edition in editions)


@contextmanager
def _files(edition: Edition, path: Path) -> Iterator[Iterator[tuple[str, BufferedReader, int]]]:
    """Open the archive or folder at ``path``: (name, file at its start, size) of each file that is wanted."""
    wanted = edition.wanted()
    if path.is_dir():
        yield _in_folder(wanted, path)
        return
    try:
        # Buffered once more, in C: pickles are read byte by byte.
        with gzip.open(path) as unpacked, io.BufferedReader(cast(io.RawIOBase, unpacked), 1 << 20) as archive:
            inside = {f"{edition.folder}/{name}": name for name in wanted}
            # The sum has been compared, so the archive is the published one: a gigabyte is more than any of them holds.
            found = members(archive, str(path), 1 << 30)
            yield (
                (inside[member.name], cast("BufferedReader", archive), member.size)
                for member in found
                if member.name in inside
            )
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged ({error}); get it again") from error


def _in_folder(wanted: list[str], path: Path) -> Iterator[tuple[str, BufferedReader, int]]:
    for name in wanted:
        if (path / name).is_file():
            with (path / name).open("rb") as file:
                yield name, file, (path / name).stat().st_size


class _Reader:
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


SOURCES = (
    NamedSource(
        "cifar10", "60,000 color photographs of 10 things, 32×32; from a folder or archive, the cache or its site", load
    ),
    NamedSource(
        "cifar100",
        "60,000 color photographs of 100 things, 32×32 (fine labels); from a folder or archive, the cache or its site",
        partial(load, name="cifar100", published="cifar100"),
    ),
    NamedSource(
        "cifar100-coarse",
        "the same with the 20 coarse labels",
        partial(load, name="cifar100-coarse", published="cifar100", kind="coarse"),
    ),
)
