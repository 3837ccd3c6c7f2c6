"""Archives of images, unpacked into the cache: plain files only, none outside of it, and no more than archives hold.

Once an archive: what says which one it is are its path, size and time of change, as of decoded images.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import stat
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from filelock import FileLock

from stepladder.datasets.cache import UNPACKED, cache_folder, private_folder
from stepladder.datasets.encoded import file_entry, identify
from stepladder.datasets.tar_members import inner_path, members
from stepladder.errors import DataError, StorageError
from stepladder.files import replace_json

#: Bytes that all unpacked archives may have; those not used for longest make room for a new one.
MOST_BYTES = 20_000_000_000

#: Files in one archive, and bytes of these: a small archive that claims more is made to fill the disk. Pictures are
#: compressed already; plain ones of few colors (BMP) may become a hundred times smaller.
MOST_FILES = 2_000_000
MOST_TIMES, ALWAYS_ALLOWED = 100, 100_000_000

#: What archives end in.
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")

# What the disk must have left beside them; and for how long nobody else may still be reading one.
_SPARE_BYTES, _IN_USE_SECONDS = 1_000_000_000, 3_600
_CHUNK = 1 << 20


class _Member(NamedTuple):
    """A plain file in an archive: its path there, its size in bytes, and its content, open at its start."""

    name: str
    size: int
    content: BinaryIO


def unpacked(path: Path) -> Path:
    """Return the folder in the cache that holds the files of the archive at ``path``, unpacked now or before.

    Its name is that of the archive. Two processes that ask for the same unpack it once; a kill at any moment leaves the
    whole or nothing that is taken for it.

    Raises:
        DataError: the archive is damaged, encrypted, or holds links, paths that lead out of it, or more than it should;
            or the cache cannot hold it.
    """
    key = identify(Path(), [file_entry(path.resolve())])[:32]
    try:
        folder = private_folder(cache_folder() / UNPACKED)
        marker = folder / f"{key}.json"
        with FileLock(folder / f"{key}.lock"):
            if not marker.is_file() or not (folder / key).is_dir():
                _unpack(path, folder, key)
                shown = {"archive": path.name, "bytes": _bytes_in(folder / key)}
                replace_json(marker, shown)
            os.utime(marker)  # used just now: the last to make room
    except (OSError, StorageError) as error:
        if getattr(error, "filename", None) == str(path):
            raise
        why = getattr(error, "strerror", None) or error
        raise DataError(
            f"{path} is unpacked into the cache, and {cache_folder()} cannot hold it ({why}); unpack it yourself and "
            "give the folder, or set STEPLADDER_CACHE to a folder with room"
        ) from error
    return folder / key / path.name


def _unpack(path: Path, folder: Path, key: str) -> None:
    part = folder / f"{key}.part"
    for left in (part, folder / key):
        if left.exists():
            shutil.rmtree(left)
    most = max(ALWAYS_ALLOWED, MOST_TIMES * path.stat().st_size)
    is_zip = path.name.lower().endswith(".zip")
    _make_room(folder, _claimed(path, most) if is_zip else 0)
    root = part / path.name
    root.mkdir(parents=True)
    try:
        with _reasons(path):
            _write(path, root, _in_zip(path) if is_zip else _in_tar(path, most), most)
        part.rename(folder / key)
    finally:
        if part.exists():
            shutil.rmtree(part)


def _write(path: Path, root: Path, found: Iterator[_Member], most: int) -> None:
    total, made = 0, {root}
    for number, member in enumerate(found, 1):
        total += member.size
        if total > most or number > MOST_FILES:
            raise _too_much(path, f"{total / 1e6:,.1f} MB" if total > most else f"{number:,} files")
        target = root / member.name
        try:
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            with target.open("xb") as file:
                _copy(path, member, file)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise DataError(f"{path} holds {member.name!r} twice; it is refused as a whole") from error
    if not total:
        raise DataError(f"{path} holds no files with content; get it again")


def _copy(path: Path, member: _Member, file: BinaryIO) -> None:
    left = member.size
    while left:
        chunk = member.content.read(min(left, _CHUNK))
        if not chunk:
            raise DataError(f"{path} is damaged: {member.name!r} is shorter than it says; get the file again")
        file.write(chunk)
        left -= len(chunk)


def _too_much(path: Path, what: str) -> DataError:
    return DataError(
        f"{path} of {path.stat().st_size / 1e6:,.1f} MB unpacks to {what} or more, which no images do; unpack it "
        "yourself if you trust it, and give the folder"
    )


def _claimed(path: Path, most: int) -> int:
    """Return how many bytes the files of a zip have as it says, before any is unpacked."""
    with _reasons(path), zipfile.ZipFile(path) as archive:
        total = sum(member.file_size for member in archive.infolist())
    if total > most:
        raise _too_much(path, f"{total / 1e6:,.1f} MB")
    return total


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Turn what goes wrong in reading an archive into a sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError, UnicodeError) as error:
        raise DataError(f"{path} is damaged, or no such archive ({error}); get the file again") from error


def _in_zip(path: Path) -> Iterator[_Member]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            name = inner_path(member.filename, str(path))
            mode = member.external_attr >> 16
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{path} holds a link or device, {name!r}; only archives of plain files are read")
            if member.is_dir() or member.filename.endswith("\\"):
                continue
            if member.flag_bits & 1:
                raise DataError(f"{path} is encrypted; unpack it yourself and give the folder")
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise DataError(f"{path} is compressed in an unusual way; unpack it yourself and give the folder")
            with archive.open(member) as content:
                yield _Member(name, member.file_size, cast("BinaryIO", content))


def _in_tar(path: Path, most: int) -> Iterator[_Member]:
    plain = path.name.lower().endswith(".tar")
    with cast("BinaryIO", path.open("rb") if plain else gzip.open(path, "rb")) as file:
        # What is too much is told by the sizes of members, so that the sentence says so.
        for member in members(file, str(path), path.stat().st_size if plain else 10 * most):
            yield _Member(member.name, member.size, file)


def _bytes_in(folder: Path) -> int:
    return sum((Path(above) / name).lstat().st_size for above, _, names in os.walk(folder) for name in names)


def _make_room(folder: Path, size: int) -> None:
    """Remove archives that were not used for longest until ``size`` more bytes keep within :data:`MOST_BYTES`."""
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
        shutil.rmtree(marker.with_suffix(""), ignore_errors=True)
        total -= sizes.get(marker, 0)
    if shutil.disk_usage(folder).free < size + _SPARE_BYTES:
        raise OSError(errno.ENOSPC, f"{size / 1e9:,.1f} GB are needed")
