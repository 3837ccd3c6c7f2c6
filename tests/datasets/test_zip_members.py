"""Members of a zip as Python's zipfile finds them; none that points elsewhere, overlaps or claims too much."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.datasets.zip_members import zip_members
from stepladder.errors import DataError


def zip_of(
    *files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED, comment: bytes = b""
) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.comment = comment
        for name, content in files:
            archive.writestr(name, content)
    return target.getvalue()


def found(content: bytes) -> dict[str, tuple[int, int, int, int, bool]]:
    return {
        one.name: (one.offset, one.packed, one.size, one.checksum, one.deflated)
        for one in zip_members(io.BytesIO(content), "pets.zip")
        if not one.is_folder
    }


def as_zipfile_finds_them(content: bytes) -> dict[str, tuple[int, int, int, int, bool]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {
            one.filename: (one.header_offset, one.compress_size, one.file_size, one.CRC, one.compress_type == 8)
            for one in archive.infolist()
            if not one.is_dir()
        }


FILES = [("cat/1.png", b"one" * 500), ("cat/2.png", b""), ("dog/ü 猫.png", b"x" * 70_000), ("deep/er/3.png", b"3")]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("comment", [b"", b"holiday", b"PK\5\6" + b"x" * 65_000])
@pytest.mark.parametrize("before", [b"", b"#!/bin/sh\nexec unzip\n"])
def test_what_zipfile_writes(method, comment, before):
    content = before + zip_of(*FILES, method=method)
    expected = as_zipfile_finds_them(content)
    # zipfile itself does not find the end before a comment that looks like one.
    content = before + zip_of(*FILES, method=method, comment=comment)
    assert found(content) == expected
    assert list(found(content)) == [name for name, _ in FILES]


def test_bytes_after_the_end_as_of_some_downloads():
    content = zip_of(*FILES, comment=b"holiday")
    assert found(content + b"\r\n" * 10) == as_zipfile_finds_them(content)


@pytest.mark.parametrize("before", [b"", b"before"])
def test_sizes_and_places_of_zip64(before, monkeypatch):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    content = before + zip_of(*FILES)
    monkeypatch.undo()
    assert b"PK\6\6" in content
    assert found(content) == as_zipfile_finds_them(content)


def test_names_of_old_programs_and_folders():
    content = bytearray(zip_of(("cat/", b""), ("dog\\", b""), ("cat\\deep\\1.png", b"x"), ("./K?se/2.png", b"y")))
    while (at := content.find(b"K?se")) >= 0:  # in the code page of DOS, which has no sign of it
        content[at + 1] = 0x84
    members = zip_members(io.BytesIO(bytes(content)), "pets.zip")
    assert [(one.name, one.is_folder) for one in members] == [
        ("cat", True),
        ("dog", True),
        ("cat/deep/1.png", False),
        ("Käse/2.png", False),
    ]


@pytest.mark.parametrize("name", ["../1.png", "/tmp/1.png", "cat/../../1.png", "C:\\1.png", "..\\1.png", "\\1.png", ""])
def test_paths_that_lead_out(name):
    with pytest.raises(DataError, match="leads out of the archive; it is refused as a whole"):
        found(zip_of(("cat/1.png", b"x"), (zipfile.ZipInfo(name) if name else nameless(), b"x")))


def nameless() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("x")
    member.filename = ""
    return member


def link() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("cat/1.png")
    member.external_attr = 0o120777 << 16
    return member


def with_field(at: int, form: str, value: int) -> bytes:
    """A zip of two files whose second entry of the directory says something else."""
    content = bytearray(zip_of(("cat/1.png", b"one" * 50), ("dog/2.png", b"two" * 50), method=zipfile.ZIP_STORED))
    struct.pack_into(form, content, content.rindex(b"PK\1\2") + at, value)
    return bytes(content)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: zip_of((link(), b"/etc/passwd")), "holds a link or device, 'cat/1.png'; only archives of plain files"),
        (lambda: zip_of(("a/1", b"x" * 99), method=zipfile.ZIP_LZMA), "compressed in an unusual way; unpack it"),
        (lambda: with_field(8, "<H", 1), "is encrypted; unpack it yourself and give the folder"),
        (lambda: with_field(42, "<I", 0), "files in it overlap or lie past its end; it is refused as a whole"),
        (lambda: with_field(42, "<I", 100), "files in it overlap"),
        (lambda: with_field(20, "<I", 4_000), "lie past its end"),
        (lambda: with_field(42, "<I", 1 << 31), "lie past its end"),
        (lambda: with_field(28, "<H", 60_000), "damaged, or no such archive"),
        (lambda: with_field(30, "<H", 60_000), "its directory is cut off"),
        (lambda: with_field(0, "<I", 0), "its directory ends at byte"),
        (lambda: zip_of(*FILES)[:-30], "it has no directory at its end"),
        (lambda: zip_of(*FILES)[200:], "its directory is cut off"),
        (lambda: b"no zip", "it has no directory at its end"),
        (lambda: b"", "it has no directory at its end"),
        (lambda: zip_of(*FILES).replace("dog/ü".encode(), b"dog/\xff\xff"), "damaged, or no such archive"),
    ],
)
def test_what_no_archive_of_images_has(make: Callable[[], bytes], words: str):
    with pytest.raises(DataError, match=rf"^pets\.zip .*{words}"):
        found(make())


def test_no_files_at_all():
    assert found(zip_of()) == {}


def test_one_file_in_another_as_in_bombs():
    """The second file's header lies in what the first one stores (David Fifield, A better zip bomb, 2019)."""
    inner = zip_of(("dog/2.png", b"y" * 500), method=zipfile.ZIP_STORED)
    content = bytearray(zip_of(("cat/1.png", inner), ("dog/2.png", b"y" * 500), method=zipfile.ZIP_STORED))
    struct.pack_into("<I", content, content.rindex(b"PK\1\2") + 42, content.index(b"PK\3\4", 4))
    with pytest.raises(DataError, match="files in it overlap or lie past its end; it is refused as a whole"):
        found(bytes(content))


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=4), st.integers(0, 80))
def test_fuzzed_ones_are_read_or_a_sentence(changes, cut):
    content = bytearray(zip_of(("cat/1.png", b"one" * 50), ("dog/2.png", b"x"), comment=b"note"))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        members = zip_members(io.BytesIO(bytes(content[: len(content) - cut])), "pets.zip")
    except DataError as error:
        assert str(error).startswith("pets.zip")  # noqa: PT017
    else:
        assert sum(member.packed for member in members) <= len(content)
