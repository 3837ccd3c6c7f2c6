"""Numbers of many types to uint8 images, and to classes: a piece at a time, with what they are taken for said."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO

import numpy as np

from stepladder.errors import DataError

_PIECE_BYTES = 1 << 22


@dataclass(frozen=True)
class Values:
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


@dataclass
class _Range:
    """The smallest and largest value seen."""

    low: float = math.inf
    high: float = -math.inf


def image_values(where: str, arrays: Mapping[str, Values]) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the images of all splits as uint8, shape (N, H, W, C), and a note where that took a decision.

    Bytes are taken as they are. Other numbers must all lie in 0..1, which is stretched to 0..255, or all in 0..255. The
    range is that of all splits together, so that a dark test split is not stretched.

    Raises:
        DataError: NaN, infinity, or values outside these ranges.
    """
    kinds = {values.dtype.kind for values in arrays.values()}
    if not kinds <= set("uifb"):
        wrong = next(values for values in arrays.values() if values.dtype.kind not in "uifb")
        raise DataError(f"{where}: {wrong.name} holds {wrong.dtype}; images are uint8, or floats in 0..1 or 0..255")
    plain = all(values.dtype == np.uint8 for values in arrays.values())
    found = _Range(0, 255) if plain else _range_of(where, arrays)
    if found.low < 0 or found.high > 255:
        raise DataError(
            f"{where} has pixels from {found.low:g} to {found.high:g}; save them as uint8, or as floats in 0..1 or "
            "0..255"
        )
    # Only fractions tell 0..1 from 0..255: whole numbers 0 and 1 in integers are as likely two dark greys, or a mask.
    stretch = found.high <= 1
    images = {split: _to_bytes(values, 255.0 if stretch else 1.0) for split, values in arrays.items()}
    if plain:
        return images, ()
    span = "0 to 1 and were multiplied by 255" if stretch else "0 to 255 and were kept"
    kind = next(values.dtype for values in arrays.values() if values.dtype != np.uint8)
    rounded = ", rounded to whole numbers" if "f" in kinds else ""
    return images, (f"The pixels are {kind} from {found.low:g} to {found.high:g}: they are taken as {span}{rounded}.",)


def _range_of(where: str, arrays: Mapping[str, Values]) -> _Range:
    found = _Range()
    for values in arrays.values():
        for start, piece in values.pieces():
            low, high = float(piece.min()), float(piece.max())
            # NaN passes through min and max, infinity is one of them.
            if not (math.isfinite(low) and math.isfinite(high)):
                bad = ~np.isfinite(piece.reshape(len(piece), -1)).all(axis=1)
                raise DataError(
                    f"{where}: image {start + int(np.flatnonzero(bad)[0])} of {values.name} has NaN or infinite "
                    "pixels; mend or remove it"
                )
            found.low, found.high = min(found.low, low), max(found.high, high)
    return found


def _to_bytes(values: Values, factor: float) -> np.ndarray:
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


def label_texts(where: str, values: Values) -> list[str]:
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
