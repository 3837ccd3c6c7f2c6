"""Tables that could be read in two ways: what is one image, one label, one group and one split, or a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Labelled, load_image_set
from stepladder.errors import DataError


@pytest.fixture
def pets(tmp_path: Path, write_folder) -> Path:
    return write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})


FILES = [f"{kind}/000{number}.png" for number in range(4) for kind in ("cat", "dog")]
KINDS = [file[:3] for file in FILES]


def write(folder: Path, text: str, name: str = "labels.csv") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


def rows(head: str, *more: list[str]) -> str:
    each = ["".join(f",{column[n]}" for column in more) for n in range(len(FILES))]
    return head + "\n" + "".join(f"{file},{kind}{rest}\n" for file, kind, rest in zip(FILES, KINDS, each, strict=True))


def counts(found: ImageSet) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip(found.class_names, np.bincount(part.labels).tolist(), strict=True))
        for split, part in found.splits.items()
    }


def test_paths_that_begin_with_the_folders_of_splits_are_these_splits(tmp_path: Path, write_folder) -> None:
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        write_folder(tmp_path / "data/images" / split, {"cat": count, "dog": count})
    listed = sorted((tmp_path / "data").rglob("*.png"))
    text = "path,label\n" + "".join(f"{one.relative_to(tmp_path / 'data')},{one.parent.name}\n" for one in listed)
    found = load_image_set(write(tmp_path / "data", text))
    assert counts(found) == {
        "train": {"cat": 4, "dog": 4},
        "validation": {"cat": 2, "dog": 2},
        "test": {"cat": 3, "dog": 3},
    }
    told = "Splits: from the folders that the paths of labels.csv begin with, test (6), train (8), validation (4)."
    assert told in found.notes
    # A column says more than folders do.
    named = text.replace("path,label", "path,label,split").replace("\n", ",train\n").replace("split,train", "split")
    assert counts(load_image_set(write(tmp_path / "data", named))) == {"train": {"cat": 9, "dog": 9}}


def test_one_folder_of_a_split_or_folders_among_them_say_nothing(pets: Path) -> None:
    assert counts(load_image_set(write(pets, rows("path,label")))) == {"train": {"cat": 4, "dog": 4}}
    (pets / "cat").rename(pets / "train")  # beside a folder that is no split
    text = rows("path,label").replace("cat/", "train/")
    assert counts(load_image_set(write(pets, text))) == {"train": {"cat": 4, "dog": 4}}


@pytest.mark.parametrize("again", ["./cat/0000.png", "cat//0000.png", "cat/../cat/0000.png", "dog/../cat/./0000.png"])
def test_one_file_written_in_two_ways_is_one_image(pets: Path, again: str) -> None:
    found = load_image_set(write(pets, rows("path,label") + f"{again},cat\n"))
    assert counts(found) == {"train": {"cat": 4, "dog": 4}}
    assert "1 row lists a file again, with the same label; each file counts once." in found.notes
    with pytest.raises(DataError, match="two labels: 'cat' in line 2 and 'dog' in line 10; keep one"):
        load_image_set(write(pets, rows("path,label") + f"{again},dog\n"))


def test_images_are_counted_and_not_rows(pets: Path) -> None:
    found = load_image_set(write(pets, rows("path,kind") + rows("path,kind").partition("\n")[2]))
    assert any("cat (4), dog (4)" in note for note in found.notes)


def test_a_file_in_two_groups_is_refused(pets: Path) -> None:
    text = rows("path,label,patient", list("aabbccdd")) + "cat/0000.png,cat,d\n"
    with pytest.raises(DataError, match="two groups: 'a' in line 2 and 'd' in line 10; keep one"):
        load_image_set(Labelled(write(pets, text), group_column="patient"))


@pytest.mark.parametrize(
    "names",
    [["1", "1.0", "2", "2", "3", "3", "4", "4"], ["P1", "p1", "b", "b", "c", "c", "d", "d "]],
    ids=["fractions", "case"],
)
def test_one_patient_in_two_spellings_is_one_group(pets: Path, names: list[str]) -> None:
    found = load_image_set(Labelled(write(pets, rows("path,label,patient", names)), group_column="patient"))
    assert found.splits["train"].groups is not None
    assert found.splits["train"].groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert any(
        note.startswith("Groups that differ by case, spaces or fractions alone are one each: ") for note in found.notes
    )


def test_whole_numbers_with_and_without_fractions_are_one_class(pets: Path) -> None:
    labels = ["1", "0", "1.0", "0.0", "1.00", "0", "1", "0"]
    text = "path,label\n" + "".join(f"{file},{label}\n" for file, label in zip(FILES, labels, strict=True))
    assert counts(load_image_set(write(pets, text))) == {"train": {"0": 4, "1": 4}}


@pytest.mark.parametrize("mark", ["|", ";", ", "])
def test_several_labels_in_a_cell_are_refused(pets: Path, mark: str) -> None:
    kinds = ["cat", "dog", f'"cat{mark}dog"', "dog", "cat", "dog", f'"cat{mark}dog"', "dog"]
    text = "path,label\n" + "".join(f"{file},{kind}\n" for file, kind in zip(FILES, kinds, strict=True))
    with pytest.raises(DataError, match=r"2 rows with several labels in one cell, as 'cat.* ?dog' in line 4; several"):
        load_image_set(write(pets, text))


def test_a_name_with_a_comma_is_one_label(pets: Path) -> None:
    """As WordNet's are: "crane" is another class than "crane, bird"."""
    kinds = ["crane", '"crane, bird"'] * 4
    text = "path,label\n" + "".join(f"{file},{kind}\n" for file, kind in zip(FILES, kinds, strict=True))
    assert counts(load_image_set(write(pets, text))) == {"train": {"crane": 4, "crane, bird": 4}}


def test_lists_and_objects_of_one_label_are_that_label(pets: Path) -> None:
    for form in (lambda kind: [kind], lambda kind: {"name": kind}):
        records = [{"path": file, "label": form(kind)} for file, kind in zip(FILES, KINDS, strict=True)]
        assert counts(load_image_set(write(pets, json.dumps(records), "a.json"))) == {"train": {"cat": 4, "dog": 4}}
    records[0]["label"] = ["cat", "dog"]
    with pytest.raises(DataError, match="1 row with several labels in one cell"):
        load_image_set(write(pets, json.dumps(records), "a.json"))
    mapping = {file: [kind] for file, kind in zip(FILES, KINDS, strict=True)}
    assert counts(load_image_set(write(pets, json.dumps(mapping), "a.json"))) == {"train": {"cat": 4, "dog": 4}}


def test_a_key_twice_with_other_labels_is_refused(pets: Path) -> None:
    text = json.dumps(dict(zip(FILES, KINDS, strict=True)))
    again = text[:-1] + ', "cat/0000.png": "dog"}'
    with pytest.raises(DataError, match=r"has the key 'cat/0000\.png' twice, with different values; keep one"):
        load_image_set(write(pets, again, "a.json"))
    assert len(load_image_set(write(pets, again.replace('"dog"}', '"cat"}'), "a.json")).splits["train"]) == 8


def test_two_columns_of_one_name_are_refused_where_they_differ(pets: Path) -> None:
    with pytest.raises(DataError, match="two columns called 'label', of different cells; rename one of them"):
        load_image_set(write(pets, rows("path,label,Label", list("abababba"))))
    assert len(load_image_set(write(pets, rows("path,label,label", KINDS))).splits["train"]) == 8


def test_columns_that_a_table_has_beside_class_folders_are_told(pets: Path) -> None:
    splits, patients = ["train"] * 6 + ["test"] * 2, list("aabbccdd")
    write(pets, rows("path,label,split,patient", splits, patients))
    found = load_image_set(str(pets))
    told = (
        "labels.csv also has the columns split and patient, which are not read beside class folders: take them with "
        "`index='labels.csv'`."
    )
    assert told in found.notes
    assert set(load_image_set(Labelled(str(pets), index="labels.csv")).splits) == {"train", "test"}


def test_what_may_be_groups_is_told_and_is_no_label(pets: Path) -> None:
    found = load_image_set(write(pets, rows("image_id,dx,lesion_id", list("aabbccdd"))))
    assert found.class_names == ("cat", "dog")
    told = next(note for note in found.notes if note.startswith("Not read"))
    assert "lesion_id has 4 values in 8 rows" in told
    assert "with `group_column='lesion_id'`" in told
    animals = "path,animal\n" + "".join(f"{file},{kind}\n" for file, kind in zip(FILES, KINDS, strict=True))
    assert load_image_set(write(pets, animals)).class_names == ("cat", "dog")  # which may be a class


@pytest.mark.parametrize("words", [("1", ""), ("True", "False"), ("yes", "no"), ("x", ""), ("1.0", "0.0")])
def test_one_column_a_class_in_other_words_for_0_and_1(pets: Path, words: tuple[str, str]) -> None:
    bits = [words[kind != "cat"] for kind in KINDS], [words[kind != "dog"] for kind in KINDS]
    text = "image,CAT,DOG\n" + "".join(f"{file},{a},{b}\n" for file, a, b in zip(FILES, *bits, strict=True))
    assert counts(load_image_set(write(pets, text))) == {"train": {"CAT": 4, "DOG": 4}}


def test_one_column_a_class_and_rows_of_none_or_of_several(pets: Path) -> None:
    wide = [["1", "0", "0"], ["0", "1", "0"], ["0", "0", "1"], ["0", "0", "0"]] * 2
    text = "image,A,B,C,site\n" + "".join(
        f"{file},{','.join(bits)},{n}\n" for n, (file, bits) in enumerate(zip(FILES, wide, strict=True))
    )
    with pytest.raises(DataError, match="a column for each class, and 2 rows have none of them; give these a column"):
        load_image_set(write(pets, text))
    with pytest.raises(DataError, match="a column for each class, and 2 rows have several; several labels an image"):
        load_image_set(write(pets, text.replace(",0,0,0,", ",1,1,0,")))


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32", "utf-16", "utf-8-sig"])
def test_wide_letters_with_and_without_a_mark(pets: Path, encoding: str) -> None:
    (pets / "a.csv").write_bytes(rows("path,label").encode(encoding))
    assert counts(load_image_set(str(pets / "a.csv"))) == {"train": {"cat": 4, "dog": 4}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", rows("path,label").replace(",", ', "').replace("\n", '"\n').replace('path, "label"', "path,label")),
        ("a.csv", "# made by hand\n\n" + rows("path,label")),
        ("a.tsv", rows("path,label")),
        ("a.txt", rows("path,label").replace(",", "|").partition("\n")[2]),
        ("a.txt", rows("Image_ID Class").replace(",", " ")),
    ],
    ids=["spaces before quotes", "comments first", "commas in tsv", "bars", "another header"],
)
def test_forms_of_lines(pets: Path, name: str, text: str) -> None:
    assert counts(load_image_set(write(pets, text, name))) == {"train": {"cat": 4, "dog": 4}}


def test_what_coco_says_of_an_image_beside_its_name(pets: Path) -> None:
    document = {
        "images": [
            {"id": n, "file_name": file, "width": 8, "height": 8, "location": f"place {n // 2}"}
            for n, file in enumerate(FILES)
        ],
        "annotations": [{"image_id": n, "category_id": kind == "dog"} for n, kind in enumerate(KINDS)],
        "categories": [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}],
    }
    path = write(pets, json.dumps(document), "a.json")
    found = load_image_set(Labelled(path, group_column="location"))
    assert found.splits["train"].groups is not None
    assert found.splits["train"].groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert "Not read: the columns location." in load_image_set(path).notes


def test_metadata_that_contradicts_class_folders_is_refused_with_its_rows(pets: Path) -> None:
    text = rows("file_name,label").replace("cat/0001.png,cat", "cat/0001.png,dog")
    write(pets, text, "metadata.csv")
    with pytest.raises(DataError, match=r"disagree on 1 of 8 rows: cat/0001.png is 'dog' \(line 4\) and lies in cat"):
        load_image_set(str(pets))
    said = Labelled(str(pets), index="metadata.csv")
    assert counts(load_image_set(said)) == {"train": {"cat": 3, "dog": 5}}
    assert counts(load_image_set(Labelled(str(pets), level="top"))) == {"train": {"cat": 4, "dog": 4}}


def test_a_cloned_repository_has_its_tables_in_data(tmp_path: Path, write_folder) -> None:
    (tmp_path / "README.md").write_text("pets")
    for part, each in (("train", 4), ("test", 2)):
        folder = write_folder(tmp_path / "data" / part, {"images": 2 * each})
        listed = "".join(f"images/000{n}.png,{'ab'[n % 2]}\n" for n in range(2 * each))
        (folder / "metadata.csv").write_text("file_name,label\n" + listed)
    expected = {"train": {"a": 4, "b": 4}, "test": {"a": 2, "b": 2}}
    assert counts(load_image_set(str(tmp_path))) == expected


def test_tables_of_splits_may_be_called_in_one_word(pets: Path) -> None:
    text = rows("path,label")
    write(pets, text.replace("cat/0003.png,cat\ndog/0003.png,dog\n", ""), "trainLabels.csv")
    write(pets, "path,label\ncat/0003.png,cat\ndog/0003.png,dog\n", "testLabels.csv")
    found = load_image_set(str(pets / "trainLabels.csv"))
    assert counts(found) == {"train": {"cat": 3, "dog": 3}, "test": {"cat": 1, "dog": 1}}


@pytest.mark.parametrize(
    "document",
    [
        {file: {"label": kind, "width": 8} for file, kind in zip(FILES, KINDS, strict=True)},
        {"labels": [[file, kind] for file, kind in zip(FILES, KINDS, strict=True)]},
        {file: [kind] for file, kind in zip(FILES, KINDS, strict=True)},
    ],
    ids=["objects by path", "pairs below labels", "lists by path"],
)
def test_forms_of_json(pets: Path, document: dict[str, object]) -> None:
    assert counts(load_image_set(write(pets, json.dumps(document), "a.json"))) == {"train": {"cat": 4, "dog": 4}}
