"""Pixels in files: memory is given back and values stay, scratch files go, and what does not fit is known before."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import mapped as room
from stepladder.datasets.image_set import Split
from stepladder.datasets.mapped import (
    checksum,
    demand_memory,
    fits_memory,
    map_scratch,
    open_plain,
    release,
    reserve,
)
from stepladder.errors import DataError

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@LINUX
def test_memory_is_given_back_and_values_stay(tmp_path):
    pixels = map_scratch(tmp_path, (64, 1000, 1000, 1))
    pixels[:] = np.arange(64, dtype=np.uint8)[:, None, None, None]
    full = resident()
    release(pixels[8:])
    assert full - resident() > 40_000_000
    assert (pixels == np.arange(64)[:, None, None, None]).all()


@LINUX
def test_a_pass_over_a_large_mapped_split_holds_little(tmp_path):
    count = 400
    pixels = map_scratch(tmp_path, (count, 1000, 1000, 1))
    for number in range(count):
        pixels[number] = number % 251
    release(pixels)
    before = resident()
    for rows in (None, np.arange(0, count, 2)):
        split = Split(pixels, np.zeros(count if rows is None else len(rows), np.int64), rows)
        seen = 0
        for chunk in split.chunks():
            expected = np.arange(count) if rows is None else rows
            assert (chunk[:, 0, 0, 0] == expected[seen : seen + len(chunk)] % 251).all()
            seen += len(chunk)
            assert chunk.max() <= 250  # reads all of it
            assert resident() - before < 100_000_000
        assert seen == len(split)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_no_value_is_lost(tmp_path, mode):
    path = tmp_path / "pixels"
    path.write_bytes(bytes(range(250)) * 400)
    pixels = np.memmap(path, np.uint8, mode, shape=(100, 10, 100, 1))
    if mode != "r":
        pixels[3] = 7  # in mode "c" nowhere but in memory
    expected = pixels.copy()
    release(pixels[1:])
    release(pixels[::2])
    np.testing.assert_array_equal(pixels, expected)


def test_pixels_in_memory_and_empty_ones_are_left_alone():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)
    release(pixels)
    release(pixels[:0])
    assert pixels.ravel().tolist() == list(range(24))


def test_a_scratch_file_goes_with_its_pixels(tmp_path):
    pixels = map_scratch(tmp_path, (3, 4, 5, 1))
    assert not pixels.any()
    part = pixels[1:]
    del pixels
    assert len(list(tmp_path.glob("*.part"))) == 1
    part[:] = 3
    del part
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OSError, match="No space left"):
        reserve(tmp_path / "a", 10)
    with pytest.raises(OSError, match="No space left"):
        map_scratch(tmp_path, (3, 4, 5, 1))
    assert list(tmp_path.iterdir()) == []


def test_a_container_may_have_less_memory_than_the_machine(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(room, "_GROUP_LIMIT", limit)
    assert fits_memory(1_000_000)
    assert not fits_memory(10**18)
    limit.write_text("1500000\n")
    assert not fits_memory(1_000_000)
    limit.write_text("max\n")
    assert fits_memory(1_000_000)


@pytest.mark.parametrize("size", [1, 8, 4095, 4096, 4097, 8192, 3 * 4096 + 9])
def test_a_checksum_tells_every_wrong_bit(size):
    values = np.random.default_rng(size).integers(0, 256, size, np.uint8)
    expected = checksum(values)
    assert checksum(values.copy().reshape(1, -1)) == expected
    for at in sorted({0, size // 2, size - 1}):
        for bit in range(8):
            values[at] ^= 1 << bit
            assert checksum(values) != expected
            values[at] ^= 1 << bit
    assert checksum(values) == expected
    if size >= 8192:
        assert checksum(np.roll(values[:8192], 4096)) != checksum(values[:8192])  # pages that changed places


def test_a_checksum_is_the_same_in_pieces_that_are_given_back(tmp_path, monkeypatch):
    pixels = map_scratch(tmp_path, (5, 100, 100, 3))
    pixels[:] = np.random.default_rng(0).integers(0, 256, pixels.shape, np.uint8)
    expected = checksum(pixels.copy())
    given_back = []
    monkeypatch.setattr(room, "FEWEST_RELEASED", 1000)
    monkeypatch.setattr(room, "_SUMMED", 40_960)
    monkeypatch.setattr(room, "release", lambda part: given_back.append(part.size) or release(part))
    assert checksum(pixels) == expected
    assert sorted(given_back, reverse=True) == [40_960] * 3 + [5 * 30_000 // 4096 * 4096 - 3 * 40_960]
    assert (pixels.size, checksum(pixels)) == (150_000, expected)


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_what_lay_there_is_replaced_and_links_are_not_followed(tmp_path, link):
    precious = tmp_path / "precious"
    precious.write_bytes(b"7 bytes")
    getattr(tmp_path / "new", link)(precious)
    with pytest.raises(OSError, match=r"symbolic links|no plain file of its own"):
        open_plain(tmp_path / "new", writable=True)
    reserve(tmp_path / "new", 100)
    assert (tmp_path / "new").read_bytes() == bytes(100)
    assert precious.read_bytes() == b"7 bytes"
    with open_plain(tmp_path / "new", writable=True) as file:
        file.write(b"x")
    assert (tmp_path / "new").read_bytes()[:2] == b"x\0"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no plain file"):
        open_plain(tmp_path / "pipe")


def test_what_does_not_fit_is_a_sentence(memory):
    memory(3_000_000_000)
    demand_memory("big.npz unpacks to", 1_500_000_000, "save fewer")
    with pytest.raises(DataError) as caught:
        demand_memory("big.npz unpacks to", 3_100_000_000, "save fewer")
    assert str(caught.value) == "big.npz unpacks to 3.1 GB, more than half of the 3.0 GB of memory here; save fewer"
