"""IDX files (LeCun, Cortes and Burges, "The MNIST database", the file format), plain or gzip."""

from __future__ import annotations

import gzip
import zlib
from io import BufferedReader
from pathlib import Path

import numpy as np

from stepladder.data.image_set import Split
from stepladder.errors import DataError

_UNSIGNED_BYTES = 0x08
_GZIP_START = b"\x1f\x8b"
# Deflate cannot shrink further than 1032:1 (zlib, "Technical Details"), so a compressed file bounds what it can hold.
_DEFLATE_LIMIT = 1032
_PIECE = 1 << 20


def read_idx(path: Path, dimensions: int) -> np.ndarray:
    """Read an IDX file of unsigned bytes; compression is told by content.

    Nothing is allocated before the header has been checked against the size of the file.

    Args:
        path: the file.
        dimensions: how many it must have: 3 for images (N, H, W), 1 for labels (N,).

    Returns:
        uint8, writable, of the shape in the header.

    Raises:
        DataError: the file cannot be read, is no such IDX file, or is shorter or longer than its header says.
    """
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == _GZIP_START
            file.seek(0)
            size = path.stat().st_size
            if not compressed:
                return _read(path, file, dimensions, most=size)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _read(path, unpacked, dimensions, most=size * _DEFLATE_LIMIT)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); get the file again") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def read_idx_split(images_path: Path, labels_path: Path, num_classes: int) -> Split:
    """Read an IDX pair as grey images and their labels.

    Raises:
        DataError: as :func:`read_idx`; the counts differ; a label is ``num_classes`` or more.
    """
    images = read_idx(images_path, 3)
    labels = read_idx(labels_path, 1)
    if len(images) != len(labels):
        raise DataError(
            f"{images_path} holds {len(images)} images but {labels_path} holds {len(labels)} labels; "
            "get the two files that belong together"
        )
    if labels.max() >= num_classes:
        raise DataError(f"{labels_path} holds the label {labels.max()}; labels must be 0 to {num_classes - 1}")
    return Split(images[:, :, :, None], labels.astype(np.int64))


def _read(path: Path, file: BufferedReader | gzip.GzipFile, dimensions: int, most: int) -> np.ndarray:
    header = file.read(4 + 4 * dimensions)
    if len(header) < 4 + 4 * dimensions:
        raise DataError(f"{path} is truncated: it ends inside its header; get the file again")
    magic = bytes([0, 0, _UNSIGNED_BYTES, dimensions])
    if header[:4] != magic:
        raise DataError(
            f"{path} starts with 0x{header[:4].hex()}, not with 0x{magic.hex()} as an IDX file of unsigned bytes with "
            f"{dimensions} dimension{'s' if dimensions > 1 else ''} does; give the file of that kind"
        )
    shape = tuple(int(length) for length in np.frombuffer(header, dtype=">u4", offset=4))
    expected = 1
    for length in shape:
        expected *= length
    if expected == 0:
        raise DataError(f"{path} says that it holds {'×'.join(map(str, shape))} values; get the file again")
    if expected > most:
        raise DataError(
            f"{path} is truncated: its header promises {expected:,} bytes, more than the file holds; get the file again"
        )
    values = np.empty(expected, dtype=np.uint8)
    filled = 0
    view = values.data
    # A piece at a time, because gzip's readinto unpacks all that is asked for before it copies.
    while filled < expected and (count := file.readinto(view[filled : filled + _PIECE])):
        filled += count
    # Reading past the end also makes gzip compare its checksum.
    longer = bool(file.read(1))
    if filled < expected or longer:
        problem = f"only {filled:,} of" if filled < expected else "more than"
        raise DataError(f"{path} holds {problem} the {expected:,} bytes that its header promises; get the file again")
    return values.reshape(shape)
