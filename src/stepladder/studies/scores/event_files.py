"""TensorBoard's event files, read without TensorBoard: records of protocol buffers, of which only scalars are wanted.

A record is its length (uint64), a checksum of that, the data, a checksum of these (``record_writer.cc``). The data are
an ``Event`` (``event.proto``): field 2 is the step, field 5 the ``Summary``, whose values have a tag (field 1) and
either ``simple_value`` (field 2, float32) or a ``tensor`` (field 8) of one float.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepladder.files import read_plain

_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5
#: Of ``TensorProto``: the types float32 and float64, and where each keeps its values.
_FLOATS = {1: ("f", 5), 2: ("d", 6)}
#: Event files of more than this hold pictures and weights.
_MOST_BYTES = 1_000_000_000

#: The first record names the version; one longer than this is of another kind of file.
_LONGEST_FIRST = 1_000

_Value = int | bytes


def read_events(path: Path) -> list[dict[str, Any]]:
    """Return the scalars of an event file, a row a step: ``step`` and each tag's last value there.

    A record that is cut at the end, as of a run that was killed, is left out.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no event file.
    """
    rows: dict[int, dict[str, Any]] = {}
    for event in _records(read_plain(path, _MOST_BYTES)):
        step, summaries = 0, []
        for number, value in _fields(event):
            if number == 2 and isinstance(value, int):
                step = value
            elif number == 5 and isinstance(value, bytes):
                summaries.append(value)
        for summary in summaries:
            for number, value in _fields(summary):
                if number == 1 and isinstance(value, bytes) and (scalar := _scalar(value)) is not None:
                    rows.setdefault(step, {"step": step})[scalar[0]] = scalar[1]
    return [rows[step] for step in sorted(rows)]


def _records(content: bytes) -> Iterator[bytes]:
    place = 0
    while place + 12 <= len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        if length > len(content):
            if place == 0 and length > _LONGEST_FIRST:
                raise ValueError("its first record is longer than the file")
            return
        if place + 16 + length > len(content):
            return
        yield content[place + 12 : place + 12 + length]
        place += 16 + length


def _fields(message: bytes) -> Iterator[tuple[int, _Value]]:
    """Yield the fields of a protocol buffer by their numbers: a varint as a number, all else as its bytes."""
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        kind = key & 7
        if kind == _VARINT:
            value: _Value
            value, place = _varint(message, place)
        elif kind in (_FIXED_64, _FIXED_32, _BYTES):
            size = {_FIXED_64: 8, _FIXED_32: 4}.get(kind)
            if size is None:
                size, place = _varint(message, place)
            if place + size > len(message):
                raise ValueError("a field is longer than its record")
            value, place = message[place : place + size], place + size
        else:
            raise ValueError(f"a field is of kind {kind}, which there is not")
        yield key >> 3, value


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("a number has no end")


def _scalar(value: bytes) -> tuple[str, float] | None:
    """Return tag and number of a summary's value; None where it is a picture, a histogram or a text."""
    tag, number = "", None
    for field, content in _fields(value):
        if field == 1 and isinstance(content, bytes):
            tag = content.decode(errors="replace")
        elif field == 2 and isinstance(content, bytes) and len(content) == 4:
            (number,) = struct.unpack("<f", content)
        elif field == 8 and isinstance(content, bytes):
            number = _of_tensor(content)
    return None if number is None else (tag, _shortest(number))


def _of_tensor(tensor: bytes) -> float | None:
    kind, content, listed = 0, b"", b""
    for field, value in _fields(tensor):
        if field == 1 and isinstance(value, int):
            kind = value
        elif field == 4 and isinstance(value, bytes):
            content = value
        elif field in (5, 6) and isinstance(value, bytes):
            listed = value
    if kind not in _FLOATS:
        return None
    code = _FLOATS[kind][0]
    found = content or listed
    if len(found) != struct.calcsize(code):
        return None
    (number,) = struct.unpack(f"<{code}", found)
    return float(number)


def _shortest(number: float) -> float:
    """Return a float32 as its shortest decimal, as it was meant: 0.93 and not 0.9300000071525574."""
    for digits in range(6, 10):
        text = f"{number:.{digits}g}"
        if struct.pack("<f", float(text)) == struct.pack("<f", number):
            return float(text)
    return number
