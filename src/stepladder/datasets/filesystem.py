"""Where image files lie: on the disk, or in an archive that is open. What is asked of files is asked here.

The path of a file in an archive is that of the archive with the file's own below it, ``pets.zip/cat/1.png``. While the
archive is open (:func:`opened`), these functions answer for such paths as for those of a folder: finders, tables and
decoders need not know which of the two they read, and nothing is unpacked for them.
"""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from stepladder.errors import DataError

#: A larger file is no image that anyone trains on; it would only fill the memory.
MAX_FILE_BYTES = 500_000_000

# What is read at a time of a file that may have no end.
_PIECE_BYTES = 1_000_000

# Without O_NONBLOCK, opening a pipe would wait for ever for somebody to write. Windows has neither it nor such pipes,
# and needs O_BINARY.
_OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class FileEntry(NamedTuple):
    """A file with what changes when its content does; a tuple, which is made faster than a frozen dataclass.

    Attributes:
        path: as it is opened and shown.
        size: bytes; -1 where it cannot be told (a broken link, say), which reading will report.
        changed_ns: when it was last changed, nanoseconds; of a file in an archive, when the archive was.
    """

    path: str
    size: int
    changed_ns: int


class Stat(Protocol):
    """What is used of ``os.stat_result``: bytes, and nanoseconds since the epoch."""

    @property
    def st_size(self) -> int: ...  # noqa: D102 (as os.stat_result has them)
    @property
    def st_mtime_ns(self) -> int: ...  # noqa: D102
    @property
    def st_ctime_ns(self) -> int: ...  # noqa: D102


class Entry(Protocol):
    """A file or folder in a folder: an ``os.DirEntry``, or what an archive has in its place."""

    @property
    def name(self) -> str: ...  # noqa: D102 (as os.DirEntry has them)
    @property
    def path(self) -> str: ...  # noqa: D102
    def is_dir(self) -> bool: ...  # noqa: D102
    def is_file(self) -> bool: ...  # noqa: D102
    def stat(self) -> Stat: ...  # noqa: D102


class Tree(Protocol):
    """The files and folders in an archive, by their paths there with ``/``; the archive itself is the folder ``""``.

    A path may have ``.`` and ``..`` in it; one that leads out of the archive is that of nothing.
    """

    def entries(self, folder: str) -> Sequence[Entry]:
        """Return what lies in a folder. Raises OSError where there is no such folder."""

    def entry(self, inner: str) -> Entry | None:
        """Return the file or folder of that path, None where there is none."""

    def read(self, inner: str, most: int | None = None) -> bytes:
        """Return the content of a file, or its first ``most`` bytes.

        Raises DataError where it is damaged or larger than images are, OSError where there is none.
        """

    def close(self) -> None:
        """End with the archive."""


class _Opened(NamedTuple):
    """An open archive.

    Attributes:
        path: of the archive.
        start: the same with a slash: what paths in it start with.
        readers: how many are reading from it.
    """

    path: str
    start: str
    tree: Tree
    readers: int


# The open archives. Of the whole process, because images are read in threads; a tuple that is replaced, so that they
# need no lock for it.
_OPEN: tuple[_Opened, ...] = ()
_CHANGES = threading.Lock()


@contextmanager
def opened(path: Path, open_tree: Callable[[Path], Tree]) -> Iterator[None]:
    """Let paths below the archive at ``path`` be those of its files; all that read it at a time share what is opened.

    Args:
        path: of the archive.
        open_tree: called with it where it is not open yet.
    """
    # As it is written in the paths of files, and as it is where these are written in one way.
    names = dict.fromkeys((str(path), os.path.normpath(path)))
    with _CHANGES:
        tree = next((archive.tree for archive in _OPEN if archive.path == str(path)), None) or open_tree(path)
        for name in names:
            _count_reader(name, tree, 1)
    try:
        yield
    finally:
        with _CHANGES:
            for name in names:
                _count_reader(name, tree, -1)
            if not any(archive.tree is tree for archive in _OPEN):
                tree.close()


def _count_reader(path: str, tree: Tree, more: int) -> None:
    """Change how many read from the archive of that path, and forget it with the last."""
    global _OPEN
    readers = more + sum(archive.readers for archive in _OPEN if archive.path == path)
    others = tuple(archive for archive in _OPEN if archive.path != path)
    _OPEN = (*others, _Opened(path, path + os.sep, tree, readers)) if readers else others


def _inside(path: str) -> tuple[Tree, str] | None:
    """Return the open archive that ``path`` lies in, with its path there; None where it lies on the disk."""
    for name, start, tree, _ in _OPEN:
        if path.startswith(start):
            inner = path[len(start) :]
            return tree, inner if os.sep == "/" else inner.replace(os.sep, "/")
        if path == name:
            return tree, ""
    return None


def scan(folder: str | Path) -> Iterator[Entry]:
    """Yield the files and folders in ``folder``, in no order.

    Raises:
        OSError: there is no such folder, or it cannot be read.
    """
    if _OPEN and (found := _inside(str(folder))):
        tree, inner = found
        yield from tree.entries(inner)
        return
    with os.scandir(folder) as entries:
        yield from entries


def names_in(folder: str | Path) -> list[str]:
    """Return the names of all that lies in ``folder``; see :func:`scan`."""
    if _OPEN and _inside(str(folder)):
        return [entry.name for entry in scan(folder)]
    return os.listdir(folder)  # noqa: PTH208 (texts, for speed)


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder at ``path``."""
    if _OPEN and (found := _inside(str(path))):
        return not found[1] or ((entry := found[0].entry(found[1])) is not None and entry.is_dir())
    return os.path.isdir(path)  # noqa: PTH112 (texts, for speed)


def is_file(path: str | Path) -> bool:
    """Whether there is a file at ``path``, and no pipe or device."""
    if _OPEN and (found := _inside(str(path))):
        return (entry := found[0].entry(found[1])) is not None and entry.is_file()
    return os.path.isfile(path)  # noqa: PTH113 (texts, for speed)


def exists(path: str | Path) -> bool:
    """Whether there is anything at ``path``."""
    if _OPEN and (found := _inside(str(path))):
        return not found[1] or found[0].entry(found[1]) is not None
    return os.path.exists(path)  # noqa: PTH110 (texts, for speed)


def folder_above(folder: Path) -> Path:
    """Return the folder that ``folder`` lies in; above an archive there is none, and it is its own."""
    if _OPEN and (found := _inside(str(folder))) and not found[1]:
        return folder
    return Path(os.path.normpath(folder / ".."))


def identity(folder: str) -> Hashable:
    """Return what all paths to one folder share, as links make several of one; None where there is no folder."""
    if _OPEN and (found := _inside(folder)):
        return id(found[0]), found[1]
    try:
        told = os.stat(folder)  # noqa: PTH116 (a str, as scandir gives it)
    except OSError:
        return None
    return told.st_dev, told.st_ino


def file_entry(path: str | Path) -> FileEntry:
    """Return the entry of the file at ``path``; links are followed."""
    if _OPEN and (found := _inside(str(path))):
        entry = found[0].entry(found[1])
        return FileEntry(str(path), -1, 0) if entry is None else entry_of(str(path), entry.stat())
    try:
        told = os.stat(path)  # noqa: PTH116 (a str costs half of what a Path does, and there may be a million)
    except (OSError, ValueError):
        return FileEntry(str(path), -1, 0)
    return entry_of(str(path), told)


def entry_of(path: str, found: Stat) -> FileEntry:
    """Return the entry of a file that ``os.stat`` was asked about."""
    # The later of the two, because making a file readable changes its ctime alone. Not by max(), which takes longer.
    modified, changed = found.st_mtime_ns, found.st_ctime_ns
    return FileEntry(path, found.st_size, changed if changed > modified else modified)


def open_file(path: str | Path) -> BinaryIO:
    """Return the file at ``path``, open at its start; one in an archive is read into memory for it.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    if _OPEN and (found := _inside(str(path))):
        return io.BytesIO(_read_in(*found))
    return Path(path).open("rb")


def read_head(path: str, most: int) -> bytes:
    """Return the first ``most`` bytes of the file at ``path``.

    Raises:
        OSError: there is none, or it cannot be read.
    """
    if _OPEN and (found := _inside(path)):
        return _read_in(*found, most)
    with open(path, "rb") as file:  # noqa: PTH123 (a str, for speed)
        return file.read(most)


def _read_in(tree: Tree, inner: str, most: int | None = None) -> bytes:
    try:
        return tree.read(inner, most)
    except DataError as error:
        raise OSError(str(error)) from error


def read_image(path: str) -> bytes:
    """Return the content of the file at ``path``.

    Raises:
        DataError: it is none, or larger than images are; the message is the reason alone, without the path.
        OSError: it cannot be read.
    """
    if _OPEN and (found := _inside(path)):
        return found[0].read(found[1])
    # Not through open(): its objects cost as much as a small JPEG takes to decode.
    descriptor = os.open(path, _OPEN_FLAGS)
    try:
        told = os.fstat(descriptor)
        if not stat.S_ISREG(told.st_mode):
            raise DataError("cannot be read: it is no file (a folder, pipe or device)")
        if told.st_size > MAX_FILE_BYTES:
            raise too_large(told.st_size)
        content = os.read(descriptor, told.st_size)
        while len(content) < told.st_size and (more := os.read(descriptor, told.st_size - len(content))):
            content += more
        return content
    finally:
        os.close(descriptor)


def read_open(file: BinaryIO, most: int = MAX_FILE_BYTES) -> bytes:
    """Return what an open file of a program still holds, at most ``most`` bytes; it may have no end.

    Raises:
        DataError: it holds more, or cannot be read; the message is the reason alone.
    """
    if isinstance(file, io.TextIOBase):
        raise DataError("it is open as text; open it with the mode 'rb'")
    content = bytearray()
    try:
        while piece := file.read(_PIECE_BYTES):
            content += piece
            if len(content) > most:
                raise DataError(f"more than {most / 1e6:,.0f} MB, and no more are read; give another file")
    except (OSError, ValueError) as error:  # ValueError: it is closed
        raise DataError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return bytes(content)


def too_large(size: int) -> DataError:
    """Return the error of a file with more bytes than an image may have."""
    return DataError(f"{size / 1e6:.0f} MB is more than an image may have ({MAX_FILE_BYTES // 1_000_000} MB)")
