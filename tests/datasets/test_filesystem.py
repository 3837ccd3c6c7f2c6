"""Paths in an archive that is open are those of files and folders; others are those on the disk."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stepladder.datasets import filesystem
from stepladder.datasets.archives import open_archive
from stepladder.datasets.filesystem import opened
from stepladder.errors import DataError


@pytest.fixture(params=["folder", "zip", "tar", "gztar", "../zip"])
def pets(tmp_path, request, monkeypatch):
    """The same files, in a folder and in archives; the path that stands for it."""
    folder = tmp_path / "pets"
    (folder / "cat" / "old").mkdir(parents=True)
    (folder / "cat" / "1.png").write_bytes(b"one")
    (folder / "notes.txt").write_bytes(b"notes")
    if request.param == "folder":
        yield folder
        return
    kind = request.param.removeprefix("../")
    path = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root_dir=folder))
    if request.param.startswith("../"):
        monkeypatch.chdir(folder)
        path = Path("../packed.zip")
    with opened(path, open_archive):
        yield path


def test_an_archive_answers_as_a_folder(pets):
    cat = pets / "cat"
    assert {(one.name, one.path, one.is_dir(), one.is_file()) for one in filesystem.scan(pets)} == {
        ("cat", str(cat), True, False),
        ("notes.txt", str(pets / "notes.txt"), False, True),
    }
    assert sorted(filesystem.names_in(cat)) == ["1.png", "old"]
    assert list(filesystem.scan(cat / "old")) == []
    for path, kind in [
        (pets, "folder"),
        (cat, "folder"),
        (cat / "1.png", "file"),
        (cat / "2.png", ""),
        (f"{cat}s", ""),
    ]:
        assert filesystem.is_folder(path) == (kind == "folder")
        assert filesystem.is_file(path) == (kind == "file")
        assert filesystem.exists(path) == bool(kind)
    assert filesystem.is_file(f"{cat}/old/../1.png")
    assert filesystem.read_image(str(cat / "1.png")) == b"one"
    assert filesystem.read_head(str(cat / "1.png"), 2) == b"on"
    with filesystem.open_file(pets / "notes.txt") as file:
        assert file.read() == b"notes"
    assert filesystem.file_entry(cat / "1.png")[:2] == (str(cat / "1.png"), 3)
    assert filesystem.file_entry(cat / "1.png").changed_ns > 0
    assert filesystem.file_entry(cat / "2.png") == (str(cat / "2.png"), -1, 0)
    assert filesystem.identity(str(cat)) == filesystem.identity(str(cat)) != filesystem.identity(str(pets))
    assert filesystem.folder_above(cat) == pets
    for missing in (cat / "2.png", pets / "dog" / "1.png"):
        with pytest.raises(OSError, match="No such file"):
            filesystem.read_image(str(missing))
        with pytest.raises(OSError, match="No such file"):
            filesystem.read_head(str(missing), 2)
        with pytest.raises(OSError, match="No such file"):
            filesystem.open_file(missing)
    with pytest.raises(OSError, match="No such file"):
        list(filesystem.scan(pets / "dog"))


def test_nothing_is_above_an_archive(tmp_path):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "1.png").write_bytes(b"in it")
    (tmp_path / "secret.png").write_bytes(b"beside it")
    path = Path(shutil.make_archive(str(tmp_path / "pets"), "zip", root_dir=tmp_path / "pets"))
    with opened(path, open_archive):
        assert filesystem.folder_above(path) == path
        assert not filesystem.exists(f"{path}/../secret.png")
        assert filesystem.is_file(path / "1.png")
        assert filesystem.is_file(tmp_path / "secret.png")
    assert not filesystem.exists(path / "1.png")
    assert filesystem.is_file(path)


def test_all_that_read_an_archive_share_it_and_the_last_closes_it(tmp_path):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "1.png").write_bytes(b"in it")
    path = Path(shutil.make_archive(str(tmp_path / "pets"), "tar", root_dir=tmp_path / "pets"))
    trees = []

    def open_and_keep(path):
        trees.append(open_archive(path))
        return trees[-1]

    with opened(path, open_and_keep):
        with opened(path, open_and_keep):
            pass
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(filesystem.read_image, str(path / "1.png")).result() == b"in it"
    assert len(trees) == 1
    with pytest.raises(ValueError, match="closed"):
        trees[0].read("1.png")
    path.with_suffix(".zip").write_bytes(b"none")
    with pytest.raises(DataError, match="no such archive"), opened(path.with_suffix(".zip"), open_archive):
        pass
    assert not filesystem._OPEN
