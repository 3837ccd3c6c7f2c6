"""Tables as people keep them: one command each, and the right counts or one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Labelled, load_image_set
from stepladder.errors import DataError

FILES = [f"{name}/000{number}" for number in range(4) for name in ("cat", "dog")]
KINDS = [file[:3] for file in FILES]


@pytest.fixture
def pets(tmp_path, write_folder) -> Path:
    return write_folder(tmp_path / "pets", {"cat": 4, "dog": 4})


def lines(*rows: str, head: str | None = None) -> str:
    return "\n".join([*([] if head is None else [head]), *rows]) + "\n"


def each(form: str) -> list[str]:
    return [form.format(file=file, kind=kind, n=n) for n, (file, kind) in enumerate(zip(FILES, KINDS, strict=True))]


def counts(found: ImageSet) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip(found.class_names, np.bincount(part.labels).tolist(), strict=True))
        for split, part in found.splits.items()
    }


#: How the table is called, what is in it, and what it takes to be read beside its path.
KEPT: dict[str, tuple[str, str, dict[str, str]]] = {
    "other names": ("a.csv", lines(*each("{file}.png,{kind}"), head="filepath,target"), {}),
    "names of neither": ("a.csv", lines(*each("{n},{file}.png,{kind}"), head="nr,where,diagnosis"), {}),
    "an index without a name": ("a.csv", lines(*each("{n},{file}.png,{kind}"), head=",img_path,emotion"), {}),
    "names without ending": ("a.csv", lines(*each("{file},{kind}"), head="id_code,cell_type"), {}),
    "no header": ("a.csv", lines(*each("{file}.png,{kind}")), {}),
    "no header, tabs": ("a.tsv", lines(*each("{file}.png\t{kind}")), {}),
    "backslashes": ("a.csv", lines(*each("{file}.png,{kind}"), head="path,label").replace("/", "\\"), {}),
    "JSON lines": (
        "a.jsonl",
        lines(*[json.dumps({"file_name": f"{a}.png", "label": b}) for a, b in zip(FILES, KINDS, strict=True)]),
        {},
    ),
    "JSON lines of other keys": (
        "a.ndjson",
        lines(
            *[json.dumps({"where": f"{a}.png", "what": b, "size": [8, 8]}) for a, b in zip(FILES, KINDS, strict=True)]
        ),
        {},
    ),
    "a list with spaces": ("a.txt", lines(*each("{file}.png {kind}")), {}),
    "a list with commas": ("a.txt", lines(*each("{file}.png, {kind}")), {}),
    "a column a class": (
        "a.csv",
        lines(
            *[f"{a}.png,{float(b == 'cat')},{float(b == 'dog')}" for a, b in zip(FILES, KINDS, strict=True)],
            head="image,cat,dog",
        ),
        {},
    ),
    "columns that are named": (
        "a.csv",
        lines(*each("{file}.png,{kind},x{n},{kind}2"), head="where,kind,id,coarse"),
        {"path_column": "where", "label_column": "Kind"},
    ),
    "spaces around cells": ("a.csv", lines(*each(" {file}.png , {kind} "), head=" path , label "), {}),
}


@pytest.mark.parametrize("kept", KEPT)
def test_ways_to_keep_a_table(pets, kept):
    name, text, how = KEPT[kept]
    (pets / name).write_text(text)
    assert counts(load_image_set(Labelled(str(pets / name), **how))) == {"train": {"cat": 4, "dog": 4}}


def test_what_was_found_by_its_cells_is_said(pets):
    (pets / "a.csv").write_text(KEPT["names of neither"][1])
    assert load_image_set(str(pets / "a.csv")).notes[:1] == (
        "Labels: from column 'diagnosis' of a.csv, cat (4), dog (4); state it with `path_column='where'` and "
        "`label_column='diagnosis'`.",
    )
    stated = load_image_set(Labelled(str(pets / "a.csv"), path_column="where", label_column="diagnosis"))
    assert stated.notes == ("Not read: the columns nr.",)
    half = load_image_set(Labelled(str(pets / "a.csv"), label_column="diagnosis"))
    assert half.notes[0] == "Paths: from column 'where' of a.csv; state it with `path_column='where'`."


@pytest.mark.parametrize("named", [True, False])
def test_images_in_another_folder(pets, tmp_path, named):
    # Beside the table, as Kaggle has it; or anywhere, if that is said.
    table = (tmp_path / "elsewhere" if named else pets.parent) / "train.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text(lines(*each("{file},{kind}"), head="id_code,kind"))
    found = load_image_set(Labelled(str(table), images=str(pets) if named else None))
    assert counts(found) == {"train": {"cat": 4, "dog": 4}}


def test_numbers_with_fractions_are_whole_and_a_split_may_have_another_name(pets):
    rows = [
        f"{file}.png,{float(kind == 'dog')},{'train' if n < 6 else 'test'}"
        for n, (file, kind) in enumerate(zip(FILES, KINDS, strict=True))
    ]
    (pets / "a.csv").write_text(lines(*rows, head="path,label,part"))
    found = load_image_set(Labelled(str(pets / "a.csv"), split_column="part"))
    assert counts(found) == {"train": {"0": 3, "1": 3}, "test": {"0": 1, "1": 1}}


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("write", ["csv", "jsonl"])
def test_image_folders_of_hugging_face(tmp_path, write_folder, split, write):
    root = tmp_path / "set"
    for part in ("train", "test") if split else ("",):
        folder = write_folder(root / part, {"images": 6})
        rows = [(f"images/000{n}.png", "ab"[n % 2]) for n in range(6)]
        if write == "csv":
            (folder / "metadata.csv").write_text(lines(*map(",".join, rows), head="file_name,text"))
        else:
            objects = [{"file_name": file, "text": label} for file, label in rows]
            (folder / "metadata.jsonl").write_text(lines(*map(json.dumps, objects)))
    expected = {part: {"a": 3, "b": 3} for part in (("train", "test") if split else ("train",))}
    assert counts(load_image_set(str(root))) == expected


def test_a_table_of_training_images_brings_those_of_the_other_splits_beside_it(pets):
    for part, rows in (("train", slice(0, 4)), ("val", slice(4, 6)), ("test", slice(6, 8))):
        (pets / f"set_{part}.txt").write_text(lines(*each("{file}.png, {n}, {kind}")[rows]))
    (pets / "other_test.txt").write_text("x.png, 1, cat\n")
    found = load_image_set(Labelled(str(pets / "set_train.txt"), label_column="column 3"))
    assert {split: sum(of.values()) for split, of in counts(found).items()} == {"train": 4, "validation": 2, "test": 2}
    assert found.class_names == ("cat", "dog")
    assert "Read with set_train.txt: set_test.txt, set_val.txt, as its other splits." in found.notes
    (pets / "set_val.txt").write_text(lines(*each("{file}.png, {n}, {kind}")[4:5]))
    found = load_image_set(Labelled(str(pets / "set_train.txt"), label_column="column 3"))
    assert set(found.splits) == {"train", "test"}
    assert any("The validation split (1 image) was left out, as it lacks 1 class of" in note for note in found.notes)
    (pets / "set_val.txt").write_text(lines(*each("{file}.png, {n}, {kind}")[4:6]))
    (pets / "set_test.txt").write_text("x.png\tcat\n")  # of another form: somebody else's
    found = load_image_set(Labelled(str(pets / "set_train.txt"), label_column="column 3"))
    assert set(found.splits) == {"train", "validation"}


def test_notes_of_that_name_beside_class_folders_are_no_table(pets):
    (pets / "metadata.csv").write_text("author,year\nme,2026\n")
    assert counts(load_image_set(str(pets))) == {"train": {"cat": 4, "dog": 4}}


def test_labels_that_differ_by_case_or_spaces_are_asked_about(pets):
    kinds = ["happiness", "sad  ness", "HAPPINESS", "sad ness", "happiness", "sad ness", "happiness", "sad ness"]
    (pets / "a.csv").write_text(
        lines(*[f"{file}.png,{kind}" for file, kind in zip(FILES, kinds, strict=True)], head="path,label")
    )
    with pytest.raises(DataError) as caught:
        load_image_set(str(pets / "a.csv"))
    assert str(caught.value).endswith(
        "differ by case or spaces alone: 'happiness' (3) and 'HAPPINESS' (1), 'sad ness' (3) and 'sad  ness' (1); if "
        "they are one class, add `fold_labels=True`, else rename one"
    )
    folded = load_image_set(Labelled(str(pets / "a.csv"), fold_labels=True))
    assert counts(folded) == {"train": {"happiness": 4, "sad ness": 4}}


WRONG: dict[str, tuple[str, str, dict[str, str], str]] = {
    "several could be labels": (
        "a.csv",
        lines(
            *[f"{file}.png,{kind},{'xy'[n % 4 > 1]}" for n, (file, kind) in enumerate(zip(FILES, KINDS, strict=True))],
            head="path,kind,site",
        ),
        {},
        "several could be labels, by how many different values they have: kind (2), site (2); choose one with "
        "`label_column='kind'` or `label_column='site'`",
    ),
    "several labels an image": (
        "a.csv",
        lines(*[f"{file}.png,1,{n % 2}" for n, file in enumerate(FILES[:4])], f"{FILES[4]}.png,0,1", head="image,a,b"),
        {},
        "has a column for each class, and 2 rows have several; several labels an image are not supported",
    ),
    "no such column": ("a.csv", KEPT["other names"][1], {"label_column": "kind"}, "`label_column` is kind, and "),
    "no such folder": (
        "a.csv",
        KEPT["other names"][1],
        {"images": "gone"},
        "`images` is gone, and there is no such fo",
    ),
    "no JSON": ("a.jsonl", "{\n", {}, "line 1 is no JSON ("),
    "no object": ("a.jsonl", "[1]\n", {}, "line 1 is no JSON object"),
    "one cell": ("a.txt", "cat/0000.png\n", {}, "no column with the label: call it label or class"),
    "uneven cells": ("a.txt", "cat/0000.png,a\ndog/0000.png,b,c\n", {}, "line 2 has 3 cells, and the first line 2"),
    "nothing": ("a.jsonl", "", {}, "no column with the path"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_does_not_fit_is_one_sentence(pets, wrong):
    name, text, how, words = WRONG[wrong]
    (pets / name).write_text(text)
    with pytest.raises(DataError) as caught:
        load_image_set(Labelled(str(pets / name), **how))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "option", "what"),
    [
        (lambda pets: str(pets), "label_column", "tables of paths, and .*pets is none"),
        (lambda _: "digits", "fold_labels", "tables of paths and folders of images, and digits is none"),
        (
            lambda _: (np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]),
            "fold_labels",
            "tables of paths and folders of images, and what a program holds is none",
        ),
    ],
    ids=["folder", "name", "arrays"],
)
def test_what_only_tables_use_is_refused_elsewhere(pets, make: Callable[[Path], object], option, what):
    with pytest.raises(DataError, match=rf"`{option}` is for {what}; leave it out"):
        load_image_set(Labelled(make(pets), **{option: "kind" if option == "label_column" else True}))


MORE: dict[str, tuple[str, str]] = {
    "a line for Excel": ("a.csv", "sep=;\n" + lines(*each("{file}.png;{kind}"), head="path;label")),
    "bars": ("a.csv", lines(*each("{file}.png|{kind}"), head="path|label")),
    "a list with comments": ("a.txt", "# images of pets\n" + lines(*each("{file}.png {kind}"))),
    "a list with a header": ("a.txt", lines(*each("{file}.png {kind}"), head="path label")),
    "a list of MXNet": ("a.lst", lines(*each("{n}\t{file}.png\t{kind}"))),
    "objects a line, under the ending of JSON": (
        "a.json",
        lines(*[json.dumps({"path": f"{a}.png", "label": b}) for a, b in zip(FILES, KINDS, strict=True)]),
    ),
    "the label first": ("a.txt", lines(*each("{kind} {file}.png"))),
    "paths of another computer": ("a.csv", lines(*each("/kaggle/input/pets/{file}.png,{kind}"), head="path,label")),
    "paths of another system": ("a.csv", lines(*each("C:\\me\\pets\\{file}.png,{kind}"), head="path,label")),
}


@pytest.mark.parametrize("kept", MORE)
def test_more_ways_to_keep_a_table(pets, kept):
    name, text = MORE[kept]
    (pets / name).write_text(text.replace("cat/", "cat\\").replace("dog/", "dog\\") if "system" in kept else text)
    assert counts(load_image_set(str(pets / name))) == {"train": {"cat": 4, "dog": 4}}


def test_lists_of_several_columns_without_endings(pets):
    # As of the Oxford-IIIT pets: name, class, species, breed.
    (pets / "list.txt").write_text(lines(*each("{file} {n} {kind} 1"), head="#Image ID SPECIES BREED"))
    found = load_image_set(Labelled(str(pets / "list.txt"), label_column="column 3"))
    assert counts(found) == {"train": {"cat": 4, "dog": 4}}
    (pets / "cat" / "my own.png").write_bytes((pets / "cat" / "0000.png").read_bytes())
    (pets / "b.txt").write_text("cat/my own.png a\ndog/0000.png b\ncat/0001.png a\ndog/0001.png b\n")
    assert counts(load_image_set(str(pets / "b.txt"))) == {"train": {"a": 2, "b": 2}}


def test_a_start_of_paths_that_is_left_out_is_said_and_never_by_chance(pets):
    (pets / "a.csv").write_text(MORE["paths of another computer"][1])
    assert "Paths were read without '/kaggle/input/pets/', with which they start and which is not here." in (
        load_image_set(str(pets / "a.csv")).notes
    )
    (pets / "a.csv").write_text(MORE["paths of another computer"][1] + "/kaggle/input/pets/dog/gone.png,dog\n")
    with pytest.raises(DataError, match=r"lists 1 file that cannot be found: .*pets/dog/gone\.png \(line 10\)"):
        load_image_set(str(pets / "a.csv"))
    gone = [f"/kaggle/input/pets/dog/gone{n}.png,dog" for n in range(8)]
    (pets / "a.csv").write_text(MORE["paths of another computer"][1] + lines(*gone))
    with pytest.raises(DataError, match=r"lists 16 files that cannot be found: /kaggle/input/pets/cat/0000\.png"):
        load_image_set(str(pets / "a.csv"))


def test_lines_are_counted_behind_a_line_for_excel(pets):
    (pets / "a.csv").write_text("sep=;\npath;label\ncat/0000.png;a\ndog/0000.png;\n")
    with pytest.raises(DataError, match="line 4 has a blank label"):
        load_image_set(str(pets / "a.csv"))


def test_a_row_for_each_box_counts_each_image_once(pets):
    boxes = [f"{row},{box},{box}" for row in each("{file}.png,8,8,{kind}") for box in (1, 2)]
    (pets / "a.csv").write_text(lines(*boxes, head="filename,width,height,class,xmin,ymin"))
    found = load_image_set(str(pets / "a.csv"))
    assert counts(found) == {"train": {"cat": 4, "dog": 4}}
    assert "8 rows list a file again, with the same label; each file counts once." in found.notes
    # In two splits it is a leak, which is for the leak check to say.
    (pets / "a.csv").write_text(
        lines(*each("{file}.png,{kind},train"), *each("{file}.png,{kind},test"), head="path,label,split")
    )
    assert set(counts(load_image_set(str(pets / "a.csv")))) == {"train", "test"}
