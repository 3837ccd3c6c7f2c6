"""Archives that would write elsewhere, fill the disk or are damaged are refused; all others are unpacked once."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.datasets import unpack
from stepladder.datasets.cache import clear_cache
from stepladder.datasets.unpack import unpacked
from stepladder.errors import DataError


def zipped(path: Path, *files: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


def tarred(path: Path, *files: tuple[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in files:
            member = tarfile.TarInfo(name)
            member.size, member.type, member.linkname = len(content), kind, "/etc/passwd"
            archive.addfile(member, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()
    }


FILES = [("cat/1.png", b"one"), ("cat/2.png", b""), ("dog/ü/1.png", b"x" * 3_000_000)]


@pytest.mark.parametrize(
    ("make", "name"), [(zipped, "a.ZIP"), (tarred, "a.tar"), (tarred, "a.tar.gz"), (tarred, "a.tgz")]
)
def test_all_files_are_there_and_unpacked_once(tmp_path, own_cache, make, name):
    path = make(tmp_path / name, *FILES)
    folder = unpacked(path)
    assert folder.name == name
    assert own_cache in folder.parents
    assert tree(folder) == dict(FILES)
    (folder / "cat" / "1.png").write_bytes(b"kept")
    assert unpacked(path) == folder
    assert tree(folder)["cat/1.png"] == b"kept"
    os.utime(path, ns=(1, 1))  # a file of another time is another
    assert unpacked(path) != folder
    clear_cache()
    assert not folder.exists()


def test_folders_and_backslashes_of_old_programs(tmp_path):
    path = zipped(tmp_path / "a.zip", ("cat/", b""), ("dog\\", b""), ("cat\\deep\\1.png", b"x"))
    assert tree(unpacked(path)) == {"cat/deep/1.png": b"x"}


def link() -> zipfile.ZipInfo:
    member = zipfile.ZipInfo("cat/1.png")
    member.external_attr = 0o120777 << 16
    return member


@contextmanager
def nothing_outside(folder: Path) -> Iterator[None]:
    before = sorted(folder.rglob("*"))
    yield
    after = [path for path in sorted(folder.rglob("*")) if "own cache" not in path.parts and path not in before]
    assert not after


@pytest.mark.parametrize("name", ["../1.png", "/tmp/1.png", "cat/../../1.png", "C:\\1.png", "..\\1.png", "\\1.png"])
def test_paths_that_lead_out_are_refused(tmp_path, own_cache, name):
    for path in (
        zipped(tmp_path / "a.zip", (name, b"x")),
        tarred(tmp_path / "a.tgz", ("cat/1.png", b"x"), (name, b"x")),
    ):
        with (
            nothing_outside(tmp_path),
            pytest.raises(DataError, match="which leads out of the archive; it is refused as"),
        ):
            unpacked(path)
        assert not [left for left in (own_cache / "unpacked-1").iterdir() if left.suffix != ".lock"]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda path: zipped(path.with_suffix(".zip"), (link(), b"/etc/passwd")),
            "holds a link or device, 'cat/1.png'",
        ),
        (lambda path: tarred(path.with_suffix(".tar"), ("a", b""), kind=tarfile.SYMTYPE), "holds a link"),
        (lambda path: tarred(path.with_suffix(".tgz"), ("a", b""), kind=tarfile.LNKTYPE), "holds a hard link"),
        (lambda path: tarred(path.with_suffix(".tgz"), ("a", b""), kind=tarfile.FIFOTYPE), "holds a pipe"),
        (
            lambda path: zipped(path.with_suffix(".zip"), ("a/1", b"x"), ("a\\1", b"y")),
            "holds 'a/1' twice; it is refused",
        ),
        (lambda path: tarred(path.with_suffix(".tar"), ("a", b"x"), ("a/1", b"y")), "holds 'a/1' twice; it is refused"),
        (lambda path: zipped(path.with_suffix(".zip"), ("a/1", b"")), "holds no files with content"),
        (lambda path: zipped(path.with_suffix(".zip")), "holds no files with content"),
        (
            lambda path: zipped(path.with_suffix(".zip"), ("a/1", b"x" * 99), method=zipfile.ZIP_LZMA),
            "compressed in an unusual way",
        ),
    ],
)
def test_what_no_archive_of_images_has_is_refused(tmp_path, make, words):
    with pytest.raises(DataError, match=words):
        unpacked(make(tmp_path / "a"))


def test_an_encrypted_one_is_said_to_be(tmp_path):
    path = zipped(tmp_path / "a.zip", ("cat/1.png", b"x"), method=zipfile.ZIP_STORED)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.zip is encrypted; unpack it yourself and give the folder"):
        unpacked(path)


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_bombs_are_refused_before_they_fill_the_disk(tmp_path, monkeypatch, name):
    monkeypatch.setattr(unpack, "ALWAYS_ALLOWED", 1_000)
    make = zipped if name == "a.zip" else tarred
    path = make(tmp_path / name, *[(f"a/{n}.bmp", bytes(2_000_000)) for n in range(4)])
    with pytest.raises(DataError, match=r"unpacks to [28]\.0 MB or more, which no images do"):
        unpacked(path)
    monkeypatch.setattr(unpack, "ALWAYS_ALLOWED", 3_000_000)  # enough for each, and not for all
    with pytest.raises(DataError, match=r"unpacks to [48]\.0 MB or more, which no images do"):
        unpacked(path)
    monkeypatch.setattr(unpack, "ALWAYS_ALLOWED", 10_000_000)
    unpacked(path)
    monkeypatch.setattr(unpack, "MOST_FILES", 3)
    os.utime(path, ns=(1, 1))
    with pytest.raises(DataError, match="unpacks to 4 files or more"):
        unpacked(path)


def test_damage_is_a_sentence(tmp_path):
    path = zipped(tmp_path / "a.zip", ("cat/1.png", b"pixels" * 50), method=zipfile.ZIP_STORED)
    content = path.read_bytes()
    (tmp_path / "b.zip").write_bytes(content.replace(b"pixels", b"pixelz", 1))
    (tmp_path / "c.zip").write_bytes(content[:-30])
    (tmp_path / "d.zip").write_bytes(b"no zip")
    (tmp_path / "e.tgz").write_bytes(b"no gzip")
    (tmp_path / "f.tgz").write_bytes(gzip.compress(b"no tar" * 500))
    (tmp_path / "g.tgz").write_bytes(tarred(tmp_path / "t.tgz", ("a", os.urandom(5_000))).read_bytes()[:2_000])
    for name in ("b.zip", "c.zip", "d.zip", "e.tgz", "f.tgz", "g.tgz"):
        with pytest.raises(DataError, match=r"damaged|is no plain tar archive"):
            unpacked(tmp_path / name)


def test_a_full_disk_or_a_cache_of_somebody_else_is_a_sentence(tmp_path, own_cache, monkeypatch):
    path = zipped(tmp_path / "a.zip", *FILES)
    monkeypatch.setattr(unpack, "_SPARE_BYTES", 10**18)
    with pytest.raises(
        DataError, match=r"is unpacked into the cache, and .* cannot hold it \(0\.0 GB are needed\); unpack"
    ):
        unpacked(path)
    monkeypatch.undo()
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot hold it \((File exists|Not a directory)\)"):
        unpacked(path)


def test_what_was_not_used_for_longest_makes_room(tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_BYTES", 5_000)
    old, new = (zipped(tmp_path / f"{name}.zip", ("a/1", os.urandom(3_000))) for name in ("old", "new"))
    kept = unpacked(old)
    unpacked(new)
    assert kept.exists()  # somebody may be reading it
    marker = kept.parent.with_suffix(".json")
    os.utime(marker, (1, 1))
    unpacked(zipped(tmp_path / "third.zip", ("a/1", os.urandom(3_000))))
    assert not kept.exists()
    assert tree(unpacked(old))  # and comes back


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["a.zip", "a.tar", "a.tgz"]),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 80),
)
def test_fuzzed_archives_are_unpacked_or_a_sentence(tmp_path, name, changes, cut):
    whole = (zipped if name == "a.zip" else tarred)(
        tmp_path / f"whole {name}", ("cat/1.png", b"one" * 50), ("dog/2.png", b"x")
    )
    content = bytearray(whole.read_bytes())
    for position, value in changes:
        content[position % len(content)] = value
    path = tmp_path / name
    path.write_bytes(content[: len(content) - cut])
    with nothing_outside(tmp_path):
        try:
            unpacked(path)
        except DataError as error:
            assert str(error)  # noqa: PT017
