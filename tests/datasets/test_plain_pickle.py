"""The reader of CIFAR's pickles agrees with Python's on what CIFAR holds, and runs nothing of what it does not."""

from __future__ import annotations

import io
import os
import pickle
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.datasets.plain_pickle import MAX_OPCODES, read_plain_pickle
from stepladder.errors import DataError

DATA = np.random.default_rng(0).integers(0, 256, (5, 3072), dtype=np.uint8)


def read(content: bytes, length: int = DATA.size):
    into = np.zeros(length, dtype=np.uint8)
    return read_plain_pickle(io.BufferedReader(io.BytesIO(content)), len(content), into)


class Evil:
    """Would make a folder if anybody called what it names."""

    path = ""

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_what_python_writes_is_read_alike(protocol):
    content = {"labels": [3, 0, 255, 300, 70_000, -1], "names": ["a", "käse"], "none": (None, True, False, (1, 2), ())}
    assert read(pickle.dumps(content, protocol)) == content


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_in_either_order(order):
    values = np.asarray(DATA, order=order)
    content = pickle.dumps({"data": values}, 3)
    np.testing.assert_array_equal(read(content)["data"], values)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("wrap", [lambda e: e, lambda e: {"data": e}, lambda e: {"labels": [e]}])
def test_a_planted_reduce_does_not_run(tmp_path, protocol, wrap):
    evil = Evil()
    evil.path = str(tmp_path / "ran")
    content = pickle.dumps(wrap(evil), protocol)
    with pytest.raises(DataError, match="refused"):
        read(content)
    assert not (tmp_path / "ran").exists()
    pickle.loads(content)  # the bytes do what we say: Python's own unpickler makes the folder
    assert (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"cbuiltins\neval\n.", r"names builtins\.eval"),
        (b"c__builtin__\neval\nU\x011\x85R.", r"names __builtin__\.eval"),
        (b"\x8c\x02os\x8c\x06system\x93.", r"names os\.system"),
        (b"cnumpy\nload\n.", r"names numpy\.load"),
        (b"]]\x93.", "no name"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n\x85R.", "calls something"),
        (b"cnumpy\nndarray\n)R.", "calls something"),
        (b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\ndtype\nK\x00\x85U\x01b\x87R.", "calls something"),
        (b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R}b.", "holds no dictionary"),
        (b"}}b.", "no array"),
        (b"N" + b"a" * 5 + b".", "IndexError|no list"),
        (b"icos\nsystem\n.", "opcode"),
        (b"(S'x'\nios\nsystem\n.", "opcode"),
        (b"\x82\x01.", "opcode"),  # EXT1
        (b"P1\n.", "opcode"),  # PERSID
        (b"cnumpy\nndarray\n)\x81.", "opcode"),  # NEWOBJ
        (b"c" + b"x" * 1000, "very long"),
        (b"", "truncated"),
        (b"\x80\x02", "truncated"),
        (b"K\x01.", "no dictionary but int"),
    ],
)
def test_all_else_is_refused(content, words):
    with pytest.raises(DataError, match=words):
        read(content)


def array(dtype: bytes = b"u1", shape: bytes = b"K\x05M\x00\x0c\x86", values: bytes | None = None) -> bytes:
    """{"data": an array} with what the arguments say."""
    data = DATA.tobytes() if values is None else values
    return (
        b"\x80\x02}U\x04data(cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R(K\x01"
        + shape
        + b"cnumpy\ndtype\nU"
        + bytes([len(dtype)])
        + dtype
        + b"K\x00K\x01\x87R\x89T"
        + len(data).to_bytes(4, "little")
        + data
        + b"tb"
    ).replace(b"data(", b"data") + b"s."


def test_numpys_own_tricks():
    np.testing.assert_array_equal(read(array())["data"], DATA)
    for content, words in [
        (array(dtype=b"O8"), "not of 15,360 unsigned bytes"),
        (array(shape=b"K\x05M\x01\x0c\x86"), "shape"),
        (array(shape=b"J\xff\xff\xff\xffJ\x00\xc4\xff\xff\x86"), "shape"),  # -1 × -15,360
        (array(shape=b"(" + b"K\x01" * 50 + b"J\x00\x3c\x00\x00t"), "shape"),
        (array(values=DATA.tobytes()[:-1]), "not of|truncated|text of"),
    ]:
        with pytest.raises(DataError, match=words):
            read(content)


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        b"T\xff\xff\xff\x7f.",  # a text of 2 GB
        b"X\xff\xff\xff\xff.",
        b"\x8e" + b"\xff" * 7 + b"\x7f.",  # bytes of 9 exabytes
        b"\x96" + b"\xff" * 7 + b"\x7f.",  # the same as a bytearray, which Python allocates first
        b"\x95" + b"\xff" * 8 + b"}.",  # a frame of as much
        b"}r\xff\xff\xff\x7f.",  # memo number 2**31, for which Python makes a table
        b"]" * 1_100_000 + b".",
        # A tuple of 2**200 elements, if anybody wrote it out.
        b"]q\x00" + b"(h\x00h\x00tq\x00" * 200 + b"cnumpy\nh\x00.",
        b"]q\x00" + b"(h\x00h\x00tq\x00" * 200 + b"h\x00\x93.",
        array(shape=b"]q\x00" + b"(h\x00h\x00tq\x00" * 200 + b"\x85"),
    ],
)
def test_small_files_that_claim_much(content):
    tracemalloc.start()
    started = time.process_time()  # not the time that other programs take
    try:
        read(content)
    except DataError as error:
        assert len(str(error)) < 500  # noqa: PT017
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 300_000_000
    assert time.process_time() - started < 30


def test_opcodes_are_counted():
    with pytest.raises(DataError, match=f"more than {MAX_OPCODES:,} values"):
        read(b"N" * (MAX_OPCODES + 1))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.integers(0, 400))
def test_fuzzed_pickles_give_a_value_or_a_sentence(changes, cut):
    content = bytearray(pickle.dumps({"labels": [1, 2, 300], "names": ["a", "b"], "data": DATA[:1, :64]}, 2))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        assert isinstance(read(bytes(content[: len(content) - cut]), 64), dict)
    except DataError:
        return
