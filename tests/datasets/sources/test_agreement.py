"""Tables that lie in a folder of images: they agree, say more, disagree, or label images that no folder does."""

from __future__ import annotations

import numpy as np
import pytest

from stepladder.datasets import Labelled, load_image_set
from stepladder.datasets.sources import agreement
from stepladder.errors import DataError

FILES = [f"{kind}/000{n}.png" for n in range(4) for kind in ("cat", "dog")]


@pytest.fixture
def pets(tmp_path, write_folder):
    return write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})


def write(folder, name, *labels, files=FILES, head="path,label"):
    rows = [f"{file},{label}" for file, label in zip(files, labels, strict=True)]
    (folder / name).write_text("\n".join([head, *rows]) + "\n")


def notes(folder):
    found = load_image_set(str(folder))
    assert found.class_names == ("cat", "dog")
    return [note for note in found.notes if not note.startswith("Not read")]


KINDS = ["cat", "dog"] * 4


@pytest.mark.parametrize("labels", [KINDS, ["CAT ", "Dog"] * 4, ["0", "1"] * 4, ["chat", "chien"] * 4])
def test_tables_that_agree_are_said_with_their_rows(pets, labels):
    write(pets, "a.csv", *labels)
    assert notes(pets) == ["a.csv (8 rows) agrees with the labels of the images."]
    write(pets, "b.csv", "cat", files=["./cat/0000.png"])
    assert notes(pets) == ["a.csv (8 rows), b.csv (1 row) agree with the labels of the images."]


def test_numbers_with_zeros_are_the_same(tmp_path, write_folder):
    write_folder(tmp_path / "set", {"007": 2, "010": 2})
    files = ["007/0000.png", "007/0001.png", "010/0000.png", "010/0001.png"]
    write(tmp_path / "set", "a.csv", "7.0", "7.0", "10.0", "10.0", files=files)
    assert "a.csv (4 rows) agrees with the labels of the images." in load_image_set(tmp_path / "set").notes


def test_tables_that_disagree_are_an_error_with_the_rows_and_both_ways_to_say(pets):
    write(pets, "a.csv", "dog", *KINDS[1:])
    with pytest.raises(DataError) as caught:
        load_image_set(str(pets))
    assert str(caught.value) == (
        f"{pets / 'a.csv'} and the folders of pets disagree on 1 of 8 rows: cat/0000.png is 'dog' (line 2) and lies in "
        "cat; mend one, or say which holds: `index='a.csv'` or `level=top`"
    )
    by_table = load_image_set(Labelled(str(pets), index="a.csv"))
    assert np.bincount(by_table.splits["train"].labels).tolist() == [3, 5]
    by_folder = load_image_set(Labelled(str(pets), level="top"))
    assert np.bincount(by_folder.splits["train"].labels).tolist() == [4, 4]


def test_patients_as_folders_and_another_label_in_the_table(pets):
    write(pets, "a.csv", *["sick", "sick", "well", "well"] * 2, head="path,diagnosis")
    with pytest.raises(DataError, match=r"disagree on 8 of 8 rows: cat/0000.png is 'sick' \(line 2\) and lies in cat"):
        load_image_set(str(pets))
    # Few of the images, in other words: something else, and no reason to stop.
    write(pets, "a.csv", "left", "right", "left", files=["cat/0000.png", "cat/0001.png", "dog/0000.png"])
    assert notes(pets) == []


def test_finer_and_coarser_classes_are_said(pets):
    write(pets, "a.csv", *[f"{kind}{n % 4 // 2}" for n, kind in enumerate(KINDS)])
    assert notes(pets) == ["a.csv has other classes of these images, 4 finer: take it with `index='a.csv'`."]
    write(pets, "a.csv", *["cat,c0,x", "dog,d0,x"] * 2, *["cat,c1,y", "dog,d1,y"] * 2, head="path,kind,fine,other")
    assert notes(pets) == ["a.csv (8 rows) agrees with the labels of the images."]
    write(pets, "a.csv", *["c0,x", "d0,x"] * 2, *["c1,y", "d1,y"] * 2, head="path,fine,other")
    assert notes(pets) == ["a.csv has other classes of these images, 4 finer in fine: take it with `index='a.csv'`."]


def test_of_a_table_for_each_split_that_for_training_speaks(pets):
    fine = [f"{kind}{n % 4 // 2}" for n, kind in enumerate(KINDS)]
    for split in ("test", "train", "val"):
        write(pets, f"{split}.csv", *fine)
    assert notes(pets) == ["train.csv has other classes of these images, 4 finer: take it with `index='train.csv'`."]


def test_tables_of_other_things_are_let_be(pets):
    write(pets, "a.csv", "2020", "2021", files=["me", "you"], head="author,year")
    (pets / "b.txt").write_text("Read me first.\n")
    (pets / "c.json").write_text("{")
    write(pets, "d.csv", "cat", "dog", files=["elsewhere/1.png", "elsewhere/2.png"])
    write(pets, "e.csv", *[f"1,{kind},0.9," for kind in KINDS[::-1]], head="path,rank,class,probability,damage")
    assert notes(pets) == []  # predictions are no labels
    write(pets, "e.csv", *[f"{kind},0.9," for kind in KINDS[::-1]], head="path,predicted,probability,damage")
    assert notes(pets) == []
    write(pets, "e.csv", *[f"{kind},dog,0.9," for kind in KINDS], head="path,label,predicted,probability,damage")
    assert notes(pets) == ["e.csv (8 rows) agrees with the labels of the images."]


def test_names_and_a_table_in_one_folder(tmp_path, encode):
    for n in range(4):
        for kind in ("cat", "dog"):
            (tmp_path / f"{kind}_{n}.png").write_bytes(encode(seed=10 * n + len(kind) + (kind == "dog")))
    files = [f"{kind}_{n}.png" for n in range(4) for kind in ("cat", "dog")]
    write(tmp_path, "a.csv", *KINDS, files=files)
    assert "a.csv (8 rows) agrees with the labels of the images." in load_image_set(tmp_path).notes
    write(tmp_path, "a.csv", "dog", *KINDS[1:], files=files)
    with pytest.raises(DataError, match=r"mend one, or say which holds: `index='a.csv'` or `label_pattern='"):
        load_image_set(tmp_path)


def test_a_table_in_a_folder_without_class_folders_is_read(tmp_path, write_folder):
    root = tmp_path / "kaggle"
    write_folder(root, {"train_images": 6, "test_images": 4})
    write(root, "train.csv", *"ababab", files=[f"000{n}" for n in range(6)], head="id,kind")
    found = load_image_set(str(root))
    assert (found.name, found.class_names, len(found.splits["train"])) == ("kaggle", ("a", "b"), 6)
    assert found.notes[0] == (
        "Labels: from column 'kind' of train.csv, a (3), b (3); state it with `index='train.csv'`, `path_column='id'` "
        "and `label_column='kind'`."
    )
    stated = Labelled(str(root), index="train.csv", path_column="id", label_column="kind")
    assert load_image_set(stated).fingerprint == found.fingerprint
    assert load_image_set(Labelled(str(root), label_column="kind")).fingerprint == found.fingerprint
    with pytest.raises(
        DataError, match=r"`label_column` is wat, and .*train\.csv has no such column; columns: id, kind"
    ):
        load_image_set(Labelled(str(root), label_column="wat"))
    # What somebody hands in has one label for all, and is no table of labels.
    write(root, "sample_submission.csv", *"0000", files=[f"000{n}" for n in range(4)], head="id,kind")
    assert load_image_set(str(root)).fingerprint == found.fingerprint


def test_several_tables_or_columns_are_asked_about(tmp_path, write_folder):
    write_folder(tmp_path / "set", {"all": 6})
    files = [f"all/000{n}.png" for n in range(6)]
    write(tmp_path / "set", "a.csv", *"ababab", files=files)
    write(tmp_path / "set", "b.csv", *"aabbab", files=files)
    with pytest.raises(
        DataError, match=r"set has 2 tables that list its images; choose one with `index='a.csv'` or `i"
    ):
        load_image_set(tmp_path / "set")
    (tmp_path / "set" / "b.csv").unlink()
    write(tmp_path / "set", "a.csv", "a,x", "b,x", "a,x", "b,y", "a,y", "b,y", files=files, head="path,kind,site")
    with pytest.raises(DataError, match=r"or `label_column='site'`, and name the table with `index='a.csv'`"):
        load_image_set(tmp_path / "set")
    write(
        tmp_path / "set",
        "a.csv",
        *[f"1,{kind},0.9," for kind in "ababab"],
        files=files,
        head="path,rank,class,probability,damage",
    )
    with pytest.raises(DataError, match="holds one class, 'all'"):
        load_image_set(tmp_path / "set")


def test_what_is_looked_at_is_bounded(pets, monkeypatch):
    write(pets, "a.csv", "dog", *KINDS[1:])
    monkeypatch.setattr(agreement, "_MOST_BYTES", 10)
    assert notes(pets) == []


def test_a_stated_level_looks_at_no_table(pets):
    write(pets, "a.csv", "dog", *KINDS[1:])
    assert not any("a.csv" in note for note in load_image_set(Labelled(str(pets), level="top")).notes)


def test_links_to_themselves_are_no_tables_and_no_folders(pets):
    (pets / "self.csv").symlink_to("self.csv")
    (pets / "self").symlink_to("self")
    (pets / "cat" / "train").symlink_to("train")
    write(pets, "a.csv", *KINDS)
    assert load_image_set(str(pets / "a.csv")).class_names == ("cat", "dog")
    (pets / "cat" / "train").unlink()
    assert "a.csv (8 rows) agrees with the labels of the images." in notes(pets)
