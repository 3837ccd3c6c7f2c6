"""The files in a tar archive, found by reading its headers: nothing is unpacked, only plain files are accepted.

Formats: ustar and pax (POSIX.1-2024, pax, "ustar Interchange Format" and "pax Header Block") and GNU's long names and
large sizes. Written here because Python's tarfile ends quietly at a damaged header, allocates what a header claims, and
takes three times as long.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from stepladder.errors import DataError

_BLOCK = 512
#: Long names and pax records larger than this are no names.
_MAX_METADATA = 1 << 20
_FOLDER = b"5"
_REFUSED = {
    b"1": "a hard link",
    b"2": "a link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a pipe",
    b"S": "a sparse file",
}
_ZEROS, _SPACES = bytes(_BLOCK), b" " * 8
_PAX_RECORD = re.compile(rb"(\d{1,8}) ([^=]+)=")
# Paths that are fine as they stand, as nearly all are: no part of them begins with a dot. For speed.
_USUAL = re.compile(r"[^/\\:.][^/\\:]*(?:/[^/\\:.][^/\\:]*)*")


class Member(NamedTuple):
    """A plain file in an archive, or a folder; a tuple, which is made faster than a frozen dataclass.

    Attributes:
        name: with forward slashes, relative and without ``..``.
        offset: where its content starts in the archive, bytes.
        size: bytes.
        is_folder: whether it is a folder, which is asked for where that matters.
    """

    name: str
    offset: int
    size: int
    is_folder: bool = False


def members(file: BinaryIO, where: str, archive_size: int, *, folders: bool = False) -> Iterator[Member]:
    """Find the files in an archive, in order; ``file`` stands at a member's content while it is yielded.

    Args:
        file: the archive, at its start; the caller may read from it between members.
        where: its path, for messages.
        archive_size: the most bytes that it can hold; no member may claim more.
        folders: yield these as well.

    Raises:
        DataError: it is damaged or no tar archive, or has a member that points elsewhere: an absolute path, one with
            ``..``, a link, a device or a pipe.
    """
    position = 0
    long_name: str | None = None
    long_size: int | None = None
    header = b""
    while True:
        if not header:
            file.seek(position)
            header = file.read(_BLOCK)
        # An archive ends with blocks of zeros. One without them was cut, perhaps just between two members.
        if header == _ZEROS:
            return
        kind, size = _check(header, where, position)
        offset = position + _BLOCK
        if kind not in b"LKxg":
            size = size if long_size is None else long_size
        if size > archive_size - offset:
            raise DataError(
                f"{where} is damaged or truncated: the member at byte {position:,} claims {size:,} bytes, more than "
                "are left"
            )
        position = offset + -(-size // _BLOCK) * _BLOCK
        if kind in b"LKxg":
            # With the header after it, which most archives have one of such before each file.
            content, after = _metadata(file, size, where)
            if kind == b"L":
                long_name = _text(content)
            elif kind == b"x":
                path, claimed = _pax(content, where)
                long_name, long_size = path or long_name, claimed
            header = after
            continue
        name = _safe(long_name or _short_name(header), kind, where)
        long_name = long_size = None
        header = b""
        if kind != _FOLDER or folders:
            yield Member(name, offset, size, kind == _FOLDER)


def _check(header: bytes, where: str, position: int) -> tuple[bytes, int]:
    """Return (kind, size) of a header whose checksum is right."""
    if len(header) == _BLOCK:
        told = _number(header[148:156])
        # The sum of all bytes, its own eight counted as spaces. By the low half of Adler-32, which is one more than it
        # (modulo 65,521): ten times as fast as sum(), and this is most of what reading a header takes.
        total = zlib.adler32(header[:148] + _SPACES + header[156:]) & 0xFFFF
        if told is not None and (told + 1) % 65_521 == total:
            size = _number(header[124:136])
            if size is not None:
                return header[156:157], size
    if position == 0:
        raise DataError(f"{where} is no plain tar archive; give an uncompressed .tar file")
    raise DataError(f"{where} is damaged or truncated at byte {position:,}; get the file again")


def _number(digits: bytes) -> int | None:
    if digits[0] == 0x80:  # GNU: the rest is the number itself, for 8 GB and more
        return int.from_bytes(digits[1:])
    text = digits.strip(b" \0")
    try:
        return int(text, 8) if text.isdigit() else None if text else 0
    except ValueError:
        return None


def _metadata(file: BinaryIO, size: int, where: str) -> tuple[bytes, bytes]:
    """Return what stands after a header that says more of the next member, and that member's header."""
    if size > _MAX_METADATA:
        raise DataError(f"{where} has a name of {size:,} bytes; get the file again")
    blocks = -(-size // _BLOCK) * _BLOCK
    content = file.read(blocks + _BLOCK)
    if len(content) < size:
        raise DataError(f"{where} is truncated; get the file again")
    return content[:size], content[blocks:]


def _pax(content: bytes, where: str) -> tuple[str | None, int | None]:
    path, size, start = None, None, 0
    while start < len(content):
        record = _PAX_RECORD.match(content, start)
        if record is None or int(record[1]) <= record.end() - start:
            raise DataError(f"{where} is damaged: it has a header that cannot be read; get the file again")
        value = content[record.end() : start + int(record[1]) - 1]
        if record[2] == b"path":
            path = _text(value)
        elif record[2] == b"size":
            size = int(value) if value.isdigit() and len(value) < 20 else None
        elif record[2].startswith(b"GNU.sparse"):
            raise DataError(f"{where} holds a sparse file; write the archive with plain files")
        start += int(record[1])
    return path, size


def _short_name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode(errors="surrogateescape")


def _safe(name: str, kind: bytes, where: str) -> str:
    if kind in _REFUSED:
        shown = ascii(name[:200])
        raise DataError(f"{where} holds {_REFUSED[kind]}, {shown}; only archives of plain files are read")
    if kind != _FOLDER and kind not in (b"0", b"\0", b"7"):
        shown = ascii(name[:200])
        raise DataError(f"{where} holds {shown} of the unknown kind {kind!r}; only archives of plain files are read")
    return inner_path(name, where)


def inner_path(name: str, where: str) -> str:
    """Return the path of a member below the archive's root, with ``/``.

    Args:
        where: the archive, for messages.

    Raises:
        DataError: it leads out of the archive.
    """
    if _USUAL.fullmatch(plain := name.removeprefix("./")):
        return plain
    shown = ascii(name[:200])
    parts = name.replace("\\", "/").split("/")
    if not name or name[0] in "/\\" or ".." in parts or re.match(r"[A-Za-z]:", name):
        raise DataError(f"{where} holds the path {shown}, which leads out of the archive; it is refused as a whole")
    return "/".join(part for part in parts if part not in ("", "."))
