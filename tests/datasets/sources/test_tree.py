"""Labels in the paths of files: names, levels, and folders around the right one."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Labelled, load_image_set
from stepladder.errors import DataError


def counts(found: ImageSet) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip(found.class_names, np.bincount(part.labels).tolist(), strict=True))
        for split, part in found.splits.items()
    }


@pytest.fixture
def write(tmp_path, encode):
    def files(*paths: str) -> str:
        for number, path in enumerate(paths):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(encode(seed=number))
        return str(tmp_path / paths[0].split("/")[0])

    return files


@pytest.mark.parametrize("name", ["pets/{0}.{1}.png", "pets/{0}_{1}.png", "pets/{0} ({1}).png", "pets/{0}{1:03d}.png"])
def test_words_before_numbers_are_labels_and_the_pattern_that_is_told_gives_the_same(write, name):
    pets = write(*[name.format(kind, number) for kind in ("cat", "dog") for number in range(4)])
    found = load_image_set(pets)
    assert counts(found) == {"train": {"cat": 4, "dog": 4}}
    assert found.notes[0].startswith("Labels: from file names, cat (4), dog (4); state it with `label_pattern='")
    told = re.search("label_pattern='([^']+)'", found.notes[0])
    assert told
    same = load_image_set(Labelled(pets, label_pattern=told[1]))
    assert same.fingerprint == found.fingerprint
    assert same.notes[0] == "Labels, by `label_pattern`: cat (4), dog (4)."


@pytest.mark.parametrize("names", [["IMG_1", "IMG_2", "IMG_3"], ["a", "b", "c"], ["cat_1", "cat_2", "cat_3", "dog_1"]])
def test_names_that_say_no_classes_are_left_alone(write, names):
    words = (
        rf"holds {len(names)} images \({names[0]}\.png, {names[1]}\.png.*, and no class folders; say what labels them, "
    )
    with pytest.raises(DataError, match=words + "with `label_pattern` for their names or `index` for a table"):
        load_image_set(write(*[f"pets/{name}.png" for name in names]))


def test_a_pattern_reads_files_in_any_folders_with_splits_and_limits(write, tmp_path):
    paths = [f"pets/{split}/{n % 2}/{kind}-{n}.png" for split in ("train", "test") for kind in "ab" for n in range(4)]
    pets = write(*paths)
    (tmp_path / "pets" / "train" / "notes.csv").write_text("x")
    found = load_image_set(Labelled(pets, label_pattern="([ab])-"), limit=3)
    assert counts(found) == {"train": {"a": 3, "b": 3}, "test": {"a": 3, "b": 3}}
    assert "Passed over, as none of the images: *.csv (1)." in found.notes


@pytest.mark.parametrize(
    ("level", "classes"),
    [
        (None, {"Fruit": 8, "Vegetables": 4}),
        ("top", {"Fruit": 8, "Vegetables": 4}),
        ("2", {"Apple": 4, "Carrot": 4, "Pear": 4}),
        ("leaf", {"Anjou": 4, "Carrot": 4, "Golden": 4}),
    ],
)
def test_levels_of_a_tree(write, level, classes):
    folders = ("Fruit/Apple/Golden", "Fruit/Pear/Anjou", "Vegetables/Carrot")
    store = write(*[f"store/{s}/{one}/{n}.png" for s in ("train", "test") for one in folders for n in range(4)])
    found = load_image_set(Labelled(store, level=level))
    assert counts(found) == {"train": classes, "test": classes}
    if level is None:
        assert found.notes[0] == (
            "Folders lie 3 deep: level 1: 2 (Fruit, Vegetables); level 2: 3 (Apple, Pear, Carrot); level 3: 2 (Golden, "
            "Anjou). The top one was taken; `level=leaf` takes the last (3)."
        )
    else:
        listed = ", ".join(f"{name} ({2 * count})" for name, count in classes.items())
        assert found.notes[0] == f"Labels, by `level={level}`: {listed}."


def test_a_note_on_levels_counts_names_and_folders_of_one_name_are_one_class(write):
    store = write(
        *[f"s/{top}/{one}/{n}.png" for top in ("Fruit", "Veg") for one in (f"Best{top}", "Other") for n in "01"]
    )
    (note,) = load_image_set(store).notes
    assert "level 2: 3 in 4 folders (BestFruit, Other, BestVeg)." in note
    assert note.endswith("`level=leaf` takes the last (3).")
    found = load_image_set(Labelled(store, level="leaf"))
    assert counts(found) == {"train": {"BestFruit": 2, "BestVeg": 2, "Other": 4}}
    assert "Folders of one name are one class, wherever they lie: Other (Fruit/Other, Veg/Other)." in found.notes


@pytest.mark.parametrize("how", [{"level": "leaf"}, {"level": "top"}, {"level": "1"}, {"label_pattern": "/([ab])/"}])
@pytest.mark.parametrize("form", ["s/{split}/{kind}/{n}.png", "s/wrap/{split}/{kind}/{n}.png"])
def test_what_is_stated_keeps_the_splits_of_the_author(write, how, form):
    parts = ("Train", "valid", "Test")
    store = write(*[form.format(split=split, kind=kind, n=n) for split in parts for kind in "ab" for n in "012"])
    write("s/extra/a/1.png" if "wrap" not in form else "s/wrap/extra/a/1.png")
    found = load_image_set(Labelled(store, **how))
    assert counts(found) == {split: {"a": 3, "b": 3} for split in ("train", "validation", "test")}
    assert "Folders that name no split were left out: extra (1 file)." in found.notes


def test_images_beside_the_folders_of_a_level_are_left_out_and_said(write):
    store = write(*[f"s/{split}/{kind}/{n}.png" for split in ("Train", "Test") for kind in "ab" for n in "012"])
    write("s/top0.png", "s/val/1.png", "s/val/2.png", "s/Train/3.png")
    for level in ("leaf", "top"):
        found = load_image_set(Labelled(store, level=level))
        assert counts(found) == {split: {"a": 3, "b": 3} for split in ("train", "test")}
        beside = [note for note in found.notes if "beside the class folders" in note]
        assert sum(int(number) for note in beside for number in re.findall(r"Not read: (\d+)", note)) == 4
    with pytest.raises(DataError, match=r"`level` is leaf, and no image lies in a folder below .*; leave `level` out"):
        load_image_set(Labelled(write("flat/1.png"), level="leaf"))


def test_splits_of_flat_folders_are_kept_where_a_pattern_labels_them(write):
    store = write(*[f"s/{split}/x{kind}{n}.png" for split in ("train", "test") for kind in "ab" for n in "012"])
    write("s/more/xa1.png")
    found = load_image_set(Labelled(store, label_pattern="x([ab])"))
    assert counts(found) == {split: {"a": 3, "b": 3} for split in ("train", "test")}


@pytest.mark.parametrize("how", [{"level": "leaf"}, {"level": "1"}, {"label_pattern": "^([a-z]+)/"}])
def test_splits_below_the_classes_are_kept_too(write, how):
    pets = split_up(write, cat="train test", dog="train test")
    assert counts(load_image_set(Labelled(pets, **how))) == {split: {"cat": 2, "dog": 2} for split in ("train", "test")}


@pytest.mark.parametrize(
    "words", [("Äste", "Öste", "Birke"), ("2cv", "4cv", "audi"), ("(cat)", "dog"), ("猫", "犬"), ("cat.tabby", "dog")]
)
def test_words_in_names_are_whole(write, words):
    pets = write(*[f"pets/{word}_{n}.png" for word in words for n in range(3)])
    found = load_image_set(pets)
    assert counts(found) == {"train": dict.fromkeys(sorted(words), 3)}
    told = re.search("label_pattern='([^']+)'", found.notes[0])
    assert told
    assert load_image_set(Labelled(pets, label_pattern=told[1])).fingerprint == found.fingerprint


def test_two_numbers_in_names_are_asked_about(write):
    pets = write(*[f"pets/{'ab'[thing % 2]}_{thing:02}_{n}.png" for thing in range(6) for n in range(4)])
    with pytest.raises(DataError, match=r"they may be of 2 classes \(a, b\) or of 6 \(a_00, .*say which") as caught:
        load_image_set(pets)
    two, six = re.findall("label_pattern='([^']+)'", str(caught.value))
    assert counts(load_image_set(Labelled(pets, label_pattern=two))) == {"train": {"a": 12, "b": 12}}
    assert set(counts(load_image_set(Labelled(pets, label_pattern=six)))["train"].values()) == {4}


def test_names_in_folders_that_hold_a_word_of_a_split(write):
    pets = write(*[f"pets/{split}/{kind}.{n}.png" for split in ("train", "test1") for kind in "ab" for n in range(3)])
    found = load_image_set(pets)
    assert counts(found) == {split: {"a": 3, "b": 3} for split in ("train", "test")}
    assert "Splits: from the folders test1 (test), train (train)." in found.notes


def test_a_validation_split_that_lacks_the_finer_classes_is_left_out(write):
    parts = {"train": "abc", "val": "ab", "test": "abc"}
    store = write(*[f"s/{part}/x/{leaf}/{n}.png" for part, of in parts.items() for leaf in of for n in range(3)])
    found = load_image_set(Labelled(store, level="leaf"))
    assert counts(found) == {split: {"a": 3, "b": 3, "c": 3} for split in ("train", "test")}
    assert found.notes[1].startswith(
        "The validation split (6 images) was left out, as it lacks 1 class of the training"
    )


def test_folders_around_the_right_one_are_entered(write):
    around = write(*[f"dataset-master/dataset/{kind}/{n}.png" for kind in ("cat", "dog") for n in range(3)])
    found = load_image_set(around)
    assert counts(found) == {"train": {"cat": 3, "dog": 3}}
    assert found.notes[0] == "Read from dataset, the only folder in dataset-master."


@pytest.mark.parametrize("limit", [None, 2])
def test_a_repository_with_an_image_set_in_it_names_the_right_folder(write, tmp_path, limit):
    root = Path(write(*[f"repo/Dataset/{n % 3}/{n}.png" for n in range(60)], "repo/Examples/0.png"))
    (root / "README.md").write_text("x")
    with pytest.raises(DataError) as caught:
        load_image_set(str(root), limit=limit)
    assert str(caught.value).endswith(
        f"holds an image set among other things: Dataset has 60 of its 61 files, in 3 folders (0, 1, 2); give "
        f"{root / 'Dataset'}"
    )
    assert counts(load_image_set(str(root / "Dataset"))) == {"train": {"0": 20, "1": 20, "2": 20}}


def test_documents_among_images_are_passed_over_and_a_folder_of_these_is_no_class(write, tmp_path, encode):
    folder = Path(write(*[f"set/{kind}/{n}.png" for kind in "ab" for n in range(3)]))
    (folder / "code").mkdir()
    for name in ("a/labels.csv", "a/sub.xml", "code/run.py", "code/run.PYC"):
        (folder / name).write_text("x")
    (folder / "b" / "real.txt").write_bytes(encode(seed=99))  # an image all the same
    found = load_image_set(str(folder))
    assert counts(found) == {"train": {"a": 3, "b": 4}}
    (note,) = [note for note in found.notes if note.startswith("Passed over")]
    assert sorted(re.findall(r"\*\.[a-z]+ \(1\)", note)) == ["*.csv (1)", "*.py (1)", "*.pyc (1)", "*.xml (1)"]


def test_a_large_class_beside_a_small_one_is_read(write):
    found = load_image_set(write(*[f"scans/healthy/{n}.png" for n in range(60)], "scans/ill/0.png", "scans/ill/1.png"))
    assert counts(found) == {"train": {"healthy": 60, "ill": 2}}


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"label_pattern": "x", "level": "leaf"}, "both name the classes; give one of them"),
        ({"level": "last"}, "`level` is last; it must be top, leaf or a number from 1"),
        ({"level": "2"}, "`level` is 2, and a/0.png lies in 1 folder below "),
        ({"label_pattern": "x"}, "`label_pattern` is x, and 6 of 6 paths have no match or an empty one: a/0.png"),
    ],
)
def test_what_does_not_fit_is_one_sentence(write, how, words):
    folder = write(*[f"set/{kind}/{n}.png" for kind in "ab" for n in range(3)])
    with pytest.raises(DataError) as caught:
        load_image_set(Labelled(folder, **how))
    assert words in str(caught.value)


def test_what_only_folders_use_is_refused_elsewhere():
    with pytest.raises(DataError, match="`level` is for folders of images, and digits is none; leave it out"):
        load_image_set(Labelled("digits", level="leaf"))


def split_up(write, **of_class: str) -> str:
    paths = [
        f"pets/{kind}/{split}/{n}.png" for kind, splits in of_class.items() for split in splits.split() for n in "01"
    ]
    return write(*paths)


def test_splits_below_the_classes_are_splits_and_that_is_said(write):
    pets = split_up(write, cat="train test Val", dog="train test val")
    found = load_image_set(pets)
    assert counts(found) == {split: {"cat": 2, "dog": 2} for split in ("train", "validation", "test")}
    assert found.notes == (
        "Splits: from folders in the class folders, train (4), validation (4), test (4); `level=top` takes all as "
        "training images.",
    )
    assert counts(load_image_set(Labelled(pets, level="top"))) == {"train": {"cat": 6, "dog": 6}}
    assert counts(load_image_set(pets, limit=1))["test"] == {"cat": 1, "dog": 1}


def test_they_are_found_in_a_wrapper(write, tmp_path):
    for kind in ("cat", "dog"):
        for split in ("train", "test"):
            write(f"whole/pets/{kind}/{split}/{kind}{split}.png")
    found = load_image_set(tmp_path / "whole")
    assert counts(found) == {"train": {"cat": 1, "dog": 1}, "test": {"cat": 1, "dog": 1}}
    assert found.notes[0] == "Read from pets, the only folder in whole."


@pytest.mark.parametrize(
    ("of_class", "without"),
    [
        ({"cat": "train test", "emu": "train test", "dog": "left right"}, "dog has"),
        ({"cat": "train test", "emu": "test", "dog": "train"}, "emu has"),
        ({"cat": "train", "emu": "train", "dog": "left", "fox": "."}, "dog, fox have"),
    ],
)
def test_where_some_classes_have_splits_both_ways_to_say_it_are_given(write, of_class, without):
    pets = split_up(write, **of_class)
    words = rf"\(cat/train\), and {without} no train folder; add it, or take all .* with `level=top`"
    with pytest.raises(DataError, match=words):
        load_image_set(pets)
    assert set(counts(load_image_set(Labelled(pets, level="top")))) == {"train"}


def test_a_folder_of_that_name_in_one_class_is_part_of_it(write):
    pets = split_up(write, bus="red blue", vehicle="train test")
    assert counts(load_image_set(pets)) == {"train": {"bus": 4, "vehicle": 4}}


def test_names_in_folders_of_splits(write):
    paths = [
        f"pets/{split}/{kind}.{n}.png" for split in ("train", "valid") for kind in ("cat", "dog") for n in range(3)
    ]
    pets = write(*paths, *[f"pets/test/{n}.png" for n in range(4)])
    found = load_image_set(pets)
    assert counts(found) == {"train": {"cat": 3, "dog": 3}, "validation": {"cat": 3, "dog": 3}}
    assert found.notes[0].startswith("Labels: from file names, cat (6), dog (6); state it with `label_pattern='")
    assert "Left out, as names there say no class of the training images: test (4 images)." in found.notes
    write(*[f"pets/test/emu.{n}.png" for n in range(4)])
    assert "test" not in load_image_set(pets).splits


def test_a_table_in_each_folder_of_a_split(write, tmp_path):
    for split, each in (("train", 4), ("valid", 2)):
        files = [f"{n}_jpg.rf.{split}.png" for n in range(each)]
        write(*[f"pets/{split}/{file}" for file in files])
        rows = [f"{file}, {(n + 1) % 2}, {n % 2}" for n, file in enumerate(files)]
        (tmp_path / "pets" / split / "_classes.csv").write_text("\n".join(["filename, cat, dog", *rows]))
    found = load_image_set(tmp_path / "pets")
    assert counts(found) == {"train": {"cat": 2, "dog": 2}, "validation": {"cat": 1, "dog": 1}}
    assert found.notes[0] == "Labels: from 2 columns of _classes.csv, one a class, cat (3), dog (3)."
