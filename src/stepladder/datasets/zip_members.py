"""The files in a zip archive, found by reading its directory: nothing is unpacked, only plain files are accepted.

Format: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central directory), 4.3.14 to 4.3.16 (its
end, also of zip64) and 4.5.3 (large sizes). Written here because Python's zipfile takes three times as long to find the
files, and lets them overlap.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from stepladder.datasets.tar_members import inner_path
from stepladder.errors import DataError

# An entry of the directory, its end, and where the end of zip64 is and what it says.
_ENTRY = struct.Struct("<4s6H3L5H2L")
_END = struct.Struct("<4s4H2LH")
_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")

#: A file's own header, without its name and extra fields.
HEADER = struct.Struct("<4s5H3L2H")

_LONGEST_COMMENT = 0xFFFF
_ENCRYPTED, _UTF8 = 0x1, 0x800
_STORED, _DEFLATED = 0, 8
#: What says that a number is among the extra fields, as it is too large for its place.
_ELSEWHERE = 0xFFFFFFFF


class ZipMember(NamedTuple):
    """A plain file in a zip, or a folder.

    Attributes:
        name: with forward slashes, relative and without ``..``.
        offset: where its header starts in the archive, bytes.
        header: how long that is without extra fields, bytes.
        packed: bytes that its content takes in the archive.
        size: bytes of its content.
        checksum: CRC-32 of its content.
        deflated: whether it is compressed, by DEFLATE.
        is_folder: whether it is a folder.
    """

    name: str
    offset: int
    header: int
    packed: int
    size: int
    checksum: int
    deflated: bool
    is_folder: bool


def zip_members(file: BinaryIO, where: str) -> list[ZipMember]:
    """Find the files and folders in a zip archive, in the order of its directory.

    Args:
        file: the archive.
        where: its path, for messages.

    Raises:
        DataError: it is damaged or no zip, is encrypted, holds links, files that overlap or paths that lead out of it,
            or is compressed by anything but DEFLATE.
    """
    directory, start, shift = _directory(file, where)
    try:
        found = list(_entries(directory, where, shift))
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged(where, str(error)) from error
    _refuse_overlaps(found, where, start)
    return found


def _damaged(where: str, why: str) -> DataError:
    return DataError(f"{where} is damaged, or no such archive ({why}); get the file again")


def _directory(file: BinaryIO, where: str) -> tuple[bytes, int, int]:
    """Return the central directory, where it starts, and by how much more than told, as of bytes before the archive."""
    length = file.seek(0, os.SEEK_END)
    tail_start = max(0, length - _END.size - _LONGEST_COMMENT)
    file.seek(tail_start)
    tail = file.read(length - tail_start)
    at = _end_in(tail)
    if at is None:
        raise _damaged(where, "it has no directory at its end")
    _, _, _, _, count, size, offset, _ = _END.unpack_from(tail, at)
    end = tail_start + at
    if at >= _LOCATOR.size and tail[at - _LOCATOR.size :].startswith(b"PK\6\7"):
        end, count, size, offset = _end64(file, where, end)
    shift = end - size - offset
    if shift < 0 or count * _ENTRY.size > size:
        raise _damaged(where, "its directory is cut off")
    file.seek(offset + shift)
    return file.read(size), offset + shift, shift


def _end_in(tail: bytes) -> int | None:
    """Return where the end of the directory begins: the last mark after which a comment fills the rest of the file.

    Or the last one at all, as of a download with bytes after it.
    """
    last = at = tail.rfind(b"PK\5\6", 0, max(0, len(tail) - _END.size + 4))
    while at >= 0:
        if at + _END.size + _END.unpack_from(tail, at)[-1] == len(tail):
            return at
        at = tail.rfind(b"PK\5\6", 0, at + 3)
    return last if last >= 0 else None


def _end64(file: BinaryIO, where: str, end: int) -> tuple[int, int, int, int]:
    # It stands right before what points to it, which holds also where bytes were put before the archive.
    start = end - _LOCATOR.size - _END64.size
    file.seek(max(0, start))
    content = file.read(_END64.size)
    if start < 0 or content[:4] != b"PK\6\6":
        raise _damaged(where, "its directory of zip64 is not where it should be")
    *_, count, size, offset = _END64.unpack(content)
    return start, count, size, offset


def _entries(directory: bytes, where: str, shift: int) -> Iterator[ZipMember]:
    at, end = 0, len(directory)
    unpack, fixed = _ENTRY.unpack_from, _ENTRY.size
    while at < end:
        entry = unpack(directory, at)
        mark, _, _, flags, method, _, _, checksum, packed, size, named, extra, comment, _, _, mode, offset = entry
        if mark != b"PK\1\2":
            raise _damaged(where, f"its directory ends at byte {at:,}")
        raw = directory[at + fixed : at + fixed + named]
        at += fixed + named
        if _ELSEWHERE in (packed, size, offset):
            size, packed, offset = _large(directory[at : at + extra], size, packed, offset)
        at += extra + comment
        name = raw.decode("utf-8" if flags & _UTF8 else "cp437").split("\0", 1)[0]
        inner = inner_path(name, where)
        # The upper half is the mode of Unix, if anything is.
        if stat.S_IFMT(mode >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"{where} holds a link or device, {inner!r}; only archives of plain files are read")
        is_folder = name[-1] in "/\\"
        if flags & _ENCRYPTED and not is_folder:
            raise DataError(f"{where} is encrypted; unpack it yourself and give the folder")
        if method not in (_STORED, _DEFLATED) and not is_folder:
            raise DataError(f"{where} is compressed in an unusual way; unpack it yourself and give the folder")
        yield ZipMember(
            inner, offset + shift, HEADER.size + named, packed, size, checksum, method == _DEFLATED, is_folder
        )
    if at > end:
        raise _damaged(where, "its directory is cut off")


def _large(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return (size, packed, offset) with what the extra field of zip64 says of those that are elsewhere."""
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, at)
        if kind == 1:
            values = iter(struct.unpack_from(f"<{length // 8}Q", extra, at + 4))
            numbers = [next(values, one) if one == _ELSEWHERE else one for one in (size, packed, offset)]
            return numbers[0], numbers[1], numbers[2]
        at += 4 + length
    return size, packed, offset


def _refuse_overlaps(found: list[ZipMember], where: str, directory: int) -> None:
    """Refuse files of which one lies in another: a small archive can unpack to nearly anything then (Fifield, 2019).

    Args:
        directory: where the central directory begins, before which all files lie.
    """
    if not found:
        return
    starts = np.array([member.offset for member in found], dtype=np.float64)
    ends = starts + [member.header + member.packed for member in found]
    order = np.argsort(starts, kind="stable")
    if (ends[order][:-1] > starts[order][1:]).any() or ends.max() > directory:
        raise DataError(
            f"{where} is damaged, or made to do harm: files in it overlap or lie past its end; it is refused as a whole"
        )
