"""Zip and tar archives of images, read where they lie: plain files only, none outside, and no more than archives hold.

For the formats see :mod:`stepladder.datasets.zip_members` and :mod:`stepladder.datasets.tar_members`. What is
compressed as a whole, ``.tar.gz``, has no places to read from, and is unpacked to a plain tar in the cache, once; see
:mod:`stepladder.datasets.unpack`. What an archive holds is listed in the cache, so that images which were decoded
before are found without reading it; see :mod:`stepladder.datasets.archive_lists`.
"""

from __future__ import annotations

import errno
import os
import posixpath
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from stepladder.datasets.archive_lists import FOLDER, Listing, forget_list, keep_list, kept_list
from stepladder.datasets.filesystem import MAX_FILE_BYTES, file_entry, opened, too_large
from stepladder.datasets.tar_members import members
from stepladder.datasets.unpack import archive_key, forget, too_much, unpacked_tar
from stepladder.datasets.zip_members import HEADER, zip_members
from stepladder.errors import DamagedError, DataError

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
    """

    __slots__ = ("_changed_ns", "_size", "name", "path")

    def __init__(self, name: str, path: str, size: int, changed_ns: int) -> None:
        self.name = name
        self.path = path
        self._size = size
        self._changed_ns = changed_ns

    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return self._size == FOLDER

    def is_file(self) -> bool:
        """Whether it is a file."""
        return self._size != FOLDER

    def stat(self) -> _Stat:
        """Return its size, and when the archive was changed."""
        return _Stat(max(self._size, 0), self._changed_ns, self._changed_ns)


class _Contents:
    """What an archive holds: the list of it, and where each file lies.

    Args:
        path: of the archive, for messages.
    """

    def __init__(self, path: Path) -> None:
        self.listing: Listing = {"": ([], [])}
        self.places: dict[str, _Stored] = {}
        self._path = path

    def add(self, found: Iterable[tuple[str, _Stored | None]]) -> None:
        """Add files, and folders as None, by their paths.

        Raises:
            DataError: a path is there twice, also as that of a folder and a file, or there are too many.
        """
        listing, places = self.listing, self.places
        for path, stored in found:
            if stored is None:
                self._add_folder(path)
                continue
            if path in places or path in listing:
                raise self._twice(path)
            folder, _, name = path.rpartition("/")
            if folder not in listing:
                self._add_folder(folder)
            places[path] = stored
            names, sizes = listing[folder]
            names.append(name)
            sizes.append(stored.size)

    def _add_folder(self, path: str) -> None:
        if path in self.listing:
            return
        if path in self.places:
            raise self._twice(path)
        above, _, name = path.rpartition("/")
        self._add_folder(above)
        names, sizes = self.listing[above]
        names.append(name)
        sizes.append(FOLDER)
        self.listing[path] = [], []

    def _twice(self, path: str) -> DataError:
        return DataError(f"{self._path} holds {path!r} twice; it is refused as a whole")


class Archive:
    """An open archive: a :class:`stepladder.datasets.filesystem.Tree`. Threads may read from it at the same time.

    Args:
        path: as users know it, for messages and paths.
        listing: what it holds.
        found: its bytes, closed with the archive, and where its files lie in them. None looks for these once a file is
            read: a list that the cache has kept says what there is, and never where to read.
    """

    def __init__(self, path: Path, listing: Listing, found: tuple[BinaryIO, dict[str, _Stored]] | None = None) -> None:
        self._path = path
        self._listing = listing
        self._changed_ns = file_entry(path).changed_ns
        self._entries: dict[str, dict[str, ArchiveEntry]] = {}
        self._found = found
        self._turn, self._looking = threading.Lock(), threading.Lock()

    def close(self) -> None:
        """Close the file."""
        if self._found is not None:
            self._found[0].close()

    def _in_folder(self, folder: str) -> dict[str, ArchiveEntry] | None:
        """Return what lies in a folder, by name; None where there is no such folder."""
        if (made := self._entries.get(folder)) is not None:
            return made
        listed = self._listing.get(folder)
        if listed is None:
            return None
        start, changed = f"{self._path}{os.sep}", self._changed_ns
        if folder:
            start += f"{folder}/".replace("/", os.sep)
        made = {name: ArchiveEntry(name, start + name, size, changed) for name, size in zip(*listed, strict=True)}
        self._entries[folder] = made
        return made

    def entries(self, folder: str) -> Sequence[ArchiveEntry]:
        """Return what lies in a folder. Raises OSError where there is no such folder."""
        found = self._in_folder(folder)
        if found is None and (found := self._in_folder(posixpath.normpath(folder))) is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self._path}{os.sep}{folder}")
        return list(found.values())

    def entry(self, inner: str) -> ArchiveEntry | None:
        """Return the file or folder of that path, None where there is none."""
        # What leads out of the archive begins with ".." then, as no path in it does.
        return self._entry(inner) or self._entry(posixpath.normpath(inner))

    def _entry(self, inner: str) -> ArchiveEntry | None:
        folder, _, name = inner.rpartition("/")
        found = self._in_folder(folder)
        return None if found is None else found.get(name)

    def _places(self) -> tuple[BinaryIO, dict[str, _Stored]]:
        """Return the archive's bytes, and where its files lie in them.

        Raises:
            DamagedError: it holds something else than was listed.
            DataError, OSError: it cannot be read any more; see :func:`open_archive`.
        """
        if self._found is None:
            with self._looking:
                if self._found is None:
                    file, contents = _look_into(self._path)
                    if contents.listing != self._listing:
                        file.close()
                        forget_list(archive_key(self._path))
                        raise DamagedError(
                            f"{self._path} holds other files than the list of them in the cache says",
                            "the list is removed: run it again",
                        )
                    self._found = file, contents.places
        return self._found

    def read(self, inner: str, most: int | None = None) -> bytes:
        """Return the content of a file, or its first ``most`` bytes.

        Raises:
            DataError: it is damaged; the message is the reason alone, without the path.
            OSError: there is no such file, or the archive cannot be read.
        """
        file, places = self._found or self._places()
        stored = places.get(inner) or places.get(posixpath.normpath(inner))
        if stored is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self._path}{os.sep}{inner}")
        if most is None and stored.size > MAX_FILE_BYTES:
            raise too_large(stored.size)
        asked = stored.size if most is None else min(most, stored.size)
        packed = self._packed(file, stored, stored.packed if most is None else min(stored.packed, asked + _CHUNK))
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

    def _packed(self, file: BinaryIO, stored: _Stored, count: int) -> bytes:
        """Return the first ``count`` bytes of a file as they lie there."""
        if not stored.header:
            return self._read_at(file, stored.offset, count)
        # With the header, whose extra fields the central directory does not know the length of.
        block = self._read_at(file, stored.offset, stored.header + _USUAL_EXTRA + count)
        if block[:4] != b"PK\3\4" or len(block) < HEADER.size:
            raise DataError("damaged in the archive: its header is none")
        *_, name, extra = HEADER.unpack_from(block)
        start = HEADER.size + name + extra
        if start + count > len(block):
            return self._read_at(file, stored.offset + start, count)
        return block[start : start + count]

    def _read_at(self, file: BinaryIO, offset: int, count: int) -> bytes:
        # By one call that says where, so that threads need no turns.
        if hasattr(os, "pread"):
            descriptor = file.fileno()
            content = os.pread(descriptor, count, offset)
            while len(content) < count and (more := os.pread(descriptor, count - len(content), offset + len(content))):
                content += more
            return content
        with self._turn:
            file.seek(offset)
            return file.read(count)


def is_archive(path: Path) -> bool:
    """Whether ``path`` is a file that is called as an archive."""
    return path.name.lower().endswith(ENDINGS) and path.is_file()


class OpenArchives:
    """Archives that stay open as long as the ``with`` block, so that what was found in them can be read."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._paths: set[Path] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def open(self, path: Path) -> None:
        """Open the archive that ``path`` is, or lies in; nothing where there is none.

        Raises:
            DataError: see :func:`open_archive`; or it cannot be read.
        """
        above = (part for part in (path, *path.parents) if part.name.lower().endswith(ENDINGS))
        try:
            archive = next(filter(is_archive, above), None)
            if archive is not None and archive not in self._paths:
                self._stack.enter_context(opened(archive, open_archive))
                self._paths.add(archive)
        except OSError as error:
            raise DataError(f"cannot read {error.filename or path}: {error.strerror or error}") from error


def open_archive(path: Path) -> Archive:
    """Open the archive at ``path``, whose form its ending tells. Folders in it, and what it holds, are told by names.

    Raises:
        DataError: it is damaged, encrypted, or holds links, paths that lead out of it, members that overlap, or more
            than it should; or the cache cannot hold what has to be unpacked.
        OSError: it cannot be read.
    """
    key = archive_key(path)
    if (listing := kept_list(key, path)) is not None:
        return Archive(path, listing)
    file, contents = _look_into(path)
    if archive_key(path) == key:  # and was not replaced meanwhile
        keep_list(key, contents.listing)
    return Archive(path, contents.listing, (file, contents.places))


def _look_into(path: Path) -> tuple[BinaryIO, _Contents]:
    """Return an archive's bytes, and what it holds; see :func:`open_archive`."""
    most = max(ALWAYS_ALLOWED, MOST_TIMES * path.stat().st_size)
    name = path.name.lower()
    packed = not name.endswith((".zip", ".tar"))
    file = (unpacked_tar(path, most) if packed else path).open("rb", buffering=0)
    contents = _Contents(path)
    try:
        contents.add(_counted(path, _in_zip(path, file) if name.endswith(".zip") else _in_tar(path, file), most))
    except BaseException:
        file.close()
        if packed:
            forget(path)
        raise
    return file, contents


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
