"""Images of one process in another, without a copy each: through a file that both map into their memory."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from stepladder.data import Split, Splits
from stepladder.data.cache import cache_folder
from stepladder.errors import StorageError

_ALIGNMENT = 64  # bytes: a cache line


@dataclass(frozen=True)
class Handover:
    """Images as another process gets them.

    Attributes:
        document: plain values that :func:`take_over` reads.
        descriptor: the open file that the other process must inherit under the same number.
    """

    document: dict[str, Any]
    descriptor: int


@contextmanager
def hand_over(splits: Splits) -> Iterator[Handover]:
    """Write what trials read into a file without a name, which ends with the last process that has it open.

    The test images are in it only where they are watched, because no image was left for validation. Images that lie in
    the cache's mapped file are not copied.

    Raises:
        StorageError: the cache's folder has no room.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            writer = _Writer(file)
            parts = {"train": splits.train, "watched": splits.validation or splits.test}
            document = {
                "parts": {name: writer.add_split(split) for name, split in parts.items()},
                "has_validation": splits.validation is not None,
                "notes": splits.notes,
                "fingerprint": splits.fingerprint,
            }
            file.flush()
            yield Handover(document, file.fileno())
    except OSError as error:
        raise StorageError(
            f"cannot write to {folder}: {error.strerror or error}; set STEPLADDER_CACHE to a folder with room, or use "
            "--workers 1"
        ) from error


def take_over(document: Mapping[str, Any], descriptor: int) -> Splits:
    """Return the splits that another process handed over; their arrays are read-only."""
    with os.fdopen(descriptor, "rb") as file:
        parts = {name: _read_split(part, file) for name, part in document["parts"].items()}
    train, watched = parts["train"], parts["watched"]
    nothing = train.take(np.arange(0))
    has_validation = document["has_validation"]
    return Splits(
        train=train,
        validation=watched if has_validation else None,
        test=nothing if has_validation else watched,
        notes=tuple(document["notes"]),
        fingerprint=document["fingerprint"],
    )


class _Writer:
    """Puts arrays into the file, each of them once."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._placed: dict[int, dict[str, Any]] = {}

    def add_split(self, split: Split) -> dict[str, Any]:
        """Return where the arrays of ``split`` are."""
        return {
            "pixels": self._add(split.pixels),
            "labels": self._add(split.labels),
            "rows": None if split.rows is None else self._add(split.rows),
        }

    def _add(self, array: np.ndarray) -> dict[str, Any]:
        place = self._placed.get(id(array))
        if place is None:
            place = {"shape": list(array.shape), "dtype": array.dtype.str}
            mapped = _mapped_file(array)
            if mapped is not None:
                place["path"], place["offset"] = mapped
            else:
                self._file.seek(-(-self._file.tell() // _ALIGNMENT) * _ALIGNMENT)
                place["offset"] = self._file.tell()
                self._file.write(np.ascontiguousarray(array).data)
            self._placed[id(array)] = place
        return place


def _mapped_file(array: np.ndarray) -> tuple[str, int] | None:
    """Return the file that ``array`` is a map of, and where in it the array begins."""
    root: Any = array
    while isinstance(root.base, np.ndarray):
        root = root.base
    if not isinstance(root, np.memmap) or root.filename is None or not array.flags.c_contiguous:
        return None
    return str(root.filename), root.offset + array.ctypes.data - root.ctypes.data


def _read_split(part: Mapping[str, Any], file: BinaryIO) -> Split:
    rows = part["rows"]
    return Split(_map(part["pixels"], file), _map(part["labels"], file), None if rows is None else _map(rows, file))


def _map(place: Mapping[str, Any], file: BinaryIO) -> np.ndarray:
    shape: Sequence[int] = place["shape"]
    if 0 in shape:
        return np.empty(shape, place["dtype"])
    source = place.get("path", file)
    return np.memmap(source, dtype=place["dtype"], mode="r", offset=place["offset"], shape=tuple(shape))
