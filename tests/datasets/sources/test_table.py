"""Tables of paths, as people and spreadsheets write them."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.datasets import load_image_set
from stepladder.datasets.decode import decode_image
from stepladder.errors import DamagedImagesError, DataError


@pytest.fixture
def pets(tmp_path, write_folder):
    return write_folder(tmp_path / "pets", {"cat": 3, "dog": 3})


def write(folder, text, name="labels.csv", encoding="utf-8"):
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return str(path)


LINES = ["cat/0000.png,cat", "dog/0000.png,dog", "cat/0001.png,cat", "dog/0001.png,dog"]


def test_paths_are_relative_to_the_table_in_its_order(pets, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = write(pets, "\n".join(["path,label", *LINES]))
    image_set = load_image_set(path)
    assert image_set.name == "labels"
    assert image_set.class_names == ("cat", "dog")
    assert image_set.splits["train"].labels.tolist() == [0, 1, 0, 1]
    expected = decode_image((pets / "dog" / "0001.png").read_bytes())
    np.testing.assert_array_equal(image_set.splits["train"].images[3], expected)


@pytest.mark.parametrize(
    ("name", "mark", "encoding", "end"),
    [
        ("a.csv", ",", "utf-8", "\n"),
        ("a.csv", ";", "utf-8-sig", "\r\n"),
        ("a.tsv", "\t", "utf-8", "\n"),
        ("A.CSV", "\t", "utf-8", "\n"),
    ],
)
def test_delimiters_encodings_and_splits(pets, name, mark, encoding, end):
    words = ["train", "Training", "test", "testing"]
    rows = [f"{line.replace(',', mark)}{mark}{word}" for line, word in zip(LINES, words, strict=True)]
    path = write(pets, end.join([f"File_Name{mark}LABEL{mark}split", *rows, "", f"{mark}{mark}"]), name, encoding)
    image_set = load_image_set(path)
    assert {split: part.labels.tolist() for split, part in image_set.splits.items()} == {
        "train": [0, 1],
        "test": [0, 1],
    }


def test_paths_outside_absolute_quoted_and_with_odd_names(pets, encode):
    (pets / "tables").mkdir()
    odd = pets / 'a, "b" 猫.png'
    odd.write_bytes(encode(seed=99))
    quoted = str(odd).replace('"', '""')
    path = write(pets / "tables", f'path,label\n"{quoted}",x\n../cat/0000.png,y\n')
    image_set = load_image_set(path)
    np.testing.assert_array_equal(image_set.splits["train"].images[0], decode_image(odd.read_bytes()))


def test_numbers_are_sorted_as_numbers(pets):
    path = write(pets, "path,label\ncat/0000.png,10\ndog/0000.png,9\n")
    assert load_image_set(path).class_names == ("9", "10")


def test_limit_looks_at_no_more_files_than_it_takes(pets):
    path = write(pets, "\n".join(["path,label", *LINES, "gone.png,cat"]))
    assert len(load_image_set(path, limit=2).splits["train"]) == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", r"labels\.csv is empty; give a table with a row for each image"),
        ("path,label\n", "lists no images"),
        ("path,kind\ncat/0000.png,cat\n", "no column with the label: call it label or class, or name it with `label_c"),
        ("where,label\ngone/0000.png,cat\n", "no column with the path: call it path or file"),
        ("path,label\ncat/0000.png,cat\ndog/0000.png, \n", "line 3 has a blank label; fill it in"),
        ("path,label\n,cat\n", "line 2 has a blank path"),
        ("path,label\ncat/0000.png\n", "line 2 has 1 cells, its header 2"),
        ("path,label,split\ncat/0000.png,cat,tarin\n", "line 2 has the split 'tarin'; it must be one of train"),
        ("path,label,split\ncat/0000.png,cat,\n", "line 2 has the split ''"),
        ("path,label,split\ncat/0000.png,cat,test\n", "no row of the split train"),
        ("path,label\ncat/0000.png,cat\nnone.png,dog\n", r"lists 1 file that cannot be found: .*none\.png \(line 3\)"),
        (
            "path,label\ncat/0000.png,cat\ncat/0000.png,dog\n",
            "two labels: 'cat' in line 2 and 'dog' in line 3; keep one",
        ),
        ("path,label\ncat/0\0.png,cat\ndog/0000.png,dog\n", r"cannot be found|cannot be read"),
        ('path,label\n"cat/0000.png,cat\n', "cannot be read as a table"),
        ("path,label\n" + "x" * 200_000 + ",cat\n", "field larger than field limit"),
    ],
)
def test_bad_tables_are_said_to_be(pets, text, words):
    with pytest.raises(DataError, match=words):
        load_image_set(write(pets, text))


def test_another_encoding(pets, encode):
    (pets / "käse.png").write_bytes(encode(seed=7))
    path = write(pets, "path,label\nkäse.png,Käse\ndog/0000.png,dog\n", encoding="cp1252")
    found = load_image_set(path)
    assert found.class_names == ("Käse", "dog")
    assert (
        found.notes[1]
        == "labels.csv is no UTF-8 (byte 12) and was read as cp1252; if names look wrong, save it in UTF-8."
    )
    (pets / "utf16.csv").write_bytes("path,label\nkäse.png,cat\ndog/0000.png,dog\n".encode("utf-16"))
    assert len(load_image_set(str(pets / "utf16.csv")).splits["train"]) == 2
    (pets / "no.csv").write_bytes(b"path,label\n\x81\x8d,cat\n")
    with pytest.raises(DataError, match=r"no\.csv is not UTF-8 \(byte 11\); save it as CSV in UTF-8"):
        load_image_set(str(pets / "no.csv"))


def test_damage_is_named_by_path_and_line(pets):
    (pets / "cat" / "0000.png").write_bytes(b"no image")
    os.mkfifo(pets / "pipe.png")
    path = write(pets, "\n".join(["path,label", *LINES, "pipe.png,cat", "dog,dog"]))
    with pytest.raises(DamagedImagesError) as caught:
        load_image_set(path)
    damaged = dict(caught.value.damaged)
    assert str(pets / "cat" / "0000.png") + " (labels.csv line 2)" in damaged
    assert (
        damaged[f"{pets / 'pipe.png'} (labels.csv line 6)"]
        == "cannot be read: it is no file (a folder, pipe or device)"
    )
    assert len(damaged) == 3
    assert load_image_set(path, skip_damaged=True).splits["train"].labels.tolist() == [1, 0, 1]


@pytest.mark.long
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4), st.integers(0, 80))
def test_fuzzed_tables_give_images_or_a_sentence(pets, changes, cut):
    content = bytearray("\n".join(["path,label", *LINES]).encode())
    for position, value in changes:
        content[position % len(content)] = value
    (pets / "fuzzed.csv").write_bytes(content[: len(content) - cut])
    try:
        assert len(load_image_set(str(pets / "fuzzed.csv")).splits["train"]) <= 4
    except DataError as error:
        assert str(error)  # noqa: PT017


def test_images_that_are_not_listed_and_columns_that_are_not_read_are_said(tmp_path, write_folder):
    write_folder(tmp_path / "set", {"cat": 3, "dog": 2})
    (tmp_path / "set" / "cat" / "notes.txt").touch()
    rows = ["path,label,age", *(f"set/{name}/{number:04}.png,{name},7" for name in ("cat", "dog") for number in (0, 1))]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    assert load_image_set(tmp_path / "a.csv").notes == (
        "Labels: from column 'label' of a.csv, cat (2), dog (2); state it with `label_column='label'`.",
        "Not read: 1 file was beside those in the table, which does not list them, by ending .png (1).",
        "Not read: the columns age.",
    )


def test_paths_in_the_current_folder_are_listed(tmp_path, write_folder, monkeypatch):
    write_folder(tmp_path, {"set": 3})
    monkeypatch.chdir(tmp_path / "set")
    (tmp_path / "set" / "a.csv").write_text("path,label\n0000.png,a\n./0001.png,b\n")
    notes = load_image_set("a.csv").notes
    assert notes[1].startswith("Not read: 1 file was beside those in the table")
