"""Pixels that are mapped from a file in place of being held: sets larger than the memory, and memory given back."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from contextlib import suppress
from math import prod
from pathlib import Path

import numpy as np
from filelock import FileLock

#: Pixels that no cache keeps are held in memory up to so many bytes, and mapped from a file of their own above.
MOST_HELD = 1_000_000_000

#: Memory of mapped pixels is given back while they are gone through, where there are more bytes of them than this.
FEWEST_RELEASED = 256_000_000

# Where a container may use less memory than the machine has (control groups, version 2).
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def reserve(path: Path, size: int) -> None:
    """Make a file of ``size`` bytes, all of them reserved: writing to a map of a full disk would end the process.

    Raises:
        OSError: the disk has no room, or nothing can be written there; no file is left.
    """
    try:
        with path.open("wb") as file:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(file.fileno(), 0, size)
            file.truncate(size)
    except OSError:
        path.unlink(missing_ok=True)
        raise


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


def fits_memory(size: int) -> bool:
    """Whether ``size`` bytes are at most half of the memory that this process may use; True where nobody knows."""
    limits = []
    with suppress(AttributeError, ValueError, OSError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):
        limits.append(int(_GROUP_LIMIT.read_text()))
    return not limits or size <= min(limits) / 2


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
