"""Where downloads and decoded images are kept between runs."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import stat
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from filelock import FileLock, Timeout

from stepladder.datasets.mapped import MOST_HELD, checksum, fits_memory, map_scratch, open_plain, reserve
from stepladder.errors import DataError, StepladderWarning, StorageError
from stepladder.files import replace_json, sync_folder

#: The environment variable that moves the cache.
VARIABLE = "STEPLADDER_CACHE"

#: Bytes of decoded images that are kept in all; the sets not used for longest make room for a new one.
MOST_BYTES = 20_000_000_000

#: Smaller sets are decoded faster than they are looked up.
FEWEST_IMAGES = 100

# What the disk must have left beside a new set, so that a cache never is what fills it.
_SPARE_BYTES = 1_000_000_000
# The number is of the files' layout: a program with another one never meets them.
_DECODED = "decoded-1"
#: Virtual environments of the libraries that training speed is compared with.
PEERS = "peers"
#: How long a training step takes in each precision, a file a network.
PRECISIONS = "precisions"
#: Archives of images that are compressed as a whole, as plain tars; the number is of the files' layout.
UNPACKED = "unpacked-2"
#: What archives of images hold; the number is of the files' layout.
LISTS = "lists-1"
#: Data sets of the Hugging Face Hub, as they were fetched.
HUB = "hub-1"
#: What frozen layers make of images; the number is of the files' layout.
FEATURES = "features-1"


@dataclass(frozen=True)
class Decoded:
    """Decoded images.

    Attributes:
        pixels: uint8, (N, H, W, C); from the cache a read-only map of its file, so that a set may be larger than the
            memory.
        facts: plain values beside them, which JSON can hold.
        keep: whether they may be kept.
    """

    pixels: np.ndarray
    facts: Mapping[str, Any]
    keep: bool = True


#: Gives a writable uint8 array of a shape; raises DataError where there is no room for it.
Allocate = Callable[[tuple[int, ...]], np.ndarray]

#: Fills the array that it allocated last.
Decode = Callable[[Allocate], Decoded]

#: Raises KeyError, TypeError or ValueError where facts that were kept are none of a set of so many images.
Check = Callable[[Mapping[str, Any], int], object]


def cache_folder() -> Path:
    """Return the folder of Stepladder's cache: ``$STEPLADDER_CACHE``, else the user's own on this system.

    It need not exist yet.
    """
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("stepladder", appauthor=False)


class UnsafeFolderError(OSError):
    """A folder of the cache in which somebody else could put links and files of their own."""


def private_folder(folder: Path) -> Path:
    """Return ``folder``, a part of the cache, made where it is not there; its owner alone may read and write it.

    Raises:
        UnsafeFolderError: it is a link, or belongs to somebody else.
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if not stat.S_ISDIR(folder.lstat().st_mode):
        raise UnsafeFolderError(errno.ENOTDIR, "it is a link or no folder", str(folder))
    if not hasattr(os, "geteuid"):
        return folder
    # By the open folder, so that what is looked at is what is changed.
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        found = os.fstat(opened)
        if found.st_uid == os.geteuid():
            if found.st_mode & 0o077:
                with suppress(OSError):  # some file systems keep no modes
                    os.fchmod(opened, 0o700)
        elif found.st_uid != 0 or found.st_mode & 0o022:  # what only an administrator can write is no trap
            raise UnsafeFolderError(errno.EACCES, "it belongs to another user", str(folder))
    finally:
        os.close(opened)
    return folder


def warn_unsafe(error: UnsafeFolderError) -> None:
    """Say that a folder of the cache is not used."""
    warnings.warn(
        f"The cache {error.filename} is not used: {error.strerror}. Remove it, or set {VARIABLE} to a folder of your "
        "own.",
        StepladderWarning,
        stacklevel=3,
    )


def decode_once(key: str | None, count: int, decode: Decode, check: Check | None = None) -> Decoded:
    """Return the decoded images of ``key`` from the cache, or decode and keep them.

    Two processes that ask for the same images decode them once. A kill at any moment leaves the whole set or nothing
    that is taken for one. Where the cache cannot be written, or the disk has no room, they are decoded into memory.
    What is not kept is mapped from a file of its own where it is large.

    What is kept has a checksum: where it does not hold, the images are decoded again, with a
    :class:`StepladderWarning`.

    Args:
        key: a file name, which tells apart everything that the pixels depend on; None keeps nothing.
        count: how many images there are; fewer than :data:`FEWEST_IMAGES` are not kept.
        decode: called where they are not kept yet.
        check: looks at facts that were kept.

    Raises:
        DataError: they are too large for the memory, and the disk has no room for them either.
    """
    if key is None or count < FEWEST_IMAGES:
        return decode(allocate_pixels)
    try:
        folder = private_folder(cache_folder() / _DECODED)
    except UnsafeFolderError as error:
        warn_unsafe(error)
        return decode(allocate_pixels)
    except OSError:
        return decode(allocate_pixels)
    if isinstance(found := _find(folder, key, count, check), Decoded):
        return found
    with _alone(folder, key) as locked:
        if not locked:
            return decode(allocate_pixels)
        # Another process may have decoded them while this one waited.
        found = _find(folder, key, count, check)
        if isinstance(found, Decoded):
            return found
        if found is not None:
            warnings.warn(
                f"Decoded images in the cache are damaged ({found}); they are decoded again.",
                StepladderWarning,
                stacklevel=2,
            )
        return _decode_into(folder, key, decode)


def clear_cache() -> int:
    """Remove everything that Stepladder keeps in its cache folder; return the bytes that this freed.

    Raises:
        StorageError: something cannot be removed.
    """
    return _remove(_DECODED, "downloads", PEERS, PRECISIONS, FEATURES, UNPACKED, LISTS, HUB)


def forget_precisions() -> None:
    """Remove what was measured of arithmetic, so that it is measured anew.

    Raises:
        StorageError: something cannot be removed.
    """
    _remove(PRECISIONS)


def _remove(*parts: str) -> int:
    folder = cache_folder()
    freed = 0
    for name in parts:
        part = folder / name
        if part.is_symlink() or not part.is_dir():
            continue
        # Links are removed and never followed: os.walk lists a link to a folder but does not enter it.
        for above, _, files in os.walk(part):
            freed += sum((Path(above) / file).lstat().st_size for file in files)
        try:
            shutil.rmtree(part)
        except OSError as error:
            raise StorageError(f"cannot remove {error.filename or part}: {error.strerror or error}") from error
    return freed


def allocate_pixels(shape: tuple[int, ...]) -> np.ndarray:
    """Return a writable uint8 array of ``shape``, (N, H, W, C): in memory, or where it is large mapped from a file.

    Raises:
        DataError: it is too large for the memory, and the disk has no room for it either.
    """
    size = math.prod(shape)
    held = fits_memory(size)
    refused = "more than half of what there is"
    if size > MOST_HELD or not held:
        folder = cache_folder() / _DECODED
        try:
            private_folder(folder)
            _make_room(folder, size)
            return map_scratch(folder, shape)
        except OSError as error:
            refused = f"and {folder} cannot hold them ({error.strerror or error})"
    try:
        if held:
            return np.empty(shape, dtype=np.uint8)
    except MemoryError:
        refused = "which the system does not give"
    count, height, width, channels = shape
    raise DataError(
        f"{count:,} images of {width}×{height}×{channels} take {size / 1e9:.1f} GB of memory, {refused}; free space "
        "there, set STEPLADDER_CACHE to a folder with room, make the images smaller with `size`, or take fewer with "
        "`limit`"
    )


def _names(folder: Path, key: str) -> tuple[Path, Path]:
    return folder / f"{key}.pixels", folder / f"{key}.json"


def _find(folder: Path, key: str, count: int, check: Check | None) -> Decoded | str | None:
    """Return what is kept, None where nothing is, or what is wrong with it."""
    pixels_file, facts_file = _names(folder, key)
    try:
        with open_plain(facts_file) as file:
            kept = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return f"{facts_file} cannot be read"
    try:
        shape, facts, told = kept["shape"], kept["facts"], kept.get("crc32")
        if told is None:  # written by a Stepladder that kept none
            return None
        sound = all(type(length) is int and length > 0 for length in shape) and len(shape) == 4 and shape[0] == count
        if not sound or not isinstance(facts, dict):
            raise ValueError(f"no set of {count} images")
        if check is not None:
            check(facts, count)
        with open_plain(pixels_file) as file:
            # A map of a file that is shorter than its shape would end the process on reading past the end.
            if os.fstat(file.fileno()).st_size != math.prod(shape):
                return f"{pixels_file} is shorter or longer than it was"
            pixels = np.memmap(file, dtype=np.uint8, mode="r", shape=tuple(shape)).view(np.ndarray)
    except OSError:
        return f"{pixels_file} cannot be read"
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return f"{facts_file} does not say what it should"
    if _checksum(pixels, facts) != told:
        return f"{pixels_file} has another checksum than it had"
    with suppress(OSError):
        os.utime(facts_file)  # used just now: the last to make room
    return Decoded(pixels, facts)


def _checksum(pixels: np.ndarray, facts: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps([pixels.shape, facts]).encode(), checksum(pixels))


def _decode_into(folder: Path, key: str, decode: Decode) -> Decoded:
    pixels_file, facts_file = _names(folder, key)
    part: Path | None = None
    mapped: np.memmap[Any, np.dtype[np.uint8]] | None = None

    def allocate(shape: tuple[int, ...]) -> np.ndarray:
        # Decoding may begin anew with another shape; only the last array counts.
        nonlocal part, mapped
        mapped = None
        try:
            part = _reserve(folder, key, math.prod(shape))
            with open_plain(part, writable=True) as file:
                mapped = np.memmap(file, dtype=np.uint8, mode="r+", shape=shape)
        except OSError:
            return allocate_pixels(shape)
        return mapped.view(np.ndarray)

    try:
        decoded = decode(allocate)
        if not decoded.keep or part is None or mapped is None:
            return decoded
        try:
            told = _checksum(mapped, decoded.facts)
            mapped.flush()
            with open_plain(part, writable=True) as file:
                os.fsync(file.fileno())
            part.replace(pixels_file)
            sync_folder(folder)
            # Last, because it is what says that the pixels are whole.
            replace_json(facts_file, {"shape": list(mapped.shape), "facts": decoded.facts, "crc32": told})
            # Read-only, as the next process has them, and not looked at once more.
            with open_plain(pixels_file) as file:
                pixels = np.memmap(file, dtype=np.uint8, mode="r", shape=mapped.shape).view(np.ndarray)
        except (OSError, StorageError):
            return decoded
        # Facts as JSON gives them back.
        return Decoded(pixels, json.loads(json.dumps(decoded.facts)))
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


def _reserve(folder: Path, key: str, size: int) -> Path:
    _make_room(folder, size)
    part = folder / f"{key}.part"
    reserve(part, size)
    return part


def _make_room(folder: Path, size: int) -> None:
    """Remove the sets that were not used for longest until ``size`` more bytes keep within :data:`MOST_BYTES`."""
    _remove_abandoned(folder)
    kept = sorted(folder.glob("*.json"), key=lambda facts: facts.stat().st_mtime)
    total = sum(pixels.stat().st_size for pixels in folder.glob("*.pixels"))
    for facts in kept:
        if total + size <= MOST_BYTES:
            break
        pixels = facts.with_suffix(".pixels")
        total -= pixels.stat().st_size if pixels.exists() else 0
        facts.unlink()  # first, so that no marker is left without its pixels
        pixels.unlink(missing_ok=True)
    if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left half done: what has no marker, and no owner either."""
    for path in folder.iterdir():
        if path.suffix in (".part", ".pixels") and not path.with_suffix(".json").exists():
            with suppress(Timeout), FileLock(path.with_suffix(".lock"), timeout=0):
                path.unlink(missing_ok=True)


@contextmanager
def _alone(folder: Path, key: str) -> Iterator[bool]:
    """Hold the lock of ``key``; gives False where the cache cannot be written. The system frees a dead owner's lock."""
    try:
        lock = FileLock(folder / f"{key}.lock")
        lock.acquire()
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
