"""Zips and tars of folders are these folders, by name, content and messages."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from stepladder.datasets import Labelled, load_image_set
from stepladder.errors import DamagedImagesError, DataError


@pytest.fixture
def pets(tmp_path, write_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})


def pack(kind: str, name: str = "pets", inner: str | None = "pets") -> str:
    root = None if inner is None else "."
    return shutil.make_archive(name, kind, root_dir=root or "pets", base_dir=inner).rpartition("/")[2]


@pytest.mark.parametrize("kind", ["zip", "tar", "gztar"])
@pytest.mark.parametrize("inner", [None, "pets"])
def test_an_archive_is_the_folder_in_it(pets, kind, inner):
    packed = load_image_set(pack(kind, inner=inner))
    folder = load_image_set("pets")
    assert packed.fingerprint == folder.fingerprint
    assert packed.name == folder.name
    assert packed.folders == ()
    assert packed.notes == (f"Read from pets, the only folder in {pack(kind, inner=inner)}.",) * bool(inner)


def test_messages_name_the_archive_and_not_the_cache(pets, own_cache):
    (pets / "cat" / "9.png").write_bytes(b"no image")
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(pack("zip"))
    ((place, _),) = caught.value.damaged
    assert place == "pets.zip/pets/cat/9.png"
    assert len(load_image_set("pets.zip", skip_damaged=True).splits["train"]) == 8
    assert "pets.zip/pets/cat/9.png" in load_image_set("pets.zip", skip_damaged=True).notes[-1]
    shutil.rmtree(pets / "dog")
    with pytest.raises(DataError) as caught_too:
        load_image_set(pack("zip", "one"))
    assert "one.zip" in str(caught_too.value)
    assert str(own_cache) not in str(caught_too.value)


def test_a_folder_or_table_in_it_may_be_named(pets, write_folder):
    write_folder(pets / "Examples", {"a": 1})
    write_folder(pets / "Dataset", {"x": 30, "y": 30})
    shutil.rmtree(pets / "cat")
    shutil.rmtree(pets / "dog")
    packed = pack("zip", inner=None)
    with pytest.raises(DataError, match=r"among other things: Dataset has 60 .*; give pets\.zip/Dataset$"):
        load_image_set(packed)
    found, expected = load_image_set("pets.zip/Dataset"), load_image_set("pets/Dataset")
    assert (found.fingerprint, found.name, found.notes) == (expected.fingerprint, "Dataset", expected.notes)
    rows = [f"{kind}/000{n}.png,{'pq'[n % 2]}" for n in range(4) for kind in "xy"]
    (pets / "Dataset" / "rows.csv").write_text("\n".join(["path,label", *rows]))
    assert load_image_set(f"{pack('tar', inner=None)}/Dataset/rows.csv").class_names == ("p", "q")
    for missing in ("Other", "Dataset/x/0000.png", "../pets"):
        with pytest.raises(DataError, match=f"holds no folder or table {missing}; give one of its own"):
            load_image_set(f"pets.zip/{missing}")


@pytest.mark.parametrize("inner", [None, "pets"])
def test_a_table_in_it_is_found_or_named(pets, inner):
    rows = [f"{kind}/000{n}.png,{kind},{'xy'[n % 2]}" for n in range(4) for kind in ("cat", "dog")]
    (pets / "a.csv").write_text("\n".join(["path,label,site", *rows]))
    packed = pack("zip", inner=inner)
    if inner is None:
        assert "a.csv (8 rows) agrees with the labels of the images." in load_image_set(packed).notes
        found = load_image_set(Labelled(packed, index="a.csv", label_column="site"))
    else:
        found = load_image_set(Labelled(packed, label_column="site"))
    assert dict(zip(found.class_names, np.bincount(found.splits["train"].labels), strict=True)) == {"x": 4, "y": 4}


def test_metadata_of_hugging_face_in_it(pets):
    rows = [f"{kind}/000{n}.png,{'xy'[n % 2]}" for n in range(4) for kind in ("cat", "dog")]
    (pets / "metadata.csv").write_text("\n".join(["file_name,label", *rows]))
    assert load_image_set(pack("zip", inner=None)).class_names == ("x", "y")


def test_levels_patterns_and_groups_are_those_of_a_folder(pets):
    packed = pack("zip", inner=None)
    assert load_image_set(Labelled(packed, group_pattern="(000[0-9])")).splits["train"].groups.max() == 3
    assert load_image_set(Labelled(packed, label_pattern="000([0-9])")).class_names == ("0", "1", "2", "3")
    assert load_image_set(Labelled(packed, level="leaf")).class_names == ("cat", "dog")
    with pytest.raises(
        DataError, match=r"`images` is for tables of paths, and pets\.zip is a folder; name its table wi"
    ):
        load_image_set(Labelled(packed, images="pets"))


def test_shards_are_no_archives_of_folders(pets):
    for kind in ("cat", "dog"):
        for n in range(4):
            (pets / kind / f"000{n}.cls").write_text(kind)
    found = load_image_set(pack("tar"))
    assert found.class_names == ("cat", "dog")
    assert not any("only folder" in note for note in found.notes)
    (pets / "notes.txt").write_text("x")
    shutil.rmtree(pets / "cat")
    shutil.rmtree(pets / "dog")
    with pytest.raises(DataError, match=r"holds no images; it must hold key\.jpg and key\.cls"):
        load_image_set(pack("tar", "none"))
