"""IDX files: right answer or one clear sentence."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.datasets import load_image_set
from stepladder.datasets.sources.idx import read_idx, read_idx_split
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
        (gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 28, 28), mtime=0), "truncated: its header promises"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-12], "truncated|damaged|holds only"),
        (gzip.compress(idx(IMAGES), mtime=0)[:-8] + bytes(8), "damaged .*CRC"),
        (gzip.compress(idx(IMAGES), mtime=0)[:12] + b"\xff\xff\xff", "truncated or damaged"),
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


@pytest.mark.long
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


def write_pair(folder, stem, count, *, side=4, end="", pack=bytes, mark="-"):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(count)
    images = rng.integers(0, 256, (count, side, side), dtype=np.uint8)
    labels = (np.arange(count) % 3).astype(np.uint8)
    (folder / f"{stem}images{mark}idx3-ubyte{end}").write_bytes(pack(idx(images)))
    (folder / f"{stem}labels{mark}idx1-ubyte{end}").write_bytes(pack(idx(labels)))
    return images


@pytest.mark.parametrize(("end", "pack"), [("", bytes), (".gz", gzip.compress)])
@pytest.mark.parametrize("mark", ["-", "."])
@pytest.mark.parametrize("stems", [("train-", "t10k-"), ("emnist-letters-train-", "emnist-letters-test-")])
def test_a_folder_with_two_pairs(tmp_path, end, pack, mark, stems):
    train = write_pair(tmp_path / "mine", stems[0], 9, end=end, pack=pack, mark=mark)
    test = write_pair(tmp_path / "mine", stems[1], 6, end=end, pack=pack, mark=mark)
    image_set = load_image_set(str(tmp_path / "mine"))
    assert image_set.name == "mine"
    assert image_set.class_names == ("0", "1", "2")
    np.testing.assert_array_equal(image_set.splits["train"].images[..., 0], train)
    np.testing.assert_array_equal(image_set.splits["test"].images[..., 0], test)


def test_one_pair_whatever_its_name_and_one_file(tmp_path):
    images = write_pair(tmp_path / "mine", "my-", 9)
    for path in (
        tmp_path / "mine",
        tmp_path / "mine" / "my-images-idx3-ubyte",
        tmp_path / "mine" / "my-labels-idx1-ubyte",
    ):
        train = load_image_set(str(path)).splits["train"]
        np.testing.assert_array_equal(train.images[..., 0], images)


def test_pairs_that_are_not_whole_or_not_named(tmp_path):
    write_pair(tmp_path / "a", "train-", 9)
    (tmp_path / "a" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"has train-images-idx3-ubyte but no train-labels-idx1-ubyte \(or .*\.gz\)"):
        load_image_set(str(tmp_path / "a"))
    write_pair(tmp_path / "b", "one-", 9)
    write_pair(tmp_path / "b", "two-", 9)
    with pytest.raises(DataError, match=r"several sets of images \(one, two\); give one of their files, as one-"):
        load_image_set(str(tmp_path / "b"))
    write_pair(tmp_path / "c", "t10k-", 9)
    with pytest.raises(DataError, match="has no training images"):
        load_image_set(str(tmp_path / "c"))
    write_pair(tmp_path / "d", "train-", 9)
    write_pair(tmp_path / "d", "t10k-", 9, side=5)
    with pytest.raises(DataError, match="differ in size"):
        load_image_set(str(tmp_path / "d"))
    write_pair(tmp_path / "e", "x-", 9)
    (tmp_path / "e" / "x-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match="labels but no images"):
        load_image_set(str(tmp_path / "e"))


def test_what_it_unpacks_to_is_compared_with_the_memory_before_it_is_allocated(tmp_path, memory, monkeypatch):
    path = tmp_path / "images.gz"
    # A header that is not true, of so many bytes as the file could hold if they were all equal.
    path.write_bytes(gzip.compress(idx(IMAGES)[:4] + struct.pack(">3I", 100, 20, 20)) + bytes(100))
    with pytest.raises(DataError, match="holds only 0 of the 40,000 bytes"):
        read_idx(path, 3)
    memory(50_000)
    monkeypatch.setattr(np, "empty", lambda *_, **__: pytest.fail("allocated"))
    with pytest.raises(DataError, match=r"images\.gz unpacks to 0\.0 GB, more than half of the 0\.0 GB of memory here"):
        read_idx(path, 3)


@pytest.mark.parametrize("named", ["train-images-idx3", "train-labels-idx1", "test-images-idx3"])
def test_one_of_several_sets_in_a_folder_can_be_named(tmp_path, named):
    images = {}
    for name in ("balanced", "letters", "digits"):
        for split, count in (("train", 9), ("test", 6)):
            stem = f"emnist-{name}-{split}-"
            images[name, split] = write_pair(
                tmp_path / "emnist", stem, count + len(name), end=".gz", pack=gzip.compress
            )
    (tmp_path / "emnist" / "emnist-balanced-train-labels-idx1-ubyte.gz").unlink()  # of no concern to the letters
    with pytest.raises(DataError, match=r"several sets of images \(emnist-balanced, emnist-digits, emnist-l"):
        load_image_set(str(tmp_path / "emnist"))
    image_set = load_image_set(str(tmp_path / "emnist" / f"emnist-letters-{named}-ubyte.gz"))
    for split in ("train", "test"):
        np.testing.assert_array_equal(image_set.splits[split].images[..., 0], images["letters", split])
    (note,) = image_set.notes
    assert note.startswith("Not read: other IDX files beside emnist-letters-")
    assert "emnist-balanced-train-images-idx3-ubyte" in note


def test_what_lies_beside_is_said(tmp_path):
    write_pair(tmp_path / "mine", "train-", 9)
    write_pair(tmp_path / "mine", "train-", 9, end=".gz", pack=gzip.compress)  # the same, packed
    (tmp_path / "mine" / "README.md").touch()
    assert load_image_set(str(tmp_path / "mine")).notes == (
        "Not read: 1 file was beside the IDX files, by ending .md (1).",
    )
    write_pair(tmp_path / "two", "train-", 9)
    write_pair(tmp_path / "two", "t10k-", 9)
    alone = load_image_set(str(tmp_path / "two" / "train-images-idx3-ubyte"))
    assert list(alone.splits) == ["train"]
    assert "t10k-images-idx3-ubyte" in alone.notes[0]
