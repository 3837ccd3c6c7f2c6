"""Members of a tar archive, as Python's tarfile finds them; nothing that points elsewhere or claims too much."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.datasets.tar_members import members
from stepladder.errors import DataError

LONG = "a/" + "b" * 150 + "/" + "c" * 120 + ".jpg"


def tar_of(files: dict[str, bytes], form: int = tarfile.GNU_FORMAT) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def read(content: bytes) -> dict[str, bytes]:
    file = io.BytesIO(content)
    found = {}
    for member in members(file, "shard.tar", len(content)):
        assert file.tell() == member.offset
        found[member.name] = file.read(member.size)
    return found


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_tarfile_writes(form):
    files = {"0.jpg": b"x" * 1000, "0.cls": b"3", "empty": b"", "a/b/käse 猫.png": b"y" * 512}
    if form != tarfile.USTAR_FORMAT:
        files[LONG] = b"long"
    assert read(tar_of(files, form)) == files


def test_sizes_beyond_octal():
    content = bytearray(tar_of({"a": b"abc"}))
    content[124:136] = b"\x80" + (3).to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    assert read(bytes(content)) == {"a": b"abc"}


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/x", "\\x", "a\\..\\x", "C:x", "a/.."])
def test_paths_that_lead_out(name):
    with pytest.raises(DataError, match="leads out of the archive; it is refused as a whole"):
        read(tar_of({"fine": b"1", name: b"2"}))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (tarfile.SYMTYPE, "a link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.GNUTYPE_SPARSE, "sparse"),
        (b"Z", "unknown kind"),
    ],
)
def test_what_is_no_plain_file(kind, words):
    content = bytearray(tar_of({"a": b""}))
    content[156:157] = kind
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    with pytest.raises(DataError, match=words):
        read(bytes(content))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x1f\x8b" + bytes(600), b"x" * 2000])
def test_what_is_no_tar(content):
    with pytest.raises(DataError, match="no plain tar archive; give an uncompressed"):
        read(content)


def test_truncated_archives_are_said_to_be():
    whole = tar_of({f"{i}.jpg": bytes([i]) * 700 for i in range(4)})
    end = 4 * (512 + 1024)
    for cut in (*range(1, end, 97), 1536, 3072, end):
        with pytest.raises(DataError, match=r"damaged or truncated|no plain tar"):
            read(whole[:cut])


def test_a_member_that_claims_more_than_there_is():
    content = bytearray(tar_of({"a": b"abc"}))
    content[124:136] = b"\x80" + (1 << 60).to_bytes(11, "big")
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    with pytest.raises(DataError, match="claims 1,152,921,504,606,846,976 bytes, more than are left"):
        read(bytes(content))


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 7)), max_size=3), st.integers(0, 6000), st.booleans())
def test_fuzzed_archives_give_members_within_them_or_a_sentence(flips, cut, pax):
    content = bytearray(tar_of({"0.jpg": b"x" * 600, LONG: b"3"}, tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT))
    for position, bit in flips:
        content[position % len(content)] ^= 1 << bit
    content = content[: len(content) - cut]
    try:
        for member in members(io.BytesIO(bytes(content)), "shard.tar", len(content)):
            assert member.offset + member.size <= len(content)
            assert not member.name.startswith("/")
            assert ".." not in member.name.split("/")
    except DataError:
        return
