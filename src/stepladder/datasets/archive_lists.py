"""What archives of images hold, kept in the cache: names and sizes, as a look into a folder gives them.

From it the images of an archive that were decoded before are found without reading the archive, whose headers may stand
between its files. It says nothing of where files lie: before the first of them is read, the archive is looked into and
compared with its list, so that no list can lead to other bytes than the archive's own.
"""

from __future__ import annotations

import json
import os
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

from stepladder.datasets.cache import (
    FEWEST_IMAGES,
    LISTS,
    UnsafeFolderError,
    cache_folder,
    private_folder,
    warn_unsafe,
)
from stepladder.errors import StepladderWarning, StorageError
from stepladder.files import MOST_RECORD_BYTES, read_plain, remove_stale_parts, replace_bytes

#: What stands in place of a folder's size.
FOLDER = -1

#: What an archive holds: by folder, whose paths have ``/`` and which is ``""`` at the top, the names in it in the
#: archive's order, and their sizes in bytes.
Listing = dict[str, tuple[list[str], list[int]]]

#: Bytes that all lists may have; those not used for longest make room for a new one.
MOST_BYTES = 500_000_000

# Hexadecimal digits of the CRC-32 of what follows, and a line break.
_HEAD = 9


def kept_list(key: str, path: Path) -> Listing | None:
    """Return the list of the archive ``key``, None where none is kept; one that is damaged is said to be.

    Args:
        key: which archive it is, and of when; see :func:`stepladder.datasets.unpack.archive_key`.
        path: of the archive, for the message.
    """
    folder = _folder()
    if folder is None:
        return None
    file = folder / f"{key}.list"
    found = _find(file)
    if isinstance(found, str):
        warnings.warn(
            f"The list of the files in {path}, which the cache has kept, is damaged ({found}); it is made again.",
            StepladderWarning,
            stacklevel=3,
        )
        return None
    if found is not None:
        with suppress(OSError):
            os.utime(file)  # used just now: the last to make room
    return found


def keep_list(key: str, listing: Listing) -> None:
    """Keep the list of an archive; of few files it is not, as they are sooner looked for than looked up.

    Where the cache cannot be written, nothing is kept.
    """
    if sum(len(names) for names, _ in listing.values()) < FEWEST_IMAGES:
        return
    body = json.dumps(listing, separators=(",", ":")).encode()
    folder = _folder() if len(body) + _HEAD <= MOST_RECORD_BYTES else None
    if folder is None:
        return
    with suppress(OSError, StorageError):
        _make_room(folder, len(body))
        replace_bytes(folder / f"{key}.list", _head(body) + body)


def forget_list(key: str) -> None:
    """Remove the list of an archive that holds something else."""
    if (folder := _folder()) is not None:
        with suppress(OSError):
            (folder / f"{key}.list").unlink(missing_ok=True)


def _folder() -> Path | None:
    try:
        return private_folder(cache_folder() / LISTS)
    except UnsafeFolderError as error:
        warn_unsafe(error)
    except OSError:
        pass
    return None


def _head(body: bytes) -> bytes:
    return f"{zlib.crc32(body):08x}\n".encode()


def _find(file: Path) -> Listing | str | None:
    """Return the list in a file, None where there is none, or what is wrong with it."""
    try:
        content = read_plain(file, follow=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error.strerror or str(error)
    body = content[_HEAD:]
    if content[:_HEAD] != _head(body):
        return "it has another checksum than it had"
    try:
        return _checked(json.loads(body))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return "it does not say what it should"


def _checked(told: object) -> Listing:
    """Return a list as it was kept.

    Raises:
        ValueError, TypeError, AttributeError: it is none, or has a name that no file in an archive has.
    """
    listing: Listing = {}
    inside = {""}
    for folder, (names, sizes) in told.items():  # type: ignore[attr-defined]  # what has none is no list
        together = "\0".join(names)
        each = set(names)
        if "/" in together or "\\" in together or len(each) < len(names) or each & {"", ".", ".."}:
            raise ValueError("names that no files in a folder have")
        if len(sizes) != len(names) or set(map(type, sizes)) - {int} or min(sizes, default=0) < FOLDER:
            raise ValueError("no sizes of files")
        start = f"{folder}/" if folder else ""
        inside.update(start + name for name, size in zip(names, sizes, strict=True) if size == FOLDER)
        listing[folder] = names, sizes
    if inside != set(listing):
        raise ValueError("folders that nothing leads to, or that are not listed")
    return listing


def _make_room(folder: Path, size: int) -> None:
    """Remove the lists that were not used for longest until ``size`` more bytes keep within :data:`MOST_BYTES`."""
    remove_stale_parts(folder, ())
    kept = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*.list"))
    total = size + sum(told for _, told, _ in kept)
    for _, told, file in kept:
        if total <= MOST_BYTES:
            break
        file.unlink(missing_ok=True)
        total -= told
