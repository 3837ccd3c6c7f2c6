"""The pickles of CIFAR's python edition, read without running anything: plain values and one array of bytes.

Python's unpickler calls what a file names. This reader has no call to make: it knows the opcodes of plain values (PEP
307 and PEP 3154; pickletools documents each), and accepts exactly three names, the ones by which NumPy describes an
array, as signs and not as functions. All else is refused, ``__reduce__`` included. It is also safe from small files
that claim much: every length is compared with what is left of the file, memo numbers are keys of a dictionary, and
opcodes are counted.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import numpy as np

from stepladder.errors import DataError

#: CIFAR-100's largest file has about 250,000: five for each of 50,000 images.
MAX_OPCODES = 1_000_000

_MAX_TEXT = 1 << 16
_PIECE = 1 << 20
_MARK = object()
_RECONSTRUCT, _NDARRAY, _DTYPE = object(), object(), object()
#: All that a file may name. numpy._core is where NumPy 2 writes the first one.
_NAMES = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _DTYPE,
}


@dataclass
class _Array:
    """An array on its way: REDUCE makes it, BUILD fills it."""

    values: np.ndarray | None = None


@dataclass
class _Dtype:
    code: Any


def read_plain_pickle(file: BufferedReader, size: int, into: np.ndarray) -> dict[Any, Any]:
    """Read a pickled dictionary of plain values and at most one array of unsigned bytes.

    Args:
        file: at the start of the pickle.
        size: bytes of the pickle; no value in it may claim more.
        into: uint8, flat, contiguous; the array's bytes are read into it, and its length must be theirs.

    Returns:
        the dictionary; strings of Python 2 as str (Latin-1), the array as a view of ``into`` in its own shape.

    Raises:
        DataError: the file is damaged or holds anything else; the message is the reason alone, without a place.
    """
    try:
        result = _Reader(file, size, into).read()
    except DataError:
        raise
    except (IndexError, KeyError, TypeError, ValueError, struct.error, RecursionError) as error:
        raise DataError(f"it is damaged or no such pickle ({type(error).__name__}: {error})") from error
    if not isinstance(result, dict):
        raise DataError(f"it holds no dictionary but {type(result).__name__}")
    return result


class _Reader:
    """The stack machine: one method a group of opcodes, none of which calls what the file names."""

    def __init__(self, file: BufferedReader, size: int, into: np.ndarray) -> None:
        self.file, self.left, self.into = file, size, into
        self.filled = False
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def read(self) -> Any:
        for _ in range(MAX_OPCODES):
            opcode = self.take(1)
            if opcode == b".":
                return self.stack.pop()
            work = _OPCODES.get(opcode)
            if work is None:
                raise DataError(f"it holds the pickle opcode {opcode!r}, which plain values do not need; it is refused")
            work(self)
        raise DataError(f"it holds more than {MAX_OPCODES:,} values; CIFAR's files have fewer")

    def take(self, count: int) -> bytes:
        if count > self.left:
            raise DataError("it is truncated")
        content = self.file.read(count)
        if len(content) < count:
            raise DataError("it is truncated")
        self.left -= count
        return content

    def number(self, form: str) -> int:
        value: int = struct.unpack(f"<{form}", self.take(struct.calcsize(form)))[0]
        return value

    def text(self, form: str, encoding: str) -> None:
        length = self.number(form)
        if length == len(self.into) > 0 and not self.filled:
            self.bulk(length)
            return
        if not 0 <= length <= _MAX_TEXT:
            raise DataError(f"it holds a text of {length:,} bytes where a name is expected")
        self.stack.append(self.take(length).decode(encoding))

    def bulk(self, length: int) -> None:
        """Read the array's bytes straight to where they belong, so that they are never in memory twice."""
        if length > self.left:
            raise DataError("it is truncated")
        view, done = self.into.data, 0
        while done < length and (count := self.file.readinto(view[done : done + _PIECE])):
            done += count
        if done < length:
            raise DataError("it is truncated")
        self.left -= length
        self.filled = True
        self.stack.append(self.into)

    def line(self) -> str:
        content = bytearray()
        while (character := self.take(1)) != b"\n":
            content += character
            if len(content) > 200:
                raise DataError("it names something very long; it is refused")
        return content.decode("ascii")

    def to_mark(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not _MARK:
            values.append(value)
        return values[::-1]

    def name(self, module: Any, name: Any) -> None:
        # Only texts are shown, here and below: a few nested bytes can stand for a list of a billion elements.
        if not isinstance(module, str) or not isinstance(name, str):
            raise DataError("it names something that is no name; it is refused and was not run")
        sign = _NAMES.get((module, name))
        if sign is None:
            raise DataError(f"it names {module}.{name}, which CIFAR's files do not; it is refused and was not run")
        self.stack.append(sign)

    def reduce(self) -> None:
        arguments, sign = self.stack.pop(), self.stack.pop()
        if sign is _RECONSTRUCT and len(arguments) == 3 and arguments[0] is _NDARRAY:
            self.stack.append(_Array())
        elif sign is _DTYPE and len(arguments) == 3:
            self.stack.append(_Dtype(arguments[0]))
        else:
            raise DataError("it calls something; it is refused and was not run")

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, _Dtype):
            return  # byte order and alignment, which single bytes do not have
        if not isinstance(target, _Array):
            raise DataError("it sets the state of something that is no array; it is refused")
        _version, shape, dtype, by_column, values = state
        if not isinstance(dtype, _Dtype) or dtype.code not in ("u1", "|u1") or values is not self.into:
            raise DataError(f"its array is not of {len(self.into):,} unsigned bytes")
        sound = len(shape) <= 4 and all(type(length) is int and 0 < length <= len(self.into) for length in shape)
        if not sound or math.prod(shape) != len(self.into):
            raise DataError(f"the shape of its array does not fit its {len(self.into):,} bytes")
        target.values = self.into.reshape(shape, order="F" if by_column else "C")

    def append(self, values: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise DataError("it appends to something that is no list; it is refused")
        self.stack[-1].extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise DataError("it sets items of something that is no dictionary; it is refused")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, str | int):
                raise DataError("it has a key that is no name; it is refused")
            target[key] = value.values if isinstance(value, _Array) else value


def _tuple(count: int) -> Callable[[_Reader], None]:
    def make(reader: _Reader) -> None:
        values = [reader.stack.pop() for _ in range(count)][::-1]
        reader.stack.append(tuple(values))

    return make


def _push(value: Callable[[_Reader], Any]) -> Callable[[_Reader], None]:
    return lambda reader: reader.stack.append(value(reader))


def _remember(key: Callable[[_Reader], int]) -> Callable[[_Reader], None]:
    def keep(reader: _Reader) -> None:
        reader.memo[key(reader)] = reader.stack[-1]

    return keep


_OPCODES: dict[bytes, Callable[[_Reader], Any]] = {
    b"\x80": lambda r: r.take(1),  # PROTO
    b"\x95": lambda r: r.take(8),  # FRAME
    b"(": _push(lambda _: _MARK),
    b"N": _push(lambda _: None),
    b"\x88": _push(lambda _: True),
    b"\x89": _push(lambda _: False),
    b"J": _push(lambda r: r.number("i")),
    b"K": _push(lambda r: r.number("B")),
    b"M": _push(lambda r: r.number("H")),
    b"\x8a": _push(lambda r: int.from_bytes(r.take(r.number("B")), "little", signed=True)),
    b"U": lambda r: r.text("B", "latin-1"),  # SHORT_BINSTRING, BINSTRING: str of Python 2
    b"T": lambda r: r.text("i", "latin-1"),
    b"C": lambda r: r.text("B", "latin-1"),  # SHORT_BINBYTES, BINBYTES, BINBYTES8
    b"B": lambda r: r.text("I", "latin-1"),
    b"\x8e": lambda r: r.text("Q", "latin-1"),
    b"\x8c": lambda r: r.text("B", "utf-8"),  # SHORT_BINUNICODE, BINUNICODE
    b"X": lambda r: r.text("I", "utf-8"),
    b"]": _push(lambda _: []),
    b"}": _push(lambda _: {}),
    b")": _push(lambda _: ()),
    b"t": lambda r: r.stack.append(tuple(r.to_mark())),
    b"\x85": _tuple(1),
    b"\x86": _tuple(2),
    b"\x87": _tuple(3),
    b"a": lambda r: r.append([r.stack.pop()]),
    b"e": lambda r: r.append(r.to_mark()),
    b"s": lambda r: r.set_items([r.stack.pop(), r.stack.pop()][::-1]),
    b"u": lambda r: r.set_items(r.to_mark()),
    b"q": _remember(lambda r: r.number("B")),
    b"r": _remember(lambda r: r.number("I")),
    b"\x94": _remember(lambda r: len(r.memo)),
    b"h": _push(lambda r: r.memo[r.number("B")]),
    b"j": _push(lambda r: r.memo[r.number("I")]),
    b"c": lambda r: r.name(r.line(), r.line()),
    b"\x93": lambda r: r.name(*[r.stack.pop(), r.stack.pop()][::-1]),
    b"R": lambda r: r.reduce(),
    b"b": lambda r: r.build(),
}
