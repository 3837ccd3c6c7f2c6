"""Images before they are decoded: where they are, how they are read, and what identifies them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from stepladder.datasets.filesystem import FileEntry, read_image
from stepladder.errors import DataError

#: What is left to decode: encoded bytes; or pixels that a program holds, uint8 (H, W, C), C 1 or 3.
Content = bytes | np.ndarray

#: One image: its content, the path of a file with it, or None where a source has a label without an image.
Item = Content | str | None

#: Starts a new pass over images, in chunks.
Reader = Callable[[], Iterator[Sequence[Item]]]

#: Images in a chunk: few enough to bound the encoded bytes in flight, so many that handing one to a thread costs
#: nothing.
CHUNK = 256

#: A chunk of encoded bytes ends early when it is as large as this.
CHUNK_BYTES = 16_000_000


@dataclass(frozen=True)
class Encoded:
    """Encoded images of one split, in order, read when they are needed.

    Attributes:
        labels: int64, shape (N,), positions in the class names; one for each image.
        read: starts a new pass over the images, in chunks.
        place: where the image at a position comes from, for messages.
        fingerprint: SHA-256, hex, of what identifies the encoded bytes without reading them: see :func:`identify`.
            None where only reading tells them apart; such images are not kept in the cache.
        groups: int64, shape (N,), which images belong together; see :class:`stepladder.datasets.image_set.Split`.
    """

    labels: np.ndarray
    read: Reader
    place: Callable[[int], str]
    fingerprint: str | None
    groups: np.ndarray | None = None


def identify(root: Path, entries: Iterable[FileEntry], taken: bytes = b"") -> str:
    """Return a fingerprint of files: SHA-256, hex, of path, size and time of change of each, in order.

    Args:
        root: where the paths start, if they are relative; resolved once, because resolving each of 60,000 paths takes
            longer than decoding some images.
        entries: the files.
        taken: what says which part of them is read, if not all.
    """
    digest = hashlib.sha256()
    start = f"{root.resolve()}{os.sep}"
    isabs = os.path.isabs
    waiting = iter(entries)
    # Many at a time: a call for each would take longer than all else here.
    while some := list(islice(waiting, CHUNK)):
        told = [
            f"{path if path.startswith('/') or isabs(path) else start + path}\0{size}\0{changed}\0"
            for path, size, changed in some
        ]
        digest.update(os.fsencode("".join(told)))
    digest.update(b"\0" + taken)
    return digest.hexdigest()


def files(
    entries: Sequence[FileEntry],
    labels: np.ndarray,
    places: Sequence[str] | None = None,
    groups: np.ndarray | None = None,
) -> Encoded:
    """Return the images in ``entries``, which are labelled by ``labels``; ``places`` says where, if not their paths."""
    paths = [entry.path for entry in entries]

    def read() -> Iterator[Sequence[str]]:
        for start in range(0, len(paths), CHUNK):
            yield paths[start : start + CHUNK]

    shown = paths if places is None else places
    return Encoded(labels, read, lambda position: shown[position], identify(Path(), entries), groups)


def content_of(item: Item) -> Content:
    """Return the content of ``item``, read if it is a path.

    Raises:
        DataError: there are none, or the file cannot be read; the message is the reason alone, without a place.
    """
    if item is None:
        raise DataError("holds no image bytes (the path of a file elsewhere is not enough)")
    if not isinstance(item, str):
        return item
    try:
        return read_image(item)
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"cannot be read: {error}") from error
