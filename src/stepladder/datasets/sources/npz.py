"""NumPy archives (.npz) with the arrays of Keras (``x_train``…) or MedMNIST (``train_images``…); never objects.

A member is read as a stream: its header first, which is compared with the size of the file before anything is
allocated, then its values a piece at a time, so that floats are never in memory as a whole. NumPy's own reader would
allocate what a header claims.
"""

from __future__ import annotations

import math
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from stepladder.datasets.decode import MAX_PIXELS
from stepladder.datasets.image_set import ImageSet, Split
from stepladder.datasets.labels import match_classes, named_labels
from stepladder.datasets.mapped import demand_memory
from stepladder.datasets.sources.arrays import Values, choose_scale
from stepladder.datasets.sources.base import LoadOptions, PathSource, name_of
from stepladder.errors import DataError, some_of

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
_PIECE_BYTES = 1 << 22


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
            a damaged file, or splits whose classes differ.
    """
    del options
    try:
        with zipfile.ZipFile(path) as archive:
            pairs = _pairs(path, archive)
            headers = {
                split: (_header(path, archive, pair[0]), _header(path, archive, pair[1]))
                for split, pair in pairs.items()
            }
            taken = {name for pair in pairs.values() for name in pair}
            others = [name.removesuffix(".npy") for name in archive.namelist() if name not in taken]
            for images, labels in headers.values():
                _check_shapes(path, images, labels)
            _check_memory(path, list(headers.values()))
            images_of = {split: _stored(archive, pair[0]) for split, pair in headers.items()}
            pixels, notes = _pixels(str(path), images_of)
            texts = {split: _label_texts(str(path), _stored(archive, pair[1])) for split, pair in headers.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, UnicodeDecodeError, struct.error) as error:
        raise DataError(f"{path} is no readable .npz file ({error}); get the file again") from error
    except (NotImplementedError, RuntimeError) as error:  # packed or encrypted in a way that Python does not read
        raise DataError(f"{path} is no readable .npz file ({error}); get the file again") from error
    named = {split: named_labels(values) for split, values in texts.items()}
    class_names, matched, class_notes = match_classes(str(path), named)
    splits = {split: Split(pixels[split], matched[split]) for split in pixels}
    if others:
        notes = (*notes, f"Not read: the arrays {some_of(others)}.")
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
        except Exception as error:  # NumPy parses the header as Python does, and lets all that comes of it through
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


def _check_memory(path: Path, pairs: Sequence[tuple[_Header, _Header]]) -> None:
    """Raise DataError where the arrays, as they say themselves, are too large for the memory."""
    # One byte a value of the images, and the labels as texts; beside them what is read at a time, and its floats: a few
    # rows, or all of an array that lies in Fortran's order.
    kept = sum(math.prod(images.shape) + 2 * _bytes(labels) for images, labels in pairs)
    at_a_time = [
        2 * (_bytes(one) if one.by_column and len(one.shape) > 1 else _bytes(one) // one.shape[0])
        for pair in pairs
        for one in pair
    ]
    demand_memory(
        f"{path} unpacks to",
        kept + max(at_a_time),
        "save fewer or smaller images, or save them as a folder of images or as parquet, which are read piece by piece",
    )


def _bytes(header: _Header) -> int:
    return math.prod(header.shape) * header.dtype.itemsize


def _stored(archive: zipfile.ZipFile, header: _Header) -> _Stored:
    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        with archive.open(header.name) as member:
            member.read(header.start)
            yield member

    return _Stored(header.name, header.shape, header.dtype, header.by_column, opened)


@dataclass(frozen=True)
class _Stored:
    """An array that is still in its file.

    Attributes:
        name: for messages.
        shape: (N, …).
        dtype: of the values.
        by_column: whether they lie in Fortran's order.
        opened: opens the file at the first value.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    by_column: bool
    opened: Callable[[], AbstractContextManager[IO[bytes]]]

    def pieces(self) -> Iterator[tuple[int, np.ndarray]]:
        """Read the array: (first row, rows), a few megabytes at a time.

        Raises:
            DataError: the file ends early.
        """
        with self.opened() as file:
            if self.by_column and len(self.shape) > 1:
                values = np.frombuffer(self._read(file, math.prod(self.shape)), dtype=self.dtype)
                yield 0, values.reshape(self.shape, order="F")
                return
            row = math.prod(self.shape[1:])
            step = max(1, _PIECE_BYTES // max(1, row * self.dtype.itemsize))
            for start in range(0, self.shape[0], step):
                count = min(step, self.shape[0] - start)
                content = self._read(file, count * row)
                yield start, np.frombuffer(content, dtype=self.dtype).reshape(count, *self.shape[1:])

    def _read(self, file: IO[bytes], count: int) -> bytes:
        content = file.read(count * self.dtype.itemsize)
        if len(content) < count * self.dtype.itemsize:
            raise DataError(f"{self.name} is truncated; get the file again")
        return content


def _pixels(where: str, arrays: Mapping[str, _Stored]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the images of all splits as uint8, shape (N, H, W, C), and a note where that took a decision.

    Bytes are taken as they are. Other numbers, and masks of 0 and 1 of any type, must all lie in 0..1, which is
    stretched to 0..255, or all in 0..255; see :func:`stepladder.datasets.sources.arrays.choose_scale`.

    Raises:
        DataError: NaN, infinity, values outside these ranges, or splits of different ranges.
    """
    kinds = {values.dtype.kind for values in arrays.values()}
    if not kinds <= set("uifb"):
        wrong = next(values for values in arrays.values() if values.dtype.kind not in "uifb")
        raise DataError(f"{where}: {wrong.name} holds {wrong.dtype}; images are uint8, or floats in 0..1 or 0..255")
    found = {split: _values_of(where, values) for split, values in arrays.items()}
    low, high = min(one.low for one in found.values()), max(one.high for one in found.values())
    if low < 0 or high > 255:
        raise DataError(
            f"{where} has pixels from {low:g} to {high:g}; save them as uint8, or as floats in 0..1 or 0..255"
        )
    try:
        factor, notes = choose_scale(found)
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    images = {split: _to_bytes(values, float(factor)) for split, values in arrays.items()}
    plain = all(values.dtype == np.uint8 for values in arrays.values())
    if plain and factor == 1:
        return images, notes
    span = "0 to 1 and were multiplied by 255" if factor == 255 else "0 to 255 and were kept"
    kind = next((values.dtype for values in arrays.values() if values.dtype != np.uint8), np.dtype(np.uint8))
    rounded = ", rounded to whole numbers" if "f" in kinds else ""
    note = f"The pixels are {kind} from {low:g} to {high:g}: they are taken as {span}{rounded}."
    return images, (*notes, note)


def _values_of(where: str, values: _Stored) -> Values:
    low, high, whole = math.inf, -math.inf, True
    for start, piece in values.pieces():
        low, high = min(low, float(piece.min())), max(high, float(piece.max()))
        # NaN passes through min and max, infinity is one of them.
        if not (math.isfinite(float(piece.min())) and math.isfinite(float(piece.max()))):
            bad = ~np.isfinite(piece.reshape(len(piece), -1)).all(axis=1)
            raise DataError(
                f"{where}: image {start + int(np.flatnonzero(bad)[0])} of {values.name} has NaN or infinite "
                "pixels; mend or remove it"
            )
        if values.dtype == np.uint8 and high > 1:  # bytes, whatever follows
            return Values(values.name, values.dtype, 0, 255)
        if whole and high <= 1 and piece.dtype.kind == "f":
            whole = bool((piece == np.rint(piece)).all())
    return Values(values.name, values.dtype, low, high, whole)


def _to_bytes(values: _Stored, factor: float) -> np.ndarray:
    images = np.empty((*values.shape[:3], values.shape[3] if len(values.shape) == 4 else 1), dtype=np.uint8)
    for start, piece in values.pieces():
        target = images[start : start + len(piece)]
        shaped = piece.reshape(target.shape)
        if piece.dtype == np.uint8 and factor == 1:
            target[:] = shaped
        else:
            # float32 holds 0..255 with room for the rounding; float16 does not.
            target[:] = np.rint(shaped.astype(np.float32) * factor).astype(np.uint8)
    return images


def _label_texts(where: str, values: _Stored) -> list[str]:
    """Return the labels as texts: whole numbers without a decimal point, names as they are.

    Raises:
        DataError: a label is blank, no whole number, or of a type that names no class.
    """
    if values.dtype.kind not in "uifbUS":
        raise DataError(f"{where}: {values.name} holds {values.dtype}; labels are whole numbers or names")
    texts: list[str] = []
    for start, piece in values.pieces():
        flat = piece.reshape(-1)
        if piece.dtype.kind == "f":
            wrong = ~np.isfinite(flat) | (flat != np.rint(flat)) | (np.abs(flat) > 2**53)
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise DataError(
                    f"{where}: label {start + row} of {values.name} is {flat[row]}, which is no whole number"
                )
            flat = flat.astype(np.int64)
        if piece.dtype.kind == "S":
            texts += [bytes(label).decode("utf-8", "backslashreplace") for label in flat]
        else:
            texts += [str(label) for label in flat.tolist()]
    blank = next((row for row, text in enumerate(texts) if not text.strip()), None)
    if blank is not None:
        raise DataError(f"{where}: label {blank} of {values.name} is blank; fill it in")
    return texts


SOURCE = PathSource("npz", ".npz with x_train, y_train, x_test, y_test, or train_images, train_labels…", matches, load)
