"""Gzip unpacked a piece at a time, as Python's ``gzip`` does it; whole archives are in ``test_archives.py``."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from stepladder.datasets import unpack

NOISE = np.random.default_rng(0).integers(0, 256, 5_000, dtype=np.uint8).tobytes()
PARTS = (b"", b"a", NOISE, bytes(20_000))


def unpacked(content: bytes) -> bytes:
    return b"".join(unpack._gunzipped(io.BytesIO(content)))


def packed(content: bytes) -> bytes:
    """A gzip file without its time, which stands in the names of tests: they must be the same in every process."""
    return gzip.compress(content, mtime=0)


@pytest.mark.parametrize("chunk", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize(
    "content",
    [
        *(packed(part) for part in PARTS),
        b"".join(packed(part) for part in PARTS),
        packed(NOISE) + bytes(600),
        packed(NOISE) + bytes(13) + packed(b"more") + bytes(1),
        b"",
    ],
)
def test_it_is_what_gzip_says(content: bytes, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpack, "_CHUNK", chunk)
    assert unpacked(content) == gzip.decompress(content)


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda packed: packed[:-1], EOFError),
        (lambda packed: packed[:200], EOFError),
        (lambda packed: packed[:-8] + bytes(8), zlib.error),
        (lambda packed: packed[:-4] + bytes(4), zlib.error),
        (lambda packed: packed + b"no gzip", zlib.error),
        (lambda packed: b"\0" + packed, zlib.error),
        (lambda packed: packed[:20] + b"\xff" * 30 + packed[50:], zlib.error),
    ],
)
def test_damage_is_seen(
    damage: Callable[[bytes], bytes], error: type[Exception], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack, "_CHUNK", chunk)
    with pytest.raises(error):
        unpacked(damage(gzip.compress(NOISE + b"a" * 3000)))


def test_no_piece_is_larger_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a bomb is counted while it unpacks."""
    monkeypatch.setattr(unpack, "_CHUNK", 1000)
    sizes = [len(piece) for piece in unpack._gunzipped(io.BytesIO(gzip.compress(bytes(1_000_000))))]
    assert sum(sizes) == 1_000_000
    assert max(sizes) <= 1000
