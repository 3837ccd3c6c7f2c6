"""IDX files: right answer or one clear sentence."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.data.sources.idx import read_idx, read_idx_split
from stepladder.errors import DataError


def idx(values: np.ndarray) -> bytes:
    return (
        struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    )


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 1, 0], dtype=np.uint8)


@pytest.fixture
def pair(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(idx(IMAGES))
    labels.write_bytes(idx(LABELS))
    return images, labels


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_plain_and_gzip_whatever_the_name(tmp_path, pack):
    path = tmp_path / "file"
    path.write_bytes(pack(idx(IMAGES)))
    values = read_idx(path, 3)
    np.testing.assert_array_equal(values, IMAGES)
    assert values.flags.writeable  # torch warns of arrays that are not


def test_a_pair(pair):
    split = read_idx_split(*pair, num_classes=3)
    assert split.images.shape == (5, 4, 3, 1)
    np.testing.assert_array_equal(split.images[..., 0], IMAGES)
    assert split.labels.tolist() == [0, 1, 2, 1, 0]


def test_counts_that_differ(pair):
    pair[1].write_bytes(idx(LABELS[:4]))
    with pytest.raises(DataError, match=r"images holds 5 images but .*labels holds 4 labels"):
        read_idx_split(*pair, num_classes=3)


def test_a_label_out_of_range(pair):
    with pytest.raises(DataError, match="labels holds the label 2; labels must be 0 to 1"):
        read_idx_split(*pair, num_classes=2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "ends inside its header"),
        (idx(IMAGES)[:10], "ends inside its header"),
        (idx(IMAGES)[:-1], "promises 60 bytes, more than the file can hold|holds only 59 of the 60 bytes"),
        (idx(IMAGES) + b"x", "more than the 60 bytes"),
        (idx(LABELS) + bytes(20), "starts with 0x00000801, not with 0x00000803"),
        (b"\0\0\x0d\x03" + idx(IMAGES)[4:], "starts with 0x00000d03"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 0, 28, 28), "0×28×28"),
        (
            struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(100),
            "truncated: its header promises",
        ),
        (gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 28, 28)), "truncated: its header promises"),
        (gzip.compress(idx(IMAGES))[:-12], "truncated|damaged|holds only"),
        (gzip.compress(idx(IMAGES))[:-8] + bytes(8), "damaged .*CRC"),
        (gzip.compress(idx(IMAGES))[:12] + b"\xff\xff\xff", "truncated or damaged"),
    ],
)
def test_bad_files_are_named_with_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "train-images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_idx(path, 3)
    assert str(path) in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*nothing: No such file"):
        read_idx(tmp_path / "nothing", 3)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    packed=st.booleans(),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 7)), max_size=3),
    cut=st.none() | st.integers(0, 200),
)
def test_fuzzed_files_give_the_right_answer_or_a_sentence(tmp_path, packed, flips, cut):
    content = bytearray(gzip.compress(idx(IMAGES), mtime=0) if packed else idx(IMAGES))
    for position, bit in flips:
        content[position % len(content)] ^= 1 << bit
    path = tmp_path / "fuzzed"
    path.write_bytes(content[:cut])
    try:
        values = read_idx(path, 3)
    except DataError:
        return
    # Flipped pixels of a plain file are pixels; nothing guards them. Everything else must be as it was.
    assert values.size == IMAGES.size
    if packed:
        np.testing.assert_array_equal(values, IMAGES)
