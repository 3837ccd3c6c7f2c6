"""From what the user typed to an image set."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepladder.datasets import SOURCES, load_image_set
from stepladder.errors import DamagedImagesError, DataError


def test_a_misspelt_name_gets_the_nearest_and_what_is_accepted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        load_image_set("digts")
    message = str(caught.value)
    assert "unknown data name 'digts'; did you mean 'digits'?" in message
    assert "fashion-mnist" in message
    for source in SOURCES:
        assert source.name in message


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(DataError, match=f"there is no file or folder {tmp_path}/nowhere; give a name"):
        load_image_set(str(tmp_path / "nowhere"))


def test_a_file_that_is_no_image_set(tmp_path):
    path = tmp_path / "notes.md"
    path.write_text("hello")
    with pytest.raises(
        DataError, match=r"notes\.md is no image set that can be read; a path may be of idx, a table of paths, parquet"
    ):
        load_image_set(str(path))


def test_a_name_longer_than_the_system_allows():
    with pytest.raises(DataError, match="File name too long"):
        load_image_set("x" * 5000)


def test_unicode_and_spaces(tmp_path, write_folder):
    root = write_folder(tmp_path / "meine Bilder ünï", {"Café noir": 2, "猫": 2})
    image_set = load_image_set(str(root))
    assert image_set.class_names == ("Café noir", "猫")
    assert image_set.name == "meine-Bilder-ünï"


def test_the_name_is_that_of_the_folder_however_it_is_written(tmp_path, write_folder, monkeypatch):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    monkeypatch.chdir(root)
    assert load_image_set(".").name == load_image_set(f"{root}/").name == load_image_set(str(root)).name == "pets"


@pytest.mark.parametrize("limit", [0, -3])
def test_limit_must_be_positive(limit):
    with pytest.raises(DataError, match=f"`limit` is {limit}; it must be at least 1"):
        load_image_set("digits", limit=limit)


def test_limit_takes_the_first_of_each_class(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 5, "dog": 4})
    (root / "cat" / "0004.png").write_bytes(b"damaged, but never read")
    image_set = load_image_set(str(root), limit=2)
    assert image_set.splits["train"].labels.tolist() == [0, 0, 1, 1]
    assert any("Limited to the first 2 images of each class" in note for note in image_set.notes)


def test_damage_is_listed_or_skipped(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 3, "dog": 3})
    bad = [root / "cat" / "0001.png", root / "dog" / "0002.png"]
    for path in bad:
        path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(str(root))
    assert [place for place, _ in caught.value.damaged] == [str(path) for path in bad]
    image_set = load_image_set(str(root), skip_damaged=True)
    assert image_set.splits["train"].labels.tolist() == [0, 0, 1, 1]
    assert "2 damaged images were left out" in image_set.notes[-1]
    assert str(bad[0]) in image_set.notes[-1]


def test_loading_twice_gives_the_same_content(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 20, "dog": 20}, fmt="JPEG")
    assert load_image_set(str(root)).fingerprint == load_image_set(str(root)).fingerprint


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_no_permission_is_a_sentence(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    (root / "cat").chmod(0)
    try:
        with pytest.raises(DataError, match=r"cannot read .*cat.*: Permission denied"):
            load_image_set(str(root))
    finally:
        (root / "cat").chmod(0o755)


def test_a_system_error_becomes_a_sentence(tmp_path, write_folder, monkeypatch):
    # The same as above for root, whom no permission stops.
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"cannot read .*pets: Permission denied"):
        load_image_set(str(root))


def test_home_is_expanded(tmp_path, write_folder, monkeypatch):
    write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_image_set(str(Path("~") / "pets")).name == "pets"


def test_a_path_may_be_a_path(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 1, "dog": 1})
    assert load_image_set(root).fingerprint == load_image_set(str(root)).fingerprint


def tar_of(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_a_backup_beside_class_folders_is_no_image_set(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 3})
    before = load_image_set(root)
    tar_of(root / "backup.tar", {"cat/0.png": encode(), "dog/0.png": encode()})
    image_set = load_image_set(root)
    assert image_set.fingerprint == before.fingerprint
    assert image_set.notes == ("Not read: 1 file was beside the class folders, by ending .tar (1).",)


def test_a_table_of_numbers_in_parquet_beside_class_folders_is_no_image_set(tmp_path, write_folder):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 3})
    pq.write_table(pa.table({"path": ["a"], "age": [1]}), root / "ages.parquet")
    assert load_image_set(root).class_names == ("cat", "dog")


def test_shards_and_parquet_of_images_win_over_folders_and_the_others_are_said(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"cat": 2, "dog": 3})
    tar_of(root / "train-0.tar", {"0.png": encode(), "0.cls": b"x", "1.png": encode(seed=1), "1.cls": b"y"})
    image_set = load_image_set(root)
    assert image_set.class_names == ("x", "y")
    assert image_set.notes == (
        "pets was read as WebDataset; it also holds a folder of images: to read that, "
        "move it into a folder of its own, or the files of WebDataset out of this one.",
        "Not read: folders beside the shards, cat, dog.",
    )


def test_example_pictures_beside_shards_make_no_folder_of_images(tmp_path, write_folder, encode):
    root = write_folder(tmp_path / "pets", {"figures": 2})
    tar_of(root / "0.tar", {"0.png": encode(), "0.cls": b"x", "1.png": encode(seed=1), "1.cls": b"y"})
    assert load_image_set(root).class_names == ("x", "y")


def test_what_surely_is_nothing_gets_the_sentence_of_the_most_special_reader(tmp_path):
    (tmp_path / "pets").mkdir()
    (tmp_path / "pets" / "a.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(DataError, match=r"a\.tar is no plain tar archive"):
        load_image_set(tmp_path / "pets")
