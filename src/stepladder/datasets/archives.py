"""Zip and tar archives of images, read where they lie: plain files only, none outside, and no more than archives hold.

For the formats see :mod:`stepladder.datasets.zip_members` and :mod:`stepladder.datasets.tar_members`. What is
compressed as a whole, ``.tar.gz``, has no places to read from, and is unpacked to a plain tar in the cache, once; see
:mod:`stepladder.datasets.unpack`.
"""

from __future__ import annotations

import errno
import os
import posixpath
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from stepladder.datasets.filesystem import MAX_FILE_BYTES, file_entry, too_large
from stepladder.datasets.tar_members import members
from stepladder.datasets.unpack import forget, too_much, unpacked_tar
from stepladder.datasets.zip_members import HEADER, zip_members
from stepladder.errors import DataError

#: What archives end in.
ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz")

#: Files in one archive, and bytes of these: a small archive that claims more is made to fill memory and disk. Pictures
#: are compressed already; plain ones of few colors (BMP) may become a hundred times smaller.
MOST_FILES = 2_000_000
MOST_TIMES, ALWAYS_ALLOWED = 100, 100_000_000

# How long the extra fields of a file in a zip are at most, for one reading to be enough.
_USUAL_EXTRA = 64
# Compressed bytes that are read for the first few of a file.
_CHUNK = 1 << 16


class _Stored(NamedTuple):
    """Where a file is in an archive, bytes.

    Attributes:
        offset: of its content; in a zip, of the header before it.
        size: of its content.
        packed: the same as it lies there.
        header: how long the header is without extra fields; 0 in a tar.
        checksum: CRC-32 of its content; None in a tar.
    """

    offset: int
    size: int
    packed: int
    header: int = 0
    checksum: int | None = None
    deflated: bool = False


class _Stat(NamedTuple):
    st_size: int
    st_mtime_ns: int
    st_ctime_ns: int


class ArchiveEntry:
    """A file or folder in an archive, in the form of ``os.DirEntry``.

    Attributes:
        name: the last part of its path.
        path: with that of the archive before it.
        stored: where it lies; None of a folder.
    """

    __slots__ = ("_changed_ns", "name", "path", "stored")

    def __init__(self, name: str, path: str, stored: _Stored | None, changed_ns: int) -> None:
        self.name = name
        self.path = path
        self.stored = stored
        self._changed_ns = changed_ns

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return self.stored is None

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self.stored is not None

    def stat(self) -> _Stat:
        """Return its size, and when the archive was changed."""
        return _Stat(self.stored.size if self.stored else 0, self._changed_ns, self._changed_ns)


class Archive:
    """An open archive: a :class:`stepladder.datasets.filesystem.Tree`. Threads may read from it at the same time.

    Args:
        path: as users know it, for messages and paths.
        file: its bytes; closed with the archive.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file
        self._changed_ns = file_entry(path).changed_ns
        self._folders: dict[str, list[ArchiveEntry]] = {"": []}
        self._entries: dict[str, ArchiveEntry] = {}
        self._turn = threading.Lock()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def add(self, found: Iterable[tuple[str, _Stored | None]]) -> None:
        """Add files, and folders as None, by their paths.

        Raises:
            DataError: a path is there twice, also as that of a folder and a file, or there are too many.
        """
        start = f"{self._path}{os.sep}"
        entries, folders, changed = self._entries, self._folders, self._changed_ns
        for path, stored in found:
            if stored is None:
                self._add_folder(path)
                continue
            if path in entries or not path:
                raise DataError(f"{self._path} holds {path!r} twice; it is refused as a whole")
            folder, _, name = path.rpartition("/")
            if folder not in folders:
                self._add_folder(folder)
            shown = path if os.sep == "/" else path.replace("/", os.sep)
            entries[path] = entry = ArchiveEntry(name, start + shown, stored, changed)
            folders[folder].append(entry)

    def _add_folder(self, path: str) -> None:
        if path in self._folders:
            return
        if path in self._entries:
            raise DataError(f"{self._path} holds {path!r} twice; it is refused as a whole")
        above, _, name = path.rpartition("/")
        self._add_folder(above)
        shown = path if os.sep == "/" else path.replace("/", os.sep)
        entry = ArchiveEntry(name, f"{self._path}{os.sep}{shown}", None, self._changed_ns)
        self._entries[path] = entry
        self._folders[above].append(entry)
        self._folders[path] = []

    def entries(self, folder: str) -> Sequence[ArchiveEntry]:
        """Return what lies in a folder. Raises OSError where there is no such folder."""
        found = self._folders.get(folder) or self._folders.get(posixpath.normpath(folder))
        if found is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self._path}{os.sep}{folder}")
        return found

    def entry(self, inner: str) -> ArchiveEntry | None:
        """Return the file or folder of that path, None where there is none."""
        # What leads out of the archive begins with ".." then, as no path in it does.
        return self._entries.get(inner) or self._entries.get(posixpath.normpath(inner))

    def read(self, inner: str, most: int | None = None) -> bytes:
        """Return the content of a file, or its first ``most`` bytes.

        Raises:
            DataError: it is damaged; the message is the reason alone, without the path.
            OSError: there is no such file, or the archive cannot be read.
        """
        entry = self.entry(inner)
        stored = None if entry is None else entry.stored
        if stored is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self._path}{os.sep}{inner}")
        if most is None and stored.size > MAX_FILE_BYTES:
            raise too_large(stored.size)
        asked = stored.size if most is None else min(most, stored.size)
        packed = self._packed(stored, stored.packed if most is None else min(stored.packed, asked + _CHUNK))
        if stored.deflated:
            try:
                # One byte more than it should be, which then shows.
                content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, asked + (most is None))
            except zlib.error as error:
                raise DataError(f"damaged in the archive ({error})") from error
        else:
            content = packed[:asked]
        if len(content) != asked:
            raise DataError(f"damaged in the archive: it should have {asked:,} bytes and has other than that")
        if most is None and stored.checksum not in (None, zlib.crc32(content)):
            raise DataError("damaged in the archive: its checksum does not hold")
        return content

    def _packed(self, stored: _Stored, count: int) -> bytes:
        """Return the first ``count`` bytes of a file as they lie there."""
        if not stored.header:
            return self._read_at(stored.offset, count)
        # With the header, whose extra fields the central directory does not know the length of.
        block = self._read_at(stored.offset, stored.header + _USUAL_EXTRA + count)
        if block[:4] != b"PK\3\4" or len(block) < HEADER.size:
            raise DataError("damaged in the archive: its header is none")
        *_, name, extra = HEADER.unpack_from(block)
        start = HEADER.size + name + extra
        if start + count > len(block):
            return self._read_at(stored.offset + start, count)
        return block[start : start + count]

    def _read_at(self, offset: int, count: int) -> bytes:
        # By one call that says where, so that threads need no turns.
        if hasattr(os, "pread"):
            descriptor = self._file.fileno()
            content = os.pread(descriptor, count, offset)
            while len(content) < count and (more := os.pread(descriptor, count - len(content), offset + len(content))):
                content += more
            return content
        with self._turn:
            self._file.seek(offset)
            return self._file.read(count)


def open_archive(path: Path) -> Archive:
    """Open the archive at ``path``, whose form its ending tells. Folders in it, and what it holds, are told by names.

    Raises:
        DataError: it is damaged, encrypted, or holds links, paths that lead out of it, members that overlap, or more
            than it should; or the cache cannot hold what has to be unpacked.
        OSError: it cannot be read.
    """
    most = max(ALWAYS_ALLOWED, MOST_TIMES * path.stat().st_size)
    name = path.name.lower()
    packed = not name.endswith((".zip", ".tar"))
    file = (unpacked_tar(path, most) if packed else path).open("rb", buffering=0)
    archive = Archive(path, file)
    try:
        archive.add(_counted(path, _in_zip(path, file) if name.endswith(".zip") else _in_tar(path, file), most))
    except BaseException:
        archive.close()
        if packed:
            forget(path)
        raise
    return archive


def _counted(
    path: Path, found: Iterable[tuple[str, _Stored | None]], most: int
) -> Iterator[tuple[str, _Stored | None]]:
    """Yield what is found, as long as it is no more than an archive may hold."""
    total = count = 0
    for one in found:
        if one[1] is not None:
            total += one[1].size
            count += 1
            if total > most or count > MOST_FILES:
                raise too_much(path, f"{total / 1e6:,.1f} MB" if total > most else f"{count:,} files")
        yield one
    if not total:
        raise DataError(f"{path} holds no files with content; get it again")


def _in_zip(path: Path, file: BinaryIO) -> Iterator[tuple[str, _Stored | None]]:
    for member in zip_members(file, str(path)):
        name, offset, header, packed, size, checksum, deflated, is_folder = member
        yield name, None if is_folder else _Stored(offset, size, packed, header, checksum, deflated)


def _in_tar(path: Path, file: BinaryIO) -> Iterator[tuple[str, _Stored | None]]:
    for member in members(file, str(path), os.fstat(file.fileno()).st_size, folders=True):
        yield member.name, None if member.is_folder else _Stored(member.offset, member.size, member.size)
