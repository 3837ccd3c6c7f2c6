"""Archives are read where they lie; those that would reach out, hold more than they may or are damaged are refused."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.datasets import archives, filesystem, unpack
from stepladder.datasets.archives import Archive, open_archive
from stepladder.datasets.cache import clear_cache
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


def tree(archive: Archive, folder: str = "") -> dict[str, bytes]:
    found = {}
    for entry in archive.entries(folder):
        inner = f"{folder}/{entry.name}" if folder else entry.name
        if entry.is_dir():
            found.update(tree(archive, inner))
        else:
            found[inner] = archive.read(inner)
            assert entry.stat().st_size == len(found[inner])
    return found


def files_of(path: Path) -> dict[str, bytes]:
    archive = open_archive(path)
    try:
        return tree(archive)
    finally:
        archive.close()


FILES = [("cat/1.png", b"one"), ("cat/2.png", b""), ("dog/ü/1.png", b"x" * 3_000_000)]
MAKERS = [(zipped, "a.ZIP"), (tarred, "a.tar"), (tarred, "a.tar.gz"), (tarred, "a.tgz")]


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_all_files_are_there(tmp_path, make, name):
    path = make(tmp_path / name, *FILES)
    assert files_of(path) == dict(FILES)
    archive = open_archive(path)
    assert [(one.name, one.path, one.is_dir(), one.is_file()) for one in archive.entries("dog")] == [
        ("ü", str(path / "dog" / "ü"), True, False)
    ]
    assert archive.read("dog/ü/1.png", 5) == b"xxxxx"
    assert archive.read("cat/1.png", 5) == b"one"
    entry = archive.entry("dog/../cat/./1.png")
    assert entry is archive.entry("cat/1.png")
    assert entry.stat().st_mtime_ns == filesystem.file_entry(path).changed_ns
    assert archive.entry("../a.tar") is archive.entry("cat/3.png") is None
    for missing in ("cat", "cat/3.png", "", "../cat/1.png"):
        with pytest.raises(FileNotFoundError):
            archive.read(missing)
    with pytest.raises(FileNotFoundError):
        archive.entries("bird")
    archive.close()


def test_folders_without_files_and_backslashes_of_old_programs(tmp_path):
    path = zipped(tmp_path / "a.zip", ("bird/", b""), ("dog\\", b""), ("cat\\deep\\1.png", b"x"))
    assert files_of(path) == {"cat/deep/1.png": b"x"}
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for name, kind, size in (("./", b"5", 0), ("./bird", b"5", 0), ("./cat/1.png", b"0", 1)):
            member = tarfile.TarInfo(name)
            member.type, member.size = kind, size
            packed.addfile(member, io.BytesIO(b"x" * size))
    assert files_of(tmp_path / "a.tar") == {"cat/1.png": b"x"}
    for name, folders in (("a.zip", ["bird", "dog", "cat"]), ("a.tar", ["bird", "cat"])):
        archive = open_archive(tmp_path / name)
        assert [one.name for one in archive.entries("")] == folders
        assert not archive.entries("bird")
        archive.close()


def test_long_extra_fields_before_the_content(tmp_path):
    member = zipfile.ZipInfo("cat/1.png")
    member.extra = b"\x77\x77" + (500).to_bytes(2, "little") + b"e" * 500
    assert files_of(zipped(tmp_path / "a.zip", (member, b"one"), ("cat/2.png", b"two"))) == {
        "cat/1.png": b"one",
        "cat/2.png": b"two",
    }


@contextmanager
def nothing_outside(folder: Path) -> Iterator[None]:
    before = sorted(folder.rglob("*"))
    yield
    after = [path for path in sorted(folder.rglob("*")) if "own cache" not in path.parts and path not in before]
    assert not after


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: tarred(path.with_suffix(".tar"), ("a", b""), kind=tarfile.SYMTYPE), "holds a link"),
        (lambda path: tarred(path.with_suffix(".tgz"), ("a", b""), kind=tarfile.LNKTYPE), "holds a hard link"),
        (lambda path: tarred(path.with_suffix(".tgz"), ("a", b""), kind=tarfile.FIFOTYPE), "holds a pipe"),
        (lambda path: tarred(path.with_suffix(".tgz"), ("a", b"x"), ("../1.png", b"x")), "leads out of the archive"),
        (
            lambda path: zipped(path.with_suffix(".zip"), ("a/1", b"x"), ("a\\1", b"y")),
            "holds 'a/1' twice; it is refused",
        ),
        (lambda path: tarred(path.with_suffix(".tar"), ("a", b"x"), ("a/1", b"y")), "holds 'a' twice; it is refused"),
        (lambda path: tarred(path.with_suffix(".tar"), ("a/1", b"x"), ("a", b"y")), "holds 'a' twice; it is refused"),
        (lambda path: tarred(path.with_suffix(".tar"), ("./", b"x")), "holds '' twice; it is refused as a whole"),
        (lambda path: zipped(path.with_suffix(".zip"), ("a/1", b"")), "holds no files with content"),
        (lambda path: zipped(path.with_suffix(".zip")), "holds no files with content"),
    ],
)
def test_what_no_archive_of_images_has_is_refused(tmp_path, own_cache, make, words):
    path = make(tmp_path / "a")
    with nothing_outside(tmp_path), pytest.raises(DataError, match=words):
        open_archive(path)
    left = own_cache / unpack.UNPACKED
    assert not left.exists() or {file.suffix for file in left.iterdir()} == {".lock"}


@pytest.mark.parametrize("name", ["a.zip", "a.tgz"])
def test_bombs_are_refused_before_they_fill_memory_or_disk(tmp_path, monkeypatch, name):
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 1_000)
    monkeypatch.setattr(archives, "MOST_TIMES", 100)
    make = zipped if name == "a.zip" else tarred
    path = make(tmp_path / name, *[(f"a/{n}.bmp", bytes(2_000_000)) for n in range(4)])
    with pytest.raises(DataError, match=r"unpacks to [278]\.\d MB or more, which no images do"):
        open_archive(path)
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 3_000_000)  # enough for each, and not for all
    with pytest.raises(DataError, match=r"unpacks to [48]\.0 MB or more, which no images do"):
        open_archive(path)
    monkeypatch.setattr(archives, "ALWAYS_ALLOWED", 10_000_000)
    open_archive(path).close()
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(DataError, match="unpacks to 4 files or more"):
        open_archive(path)


def test_an_image_that_is_larger_than_it_says_or_than_images_are(tmp_path, monkeypatch):
    path = zipped(tmp_path / "a.zip", ("cat/1.png", bytes(50_000)), ("cat/2.png", b"two"))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\1\2") + 24
    content[at : at + 4] = (1_000).to_bytes(4, "little")
    path.write_bytes(content)
    archive = open_archive(path)
    with pytest.raises(DataError, match="it should have 1,000 bytes and has other than that"):
        archive.read("cat/1.png")
    monkeypatch.setattr(archives, "MAX_FILE_BYTES", 500)
    with pytest.raises(DataError, match="is more than an image may have"):
        archive.read("cat/1.png")
    assert archive.read("cat/2.png") == b"two"
    archive.close()


def test_a_damaged_file_is_its_own_matter(tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = zipped(
            tmp_path / "a.zip", ("cat/1.png", bytes(range(256)) * 9), ("cat/2.png", b"pixels" * 50), method=method
        )
        whole = path.read_bytes()
        first = whole.index(b"cat/1.png") + 9
        for changed, words in [
            (whole[:first] + bytes([whole[first] ^ 0x06]) + whole[first + 1 :], "damaged in the archive"),
            (whole[:1_200] + b"\0\1" + whole[1_202:] if method == zipfile.ZIP_STORED else b"", "its checksum does not"),
            (b"PK\3\5" + whole[4:], "its header is none"),
        ]:
            if not changed:
                continue
            path.write_bytes(changed)
            archive = open_archive(path)
            with pytest.raises(DataError, match=words):
                archive.read("cat/1.png")
            assert archive.read("cat/2.png") == b"pixels" * 50
            archive.close()


def test_damage_to_the_whole_is_a_sentence(tmp_path, own_cache):
    content = zipped(tmp_path / "a.zip", ("cat/1.png", b"pixels" * 50)).read_bytes()
    (tmp_path / "c.zip").write_bytes(content[:-30])
    (tmp_path / "d.zip").write_bytes(b"no zip")
    (tmp_path / "e.tgz").write_bytes(b"no gzip")
    (tmp_path / "f.tgz").write_bytes(gzip.compress(b"no tar" * 500))
    (tmp_path / "g.tgz").write_bytes(tarred(tmp_path / "t.tgz", ("a", os.urandom(5_000))).read_bytes()[:2_000])
    (tmp_path / "h.tar").write_bytes(tarred(tmp_path / "t.tar", ("a", os.urandom(5_000))).read_bytes()[:2_000])
    for name in ("c.zip", "d.zip", "e.tgz", "f.tgz", "g.tgz", "h.tar"):
        with pytest.raises(DataError, match=r"damaged|is no plain tar archive"):
            open_archive(tmp_path / name)
    assert {file.suffix for file in (own_cache / unpack.UNPACKED).iterdir()} == {".lock"}


@pytest.mark.parametrize("pread", [True, False])
def test_threads_read_at_the_same_time(tmp_path, monkeypatch, pread):
    if not pread:  # as on Windows
        monkeypatch.delattr(archives.os, "pread", raising=False)
    files = {f"cat/{n}.png": os.urandom(20_000 + n) for n in range(60)}
    archive = open_archive(zipped(tmp_path / "a.zip", *files.items(), method=zipfile.ZIP_STORED))
    together = threading.Barrier(4)

    def read_all(_: int) -> dict[str, bytes]:
        together.wait()
        return {name: archive.read(name) for name in files}

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read_all, range(4)))
    assert found == [files] * 4
    archive.close()


def test_what_is_compressed_as_a_whole_is_unpacked_once(tmp_path, own_cache):
    path = tarred(tmp_path / "a.tgz", *FILES)
    assert files_of(path) == dict(FILES)
    (kept,) = (own_cache / unpack.UNPACKED).glob("*.tar")
    content = bytearray(kept.read_bytes())
    content[content.index(b"one")] = ord("O")
    kept.write_bytes(content)
    assert files_of(path)["cat/1.png"] == b"One"
    os.utime(path, ns=(1, 1))  # a file of another time is another
    assert files_of(path)["cat/1.png"] == b"one"
    clear_cache()
    assert not kept.exists()
    files_of(zipped(tmp_path / "a.zip", *FILES))
    files_of(tarred(tmp_path / "a.tar", *FILES))
    assert not (own_cache / unpack.UNPACKED).exists()


def test_a_full_disk_or_a_cache_of_somebody_else_is_a_sentence(tmp_path, monkeypatch):
    path = tarred(tmp_path / "a.tgz", *FILES)
    monkeypatch.setattr(unpack, "_SPARE_BYTES", 10**18)
    with pytest.raises(
        DataError, match=r"is unpacked into the cache, and .* cannot hold it \(less than .* GB would be l"
    ):
        open_archive(path)
    monkeypatch.undo()
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot hold it \((File exists|Not a directory)\)"):
        open_archive(path)


def test_what_was_not_used_for_longest_makes_room(tmp_path, own_cache, monkeypatch):
    monkeypatch.setattr(unpack, "MOST_BYTES", 25_000)
    monkeypatch.setattr(unpack, "_LOOK_AGAIN", 1)
    old, new = (tarred(tmp_path / f"{name}.tgz", ("a/1", os.urandom(3_000))) for name in ("old", "new"))
    files_of(old)
    (kept,) = (own_cache / unpack.UNPACKED).glob("*.tar")
    files_of(new)
    files_of(tarred(tmp_path / "other.tgz", ("a/1", os.urandom(3_000))))
    assert kept.exists()  # somebody may be reading it
    os.utime(kept.with_suffix(".json"), (1, 1))
    files_of(tarred(tmp_path / "third.tgz", ("a/1", os.urandom(3_000))))
    assert not kept.exists()
    assert files_of(old)  # and comes back


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["a.zip", "a.tar", "a.tgz"]),
    st.lists(st.tuples(st.integers(0, 2_000), st.integers(0, 255)), max_size=4),
    st.integers(0, 80),
)
def test_fuzzed_archives_are_read_or_a_sentence(tmp_path, name, changes, cut):
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
            files_of(path)
        except DataError as error:
            assert str(error)  # noqa: PT017
