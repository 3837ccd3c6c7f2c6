"""Damage of files, by chance and by structure: bits, cuts, splices, tokens, and the parts that a format is made of.

A format with checksums or lengths of its own (zip, gzip, tar, safetensors) is taken apart, a part is damaged, and it is
put together again: else nearly every case would end at the first checksum.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Sequence
from typing import Any, Literal

Form = Literal["bytes", "json", "lines", "zip", "gzip", "tar", "safetensors"]

#: Bytes of a damaged file at most: what grows without end by splices tells nothing more.
_MOST_BYTES = 200_000

_NUMBERS = (0, 1, -1, 127, 128, 255, 256, 32767, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1, 2**64 - 1)

#: Signs that mean something to several readers, and some that mean nothing good to a terminal.
_TOKENS = (
    b"",
    b"\0",
    b"\n",
    b"\r\n",
    b",",
    b'"',
    b"'",
    b"\\",
    b"/",
    b"..",
    b"../",
    b"/dev/zero",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"nan",
    b"inf",
    b"-0.0",
    b"9" * 400,
    b"9" * 5000,
    b"null",
    b"true",
    b"{}",
    b"[]",
    b"[[[[[[[[",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"\xed\xb3\xa9",
    b"\x1b[2J",
    "\u202e".encode(),
    "\N{CJK UNIFIED IDEOGRAPH-732B}".encode(),
    b"%n%s",
)

_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    "",
    "x" * 70_000,
    "\x1b[2J\x9b\u202e",
    "caf\udce9",
    "../../etc/passwd",
    [],
    {},
    [[]],
    {"": {}},
    0.5,
    1e308,
    float("nan"),
    float("inf"),
    *_NUMBERS,
    10**400,
)


def damaged(draw: random.Random, seeds: Sequence[bytes], form: Form, tokens: Sequence[bytes] = ()) -> bytes:
    """Return one of ``seeds``, damaged; the same draws give the same bytes.

    Args:
        tokens: signs of the format.
    """
    content = draw.choice(seeds)
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        change = _BY_FORM[form] if draw.random() < 0.6 else _damage_bytes
        content = change(draw, content, seeds, (*tokens, *_TOKENS))
    return content[:_MOST_BYTES]


_Damage = Callable[[random.Random, bytes, Sequence[bytes], Sequence[bytes]], bytes]


def _damage_bytes(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    if not content:
        return draw.choice(tokens)
    changed = bytearray(content)
    # The start of a file says most.
    most = len(changed) if draw.random() < 0.6 else min(len(changed), 512)
    start = draw.randrange(most)
    end = min(len(changed), start + draw.choice((1, 2, 4, 8, 64, 1000)))
    match draw.randrange(9):
        case 0:
            for _ in range(draw.randint(1, 4)):
                changed[draw.randrange(most)] ^= 1 << draw.randrange(8)
        case 1:
            changed[start] = draw.randrange(256)
        case 2:
            del changed[draw.randrange(len(changed)) :]
        case 3:
            del changed[start:end]
        case 4:
            changed[start:end] = draw.choice((b"\0", b"\xff", b"\x7f", b"\x80")) * (end - start)
        case 5:
            changed[start:start] = draw.choice(tokens)
        case 6:
            token = draw.choice(tokens)
            changed[start : start + len(token)] = token
        case 7:
            order, code = draw.choice("<>"), draw.choice("BHIQ")
            value = draw.choice(_NUMBERS) % (1 << 8 * struct.calcsize(code))
            packed = struct.pack(f"{order}{code}", value)
            changed[start : start + len(packed)] = packed
        case _:
            other = draw.choice(seeds) or content
            first = draw.randrange(len(other))
            changed[start:end] = other[first : first + draw.choice((4, 64, 1000))]
    return bytes(changed)


def _damage_lines(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    number = draw.randrange(len(lines))
    match draw.randrange(6):
        case 0:
            del lines[number]
        case 1:
            lines.insert(number, lines[number])
        case 2:
            other = draw.randrange(len(lines))
            lines[number], lines[other] = lines[other], lines[number]
        case 3:
            lines[number:number] = draw.choice(seeds).split(b"\n")[:3]
        case 4:
            separator = draw.choice((b",", b" ", b"=", b"."))
            fields = lines[number].split(separator)
            fields[draw.randrange(len(fields))] = draw.choice(tokens)
            lines[number] = separator.join(fields)
        case _:
            lines[number] = _damage_bytes(draw, lines[number], [lines[number]], tokens)
    return b"\n".join(lines)


def _damage_json(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    try:
        document = json.loads(content)
        text = json.dumps(_changed_value(draw, document, tokens), indent=draw.choice((None, 2)))
    except (ValueError, RecursionError):
        return _damage_bytes(draw, content, seeds, tokens)
    if draw.random() < 0.1:  # the same key twice, and a document deep within lists
        text = text.replace("{", '{"seed": 7, "seed": 8, ', 1) if draw.random() < 0.5 else "[" * 3000 + text
    return text.encode(errors="surrogatepass")


def _changed_value(draw: random.Random, value: Any, tokens: Sequence[bytes]) -> Any:
    if isinstance(value, dict) and value and draw.random() < 0.93:
        key = draw.choice(list(value))
        table = dict(value)
        match draw.randrange(12):
            case 0:
                del table[key]
            case 1:
                table[draw.choice(list(value)) + draw.choice(("", "x"))] = table[key]
            case 2:
                table[draw.choice(tokens).decode(errors="replace")] = draw.choice(_VALUES)
            case _:
                table[key] = _changed_value(draw, value[key], tokens)
        return table
    if isinstance(value, list) and value and draw.random() < 0.9:
        place = draw.randrange(len(value))
        match draw.randrange(8):
            case 0:
                return value[:place] + value[place + 1 :]
            case 1:
                return [*value, value[place]]
            case 2:
                return value * draw.choice((0, 2, 50))
            case _:
                return [*value[:place], _changed_value(draw, value[place], tokens), *value[place + 1 :]]
    if isinstance(value, int | float) and draw.random() < 0.5:
        return draw.choice((value + 1, value - 1, -value, value * 1000, str(value)))
    if isinstance(value, str) and draw.random() < 0.4:
        return value + draw.choice(tokens).decode(errors="replace")
    return draw.choice(_VALUES)


def _damage_zip(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = [(info.filename, info.compress_type, archive.read(info)) for info in archive.infolist()]
    except Exception:  # it was damaged before
        return _damage_bytes(draw, content, seeds, tokens)
    number = draw.randrange(len(parts))
    name, kind, inside = parts[number]
    match draw.randrange(8):
        case 0:
            del parts[number]
        case 1:
            parts[number] = draw.choice((name.replace("x", "y"), name + "x", "../x", "")), kind, inside
        case 2:
            parts.append(parts[number])
        case _:
            change = _damage_head if draw.random() < 0.6 else _damage_bytes
            parts[number] = name, kind, change(draw, inside, [part for *_, part in parts], tokens)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive, warnings.catch_warnings(action="ignore"):  # a name is there twice
        for name, kind, inside in parts:
            archive.writestr(zipfile.ZipInfo(name or "x"), inside, kind)
    return target.getvalue()


def _damage_head(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Damage the table at the start of an array of NumPy; its length stays right."""
    end = content.find(b"\n", 10) + 1
    if not content.startswith(b"\x93NUMPY\x01") or not end:
        return _damage_bytes(draw, content, seeds, tokens)
    replacements = (
        (b"'fortran_order': False", b"'fortran_order': True"),
        (b"(9,", b"(9000000000,"),
        (b"(9,", b"(-9,"),
        (b"(9,", b"(9, 0,"),
        (b"|u1", draw.choice((b"|O", b"<f8", b"<c16", b"|V99999", b"<U9", b"<M8[s]", b">i2", b"|b1", b"<f2"))),
        (b"<f4", draw.choice((b"|O", b"<f8", b">f4", b"<i4", b"|S4"))),
        (b"'shape'", b"'descr'"),
        (b"{", b"{" * 300),
        (b"}", b""),
        (b"(", b"(" * 300),
    )
    head = content[10:end].rstrip()
    if draw.random() < 0.6:
        head = head.replace(*draw.choice(replacements))
    else:
        head = _damage_bytes(draw, head, [head], tokens)
    return content[:8] + struct.pack("<H", min(len(head) + 1, 65535)) + head[:65534] + b"\n" + content[end:]


def _damage_gzip(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    try:
        inside = gzip.decompress(content)
    except Exception:  # it was damaged before
        return _damage_bytes(draw, content, seeds, tokens)
    return gzip.compress(_damage_bytes(draw, inside, [inside], tokens), 1, mtime=0)


def _damage_tar(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    """Damage a header, and make its checksum right again."""
    heads = [place for place in range(0, len(content) - 511, 512) if content[place + 257 : place + 262] == b"ustar"]
    if not heads:
        return _damage_bytes(draw, content, seeds, tokens)
    place = draw.choice(heads)
    head = bytearray(content[place : place + 512])
    fields = ((0, 100), (100, 8), (124, 12), (124, 12), (156, 1), (157, 100), (257, 8), (345, 155))
    start, length = draw.choice(fields)
    new = draw.choice(
        (*tokens, b"77777777777", b"00000000001", b"-1", b"\x80" + b"\xff" * 11, b"1", b"2", b"x", b"g", b"L", b"S")
    )
    head[start : start + length] = new[:length].ljust(length, b"\0")
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return content[:place] + bytes(head) + content[place + 512 :]


def _damage_safetensors(draw: random.Random, content: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]) -> bytes:
    length = int.from_bytes(content[:8], "little")
    try:
        table = json.loads(content[8 : 8 + length])
        head = json.dumps(_changed_value(draw, table, tokens)).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return _damage_bytes(draw, content, seeds, tokens)
    kinds = (b"F64", b"F32", b"F16", b"BF16", b"F8_E4M3", b"I64", b"U64", b"U8", b"BOOL", b"C64", b"F4")
    if draw.random() < 0.3:
        head = head.replace(
            draw.choice((b'"F32"', b'"U8"', b'"F16"', b'"U64"', b'"I64"')), b'"%b"' % draw.choice(kinds)
        )
    return len(head).to_bytes(8, "little") + head + content[8 + length :]


_BY_FORM: dict[Form, _Damage] = {
    "bytes": _damage_bytes,
    "json": _damage_json,
    "lines": _damage_lines,
    "zip": _damage_zip,
    "gzip": _damage_gzip,
    "tar": _damage_tar,
    "safetensors": _damage_safetensors,
}
