"""Archives that are compressed as a whole, unpacked to a plain tar in the cache: no further than images may.

Once an archive: what says which one it is are its path, size and time of change, as of decoded images.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock

from stepladder.datasets.cache import UNPACKED, cache_folder, private_folder
from stepladder.datasets.encoded import identify
from stepladder.datasets.filesystem import FileEntry, entry_of
from stepladder.errors import DataError, StorageError
from stepladder.files import replace_json

#: Bytes that all unpacked archives may have; those not used for longest make room for a new one.
MOST_BYTES = 20_000_000_000

# What the disk must have left beside them; and for how long nobody else may still be reading one.
_SPARE_BYTES, _IN_USE_SECONDS = 1_000_000_000, 3_600
_CHUNK, _LOOK_AGAIN = 1 << 20, 1 << 28
_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for a gzip file

# A tar has a header for each file, and an end: so many times the bytes of its files, where these are small.
_MOST_HEADERS = 10


def unpacked_tar(path: Path, most: int) -> Path:
    """Return the tar in the cache that the ``.tar.gz`` at ``path`` holds, unpacked now or before.

    Two processes that ask for the same unpack it once; a kill at any moment leaves the whole or nothing that is taken
    for it.

    Args:
        path: of the archive.
        most: bytes that its files may have.

    Raises:
        DataError: it is damaged, or more than it may be; or the cache cannot hold it.
    """
    key = archive_key(path)
    try:
        folder = private_folder(cache_folder() / UNPACKED)
        file, marker = folder / f"{key}.tar", folder / f"{key}.json"
        with FileLock(folder / f"{key}.lock"):
            if not marker.is_file() or not file.is_file():
                _unpack(path, folder, key, most)
                replace_json(marker, {"archive": path.name, "bytes": file.stat().st_size})
            os.utime(marker)  # used just now: the last to make room
    except (OSError, StorageError) as error:
        if getattr(error, "filename", None) == str(path):
            raise
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} is unpacked into the cache, and {cache_folder()} cannot hold it ({why}); unpack it yourself and "
            "give the folder, or set STEPLADDER_CACHE to a folder with room"
        ) from error
    return file


def forget(path: Path) -> None:
    """Remove what ``path`` was unpacked to, as it turned out to be no archive."""
    folder, key = cache_folder() / UNPACKED, archive_key(path)
    for name in (f"{key}.json", f"{key}.tar"):  # the marker first, so that none is left without its file
        with suppress(OSError):
            (folder / name).unlink(missing_ok=True)


def too_much(path: Path, what: str) -> DataError:
    """Return the error of an archive that unpacks to more than images do."""
    return DataError(
        f"{path} of {path.stat().st_size / 1e6:,.1f} MB unpacks to {what} or more, which no images do; unpack it "
        "yourself if you trust it, and give the folder"
    )


def archive_key(path: Path) -> str:
    """Return what tells an archive from others, and from what it was before it changed: path, size, time of change."""
    resolved = path.resolve()
    try:
        # Of the disk, where an archive that is open is a file all the same.
        found = entry_of(str(resolved), resolved.stat())
    except OSError:
        found = FileEntry(str(resolved), -1, 0)
    return identify(Path(), [found])[:32]


def _unpack(path: Path, folder: Path, key: str, most: int) -> None:
    part = folder / f"{key}.part"
    done = 0
    try:
        with part.open("wb") as file, path.open("rb") as packed:
            try:
                for chunk in _gunzipped(packed):
                    if done % _LOOK_AGAIN < len(chunk):
                        _make_room(folder, done)
                    done += len(chunk)
                    if done > _MOST_HEADERS * most:
                        raise too_much(path, f"{done / 1e6:,.1f} MB")
                    file.write(chunk)
            except (zlib.error, EOFError) as error:
                raise DataError(f"{path} is damaged, or no such archive ({error}); get the file again") from error
        part.replace(folder / f"{key}.tar")
    finally:
        part.unlink(missing_ok=True)


def _gunzipped(packed: BinaryIO) -> Iterator[bytes]:
    """Yield what a gzip file unpacks to (RFC 1952, one member or several), at most :data:`_CHUNK` bytes at a time.

    Python 3.11's ``gzip`` hands 8 KB at a time through four layers, which takes as long again as unpacking.

    Raises:
        zlib.error: it is damaged, or none; checksum and size of each member are compared.
        EOFError: it was cut off.
    """
    left, started = b"", False
    while left := left or packed.read(_CHUNK):
        if started and not (left := left.lstrip(b"\0")):  # padding, as tapes have it
            continue
        member, started = zlib.decompressobj(wbits=_GZIP), True
        while not member.eof:
            left = left or packed.read(_CHUNK)
            if not left:
                raise EOFError("it ends before its end was told")
            if chunk := member.decompress(left, _CHUNK):
                yield chunk
            left = member.unused_data if member.eof else member.unconsumed_tail


def _make_room(folder: Path, size: int) -> None:
    """Remove archives that were not used for longest until ``size`` bytes more keep within :data:`MOST_BYTES`.

    Args:
        size: bytes that are written already, and not among those that are kept.

    Raises:
        OSError: the disk is nearly full.
    """
    kept = sorted(folder.glob("*.json"), key=lambda marker: marker.stat().st_mtime)
    sizes = {}
    for marker in kept:
        with suppress(OSError, ValueError, TypeError, KeyError):
            sizes[marker] = int(json.loads(marker.read_bytes())["bytes"])
    total = sum(sizes.values())
    for marker in kept:
        if total + size <= MOST_BYTES or time.time() - marker.stat().st_mtime < _IN_USE_SECONDS:
            break
        marker.unlink()  # first, so that no marker is left without its files
        marker.with_suffix(".tar").unlink(missing_ok=True)
        total -= sizes.get(marker, 0)
    if shutil.disk_usage(folder).free < _SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"less than {_SPARE_BYTES / 1e9:,.0f} GB would be left")
