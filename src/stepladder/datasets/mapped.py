"""Pixels that are mapped from a file in place of being held: sets larger than the memory, and memory given back.

Files here are made anew and never through a link: whoever can put a link where one is about to be written could else
have any file of the user's overwritten.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import tempfile
import weakref
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import prod
from pathlib import Path
from typing import BinaryIO

import numpy as np
from filelock import FileLock

from stepladder.datasets.threads import available_cores
from stepladder.errors import DataError

#: Pixels that no cache keeps are held in memory up to so many bytes, and mapped from a file of their own above.
MOST_HELD = 1_000_000_000

#: Memory of mapped pixels is given back while they are gone through, where there are more bytes of them than this.
FEWEST_RELEASED = 256_000_000

# Bytes of which a checksum keeps one sum, and that it goes through at a time.
_PAGE, _SUMMED = 4096, 1 << 24

# Windows has neither links that anyone may plant nor pipes with a name in a folder, and needs O_BINARY.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

# Where a container may use less memory than the machine has (control groups, version 2).
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def reserve(path: Path, size: int) -> None:
    """Make a new file of ``size`` bytes, all of them reserved: writing to a map of a full disk would end the process.

    What was there before goes, a link without what it points to. Only the owner may read it.

    Raises:
        OSError: the disk has no room, or nothing can be written there; no file is left.
    """
    path.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600), "wb") as file:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def open_plain(path: Path, *, writable: bool = False) -> BinaryIO:
    """Open the file at ``path``, and nothing that it points to.

    Raises:
        OSError: it is a link, no plain file, cannot be opened, or, where it is to be written, has another name too.
    """
    descriptor = os.open(path, (os.O_RDWR if writable else os.O_RDONLY) | _NO_LINK)
    found = os.fstat(descriptor)
    if stat.S_ISREG(found.st_mode) and not (writable and found.st_nlink > 1):
        return os.fdopen(descriptor, "r+b" if writable else "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no plain file of its own", str(path))


def checksum(values: np.ndarray) -> int:
    """Return a checksum of ``values`` (contiguous): the CRC-32 of the sums of 64-bit words of each 4 KiB.

    It finds every wrong bit, every wrong word, and pages that are lost or changed places; it is no defence against one
    who wants to deceive. Four times as fast as a CRC-32 of the bytes themselves: 184 MB took 0.012 s of an AMD EPYC's
    time in place of 0.050.
    """
    content = values.reshape(-1).view(np.uint8)
    whole = content.size - content.size % _PAGE
    found = 0

    def sums(start: int) -> np.ndarray:
        piece = content[start : min(start + _SUMMED, whole)]
        found_there: np.ndarray = np.add.reduce(piece.view("<u8").reshape(-1, _PAGE // 8), axis=1)
        if content.size > FEWEST_RELEASED:
            release(piece)
        return found_there.astype("<u8")

    starts = range(0, whole, _SUMMED)
    # One core does not use all that the memory gives. Without the limits on BLAS of ``in_threads``: they take as long.
    with ThreadPoolExecutor(min(4, available_cores())) as pool:
        for of_piece in (pool.map if len(starts) > 2 else map)(sums, starts):
            found = zlib.crc32(of_piece.data, found)
    return zlib.crc32(content[whole:].tobytes(), found)


def map_scratch(folder: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Return uint8 zeros of ``shape``, mapped from a file in ``folder`` that goes when nobody uses them any more.

    The file is called ``*.part``, and a lock beside it is held meanwhile: what a killed process leaves can be told.

    Raises:
        OSError: the disk has no room, or nothing can be written there.
    """
    descriptor, name = tempfile.mkstemp(".lock", "scratch-", folder)
    os.close(descriptor)
    part, lock = Path(name).with_suffix(".part"), FileLock(name)
    lock.acquire()
    try:
        reserve(part, prod(shape))
        mapped = np.memmap(part, dtype=np.uint8, mode="r+", shape=shape)
    except OSError:
        _remove(part, lock)
        raise
    weakref.finalize(mapped, _remove, part, lock)
    return mapped.view(np.ndarray)


def _remove(part: Path, lock: FileLock) -> None:
    with suppress(OSError):
        part.unlink(missing_ok=True)
    lock.release()
    with suppress(OSError):
        Path(lock.lock_file).unlink(missing_ok=True)


def usable_memory() -> int | None:
    """Bytes of memory that this process may use; None where nobody knows."""
    limits = []
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):
        limits.append(int(_GROUP_LIMIT.read_text()))
    return min(limits, default=None)


def fits_memory(size: int) -> bool:
    """Whether ``size`` bytes are at most half of the memory that this process may use; True where nobody knows."""
    usable = usable_memory()
    return usable is None or size <= usable / 2


def demand_memory(what: str, size: int, fix: str) -> None:
    """Refuse what is too large for the memory, before any of it is allocated.

    Args:
        what: the file and how it takes memory, as ``photos.npz unpacks to``.
        size: bytes that it says it takes.
        fix: what the user can do.

    Raises:
        DataError: it is more than half of the memory that this process may use.
    """
    if not fits_memory(size):
        raise DataError(
            f"{what} {size / 1e9:,.1f} GB, more than half of the {(usable_memory() or 0) / 1e9:,.1f} GB of memory "
            f"here; {fix}"
        )


def release(pixels: np.ndarray) -> None:
    """Give back the memory of ``pixels`` where they are mapped from a file: using them again reads them from it.

    The values stay: what was written is in the system's hands, which writes it to the file in its own time. Without
    this the whole of a large set would count as memory of a process that goes through it once.
    """
    root = pixels
    while isinstance(root.base, np.ndarray):
        root = root.base
    # A map that is not shared (mode "c") would lose what was written to it.
    if not isinstance(root, np.memmap) or root.mode not in ("r", "r+", "w+") or not isinstance(root.base, mmap.mmap):
        return
    if not hasattr(mmap, "MADV_DONTNEED") or not pixels.flags.c_contiguous:
        return
    start = root.offset % mmap.ALLOCATIONGRANULARITY + pixels.ctypes.data - root.ctypes.data
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE  # a page that is shared with others stays
    length = (start + pixels.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        root.base.madvise(mmap.MADV_DONTNEED, first, length)
