"""Structs in Thrift's compact protocol (Apache Thrift, "Thrift Compact protocol encoding"), in which parquet describes
itself.

Only to look at sizes before Arrow acts on them. Arrow's own view of the same numbers, ``RowGroupMetaData.column()`` in
pyarrow 26, ends the process on damaged statistics instead of raising.
"""

from __future__ import annotations

from typing import Any

_MAX_DEPTH = 12


def read_struct(content: bytes, position: int = 0, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Read the struct at ``position``.

    Returns:
        its values by field number (numbers, bytes, lists and structs; sets as lists), and where it ends.

    Raises:
        ValueError: it is no such struct, or nested too deeply. IndexError: it is cut off.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("structs in structs without end")
    values: dict[int, Any] = {}
    field = 0
    while (start := content[position]) != 0:
        position += 1
        if start >> 4:
            field += start >> 4
        else:
            field, position = _integer(content, position)
        kind = start & 15
        if kind in (1, 2):  # in a struct, the kind itself says true or false
            values[field] = kind == 1
        else:
            values[field], position = _value(content, position, kind, depth)
    return values, position + 1


def _value(content: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2, 3):
        return content[position], position + 1
    if kind in (4, 5, 6):
        return _integer(content, position)
    if kind in (7, 8):
        length, position = (8, position) if kind == 7 else _varint(content, position)
        if position + length > len(content):
            raise IndexError("cut off")
        return content[position : position + length], position + length
    if kind in (9, 10):
        return _list(content, position, depth)
    if kind == 12:
        return read_struct(content, position, depth + 1)
    raise ValueError(f"a value of kind {kind}")  # maps: parquet has none


def _list(content: bytes, position: int, depth: int) -> tuple[list[Any], int]:
    if depth > _MAX_DEPTH:
        raise ValueError("lists in lists without end")
    length, kind = content[position] >> 4, content[position] & 15
    position += 1
    if length == 15:
        length, position = _varint(content, position)
    values = []
    for _ in range(length):  # each takes a byte, so that a length that lies ends with the content
        value, position = _value(content, position, kind, depth + 1)
        values.append(value)
    return values, position


def _integer(content: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(content, position)
    return (value >> 1) ^ -(value & 1), position


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number that never ends")
