"""NumPy archives (.npz) with the arrays of Keras (``x_train``…) or MedMNIST (``train_images``…); never objects.

A member is read as a stream: its header first, which is held against the size of the file before anything is allocated,
then its values a piece at a time, so that floats are never in memory as a whole. NumPy's own reader would allocate what
a header claims.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from stepladder.data.decode import MAX_PIXELS
from stepladder.data.image_set import ImageSet, Split
from stepladder.data.labels import match_classes, named_labels
from stepladder.data.sources.base import LoadOptions, PathSource, name_of
from stepladder.data.sources.npz_values import Values, image_values, label_texts
from stepladder.data.wording import some_of
from stepladder.errors import DataError

#: The names of (images, labels) by split, each in the order in which they are looked for.
NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y")),
    "validation": (
        ("x_val", "y_val"),
        ("x_valid", "y_valid"),
        ("val_images", "val_labels"),
        ("valid_images", "valid_labels"),
    ),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}

# Deflate cannot shrink further than 1032:1 (zlib, "Technical Details"); the other methods can, and NumPy does not write
# them.
_DEFLATE_LIMIT = 1032
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_HEADER = 10_000


@dataclass(frozen=True)
class _Header:
    """What the start of a .npy member says (numpy.lib.format): shape, dtype, order; and where the values start."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    by_column: bool
    start: int


def matches(path: Path) -> bool:
    """Whether ``path`` is a .npz file."""
    return path.suffix.lower() == ".npz" and path.is_file()


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the archive at ``path``; images (N, H, W) or (N, H, W, C) of bytes, or of floats in 0..1 or 0..255.

    Raises:
        DataError: no training arrays, pickled objects, shapes or values that are no images, labels that are no classes,
        a
            damaged file, or splits whose classes differ.
    """
    del options
    try:
        with zipfile.ZipFile(path) as archive:
            pairs = _pairs(path, archive)
            headers = {
                split: (_header(path, archive, pair[0]), _header(path, archive, pair[1]))
                for split, pair in pairs.items()
            }
            for images, labels in headers.values():
                _check_shapes(path, images, labels)
            images_of = {split: _values(archive, pair[0]) for split, pair in headers.items()}
            pixels, notes = image_values(str(path), images_of)
            texts = {split: label_texts(str(path), _values(archive, pair[1])) for split, pair in headers.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(f"{path} is no readable .npz file ({error}); get the file again") from error
    named = {split: named_labels(values) for split, values in texts.items()}
    class_names, matched, class_notes = match_classes(str(path), named)
    splits = {split: Split(pixels[split], matched[split]) for split in pixels}
    return ImageSet(name_of(path), class_names, splits, (*class_notes, *notes))


def _pairs(path: Path, archive: zipfile.ZipFile) -> dict[str, tuple[str, str]]:
    there = {name.removesuffix(".npy").lower(): name for name in archive.namelist() if name.endswith(".npy")}
    pairs = {}
    for split, names in NAMES.items():
        for images, labels in names:
            if images in there and labels in there:
                pairs[split] = there[images], there[labels]
                break
            if images in there and images != "x":
                raise DataError(f"{path} has {images} but no {labels}; save the labels beside the images")
    if "train" not in pairs:
        known = " or ".join(" and ".join(pair) for pair in NAMES["train"])
        raise DataError(
            f"{path} has no training images: save them as {known}; arrays: {some_of(list(there), 10) or 'none'}"
        )
    return pairs


def _header(path: Path, archive: zipfile.ZipFile, name: str) -> _Header:
    info = archive.getinfo(name)
    size = path.stat().st_size
    if info.compress_type not in _METHODS:
        raise DataError(
            f"{path}: {name} is packed in a way that NumPy does not write; save it with numpy.savez_compressed"
        )
    if info.compress_size > size or info.file_size > max(info.compress_size, 1) * _DEFLATE_LIMIT + _MAX_HEADER:
        raise DataError(
            f"{path}: {name} claims {info.file_size:,} bytes, more than the file can hold; get the file again"
        )
    with archive.open(info) as member:
        try:
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, by_column, dtype = read(member, max_header_size=_MAX_HEADER)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, UnicodeError) as error:
            raise DataError(f"{path}: {name} is no readable array ({str(error)[:200]}); get the file again") from error
        start = member.tell()
    if dtype.hasobject:
        raise DataError(
            f"{path}: {name} holds Python objects, which are pickled and could run anything; it was not read: save "
            "it as numbers (images of equal size as uint8)"
        )
    if dtype.fields is not None or dtype.subdtype is not None:
        raise DataError(f"{path}: {name} holds records ({dtype}); save it as plain numbers")
    if math.prod(shape) * dtype.itemsize != info.file_size - start:
        raise DataError(
            f"{path}: {name} claims {'×'.join(map(str, shape))} values of {dtype}, which does not fit its size; get "
            "the file again"
        )
    return _Header(name, shape, dtype, by_column, start)


def _check_shapes(path: Path, images: _Header, labels: _Header) -> None:
    shape = images.shape
    said = "×".join(map(str, shape))
    if len(shape) == 4 and shape[1] in (1, 3) and shape[3] not in (1, 3):
        raise DataError(f"{path}: {images.name} has its channels first ({said}); save it as (N, H, W, C)")
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)) or 0 in shape:
        raise DataError(
            f"{path}: {images.name} has the shape {said}; images are (N, H, W), or (N, H, W, C) with C 1 or 3"
        )
    if shape[1] * shape[2] > MAX_PIXELS:
        raise DataError(
            f"{path}: {images.name} has images of more than {MAX_PIXELS // 1_000_000} megapixels; make them smaller"
        )
    if math.prod(labels.shape) != shape[0] or labels.shape[0] != shape[0]:
        raise DataError(
            f"{path}: {labels.name} has the shape {'×'.join(map(str, labels.shape))} for {shape[0]} images; it must "
            "hold one class an image, as (N,) or (N, 1)"
        )


def _values(archive: zipfile.ZipFile, header: _Header) -> Values:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with archive.open(header.name) as member:
            member.read(header.start)
            yield member

    return Values(header.name, header.shape, header.dtype, header.by_column, opened)


SOURCE = PathSource("npz", ".npz with x_train, y_train, x_test, y_test, or train_images, train_labels…", matches, load)
