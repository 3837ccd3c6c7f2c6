"""How people keep their images and labels: every way of the table in docs/data.md, with the counts that are right."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepladder.datasets import ImageSet, Labelled, load_image_set
from stepladder.errors import DataError

DOCS = Path(__file__).parents[3] / "docs" / "data.md"
PETS = {"cat": 4, "dog": 4}
BOTH = {"train": PETS, "test": {"cat": 2, "dog": 2}}


def counts(found: ImageSet) -> dict[str, dict[str, int]]:
    return {
        split: dict(zip(found.class_names, np.bincount(part.labels).tolist(), strict=True))
        for split, part in found.splits.items()
    }


class Kept:
    """A folder in which images and tables are kept in some way.

    Attributes:
        root: the folder, called ``pets``.
    """

    def __init__(self, root: Path, encode: Callable[..., bytes]) -> None:
        self.root, self._encode, self._made = root, encode, 0

    def images(
        self, form: str, each: int = 4, kinds: tuple[str, ...] = ("cat", "dog"), **more: str
    ) -> list[tuple[str, str]]:
        """Write images called by ``form``, which may use {kind}, {n} and {id}; return (name, kind) of each."""
        written = []
        for n in range(each):
            for kind in kinds:
                name = form.format(kind=kind, n=n, id=f"{self._made:06x}", **more)
                path = self.root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self._encode(seed=self._made))
                self._made += 1
                written.append((name, kind))
        return written

    def text(self, name: str, *lines: str, encoding: str = "utf-8") -> str:
        """Write a file of lines; return its path."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
        return str(path)

    def json(self, name: str, document: object) -> str:
        """Write a JSON document; return its path."""
        return self.text(name, json.dumps(document))

    def table(
        self, name: str, form: str, head: str | None, rows: list[tuple[str, str]], encoding: str = "utf-8"
    ) -> str:
        """Write a table with a row an image, by ``form``, which may use {file}, {stem}, {kind}, {n} and {other}."""
        lines = [
            form.format(file=file, stem=file.rpartition(".")[0], kind=kind, n=n, other=int(kind == "dog"))
            for n, (file, kind) in enumerate(rows)
        ]
        return self.text(name, *([] if head is None else [head]), *lines, encoding=encoding)


#: Makes a way to keep images, and gives what is asked for and the right counts; or the words of the error.
Way = Callable[[Kept], tuple[object, dict[str, dict[str, int]] | str]]
WAYS: dict[str, Way] = {}


def way(name: str) -> Callable[[Way], Way]:
    def add(make: Way) -> Way:
        assert name not in WAYS
        WAYS[name] = make
        return make

    return add


@way("`cat/*`, `dog/*`")
def _(kept):
    kept.images("{kind}/{n}.png")
    return str(kept.root), {"train": PETS}


@way("`train/cat/*`, `test/cat/*`")
def _(kept):
    kept.images("train/{kind}/{n}.png")
    kept.images("test/{kind}/{n}.png", 2)
    return str(kept.root), BOTH


@way("`Training/cat/*`, `VALID/cat/*`, `Testing/cat/*`")
def _(kept):
    for split, each in (("Training", 4), ("VALID", 3), ("Testing", 2)):
        kept.images("{split}/{kind}/{n}.png", each, split=split)
    return str(kept.root), {**BOTH, "validation": {"cat": 3, "dog": 3}}


@way("`cat/train/*`, `cat/test/*`")
def _(kept):
    kept.images("{kind}/train/{n}.png")
    kept.images("{kind}/Test/{n}.png", 2)
    return str(kept.root), BOTH


@way("`cat/train/*`, and `dog/*` without")
def _(kept):
    for kind in ("cat", "emu"):
        kept.images("{kind}/train/{n}.png", kinds=(kind,))
    kept.images("{kind}/{n}.png", kinds=("dog",))
    return str(kept.root), "dog has no train folder; add it, or take all images of a class as training images with"


@way("`dataset-master/dataset/cat/*`")
def _(kept):
    kept.images("dataset-master/dataset/{kind}/{n}.png")
    return str(kept.root), {"train": PETS}


@way("`train_set/cat/*`, `test_set/cat/*`; `seg_train/seg_train/sea/*`")
def _(kept):
    kept.images("seg_train/seg_train/{kind}/{n}.png")
    kept.images("seg_test/seg_test/{kind}/{n}.png", 2)
    kept.images("seg_pred/seg_pred/{kind}{n}.png", 3)
    return str(kept.root), BOTH


@way("`fold0/cat/*`, `fold1/cat/*`")
def _(kept):
    for fold in "012":
        kept.images("fold{fold}/{kind}/{n}.png", fold=fold)
    return str(kept.root), "3 folders (fold0, fold1, fold2) that hold folders of the same names (cat, dog)"


@way("`Cat/*`, `cat/*`")
def _(kept):
    kept.images("{kind}/{n}.png", kinds=("Cat", "dog"))
    kept.images("{kind}/{n}.png", 2, kinds=("cat",))
    return str(kept.root), "'Cat' (4) and 'cat' (2); if they are one class, add `fold_labels=True`"


@way("a repository: `Dataset/0/*`, `Examples/*`, README")
def _(kept):
    kept.images("Dataset/{kind}/{n}.png", 40)
    kept.images("Examples/{kind}.png", 1)
    kept.text("README.md", "# Images")
    return str(kept.root), "pets holds an image set among other things: Dataset has 80 of its 82 files"


@way("`Fruit/Apple/Golden/*`")
def _(kept):
    for folder in ("Fruit/Apple/Golden", "Fruit/Pear/Anjou", "Roots/Carrot/Red"):
        kept.images("{folder}/{n}.png", kinds=("",), folder=folder)
    return str(kept.root), {"train": {"Fruit": 8, "Roots": 4}}


@way("the same, its last level")
def _(kept):
    for folder in ("Fruit/Apple/Golden", "Fruit/Pear/Anjou", "Roots/Carrot/Red"):
        kept.images("{folder}/{n}.png", kinds=("",), folder=folder)
    return Labelled(str(kept.root), level="leaf"), {"train": {"Anjou": 4, "Golden": 4, "Red": 4}}


@way("the same, its second level")
def _(kept):
    for folder in ("Fruit/Apple/Golden", "Fruit/Apple/Fuji", "Roots/Carrot/Red"):
        kept.images("{folder}/{n}.png", kinds=("",), folder=folder)
    return Labelled(str(kept.root), level="2"), {"train": {"Apple": 8, "Carrot": 4}}


@way("`cat.0.jpg`")
def _(kept):
    kept.images("{kind}.{n}.png")
    return str(kept.root), {"train": PETS}


@way("`great_dane_12.jpg`")
def _(kept):
    kept.images("{kind}_{n}.png", kinds=("great_dane", "pug"))
    return str(kept.root), {"train": {"great_dane": 4, "pug": 4}}


@way("`Äste_1.jpg`, `猫_1.jpg`, `2cv_1.jpg`")
def _(kept):
    kept.images("{kind}_{n}.png", kinds=("Äste", "Öste", "猫", "2cv"))
    return str(kept.root), {"train": {"2cv": 4, "Äste": 4, "Öste": 4, "猫": 4}}


@way("`cat_07_3.jpg`, `dog_08_1.jpg`")
def _(kept):
    for thing in ("07", "08", "09"):
        kept.images("{kind}_{thing}_{n}.png", thing=thing)
    return str(kept.root), "they may be of 2 classes (cat, dog) or of 6 (cat_07, cat_08, cat_09 and 3 more)"


@way("`train/cat.0.jpg`, `test/dog.7.jpg`")
def _(kept):
    kept.images("train/{kind}.{n}.png")
    kept.images("test/{kind}.{n}.png", 2)
    return str(kept.root), BOTH


@way("`2024-05-01_cat_a.jpg`")
def _(kept):
    kept.images("2024-05-0{n}_{kind}_a.png")
    return Labelled(str(kept.root), label_pattern="_([a-z]+)_"), {"train": PETS}


@way("names that say nothing, in one folder")
def _(kept):
    kept.images("{id}.png")
    return str(kept.root), "holds 8 images (000000.png, 000001.png and 6 more), and no class folders; say what labels"


@way("`.csv`, `.txt`, `.xml`, `.py`, `.mp4` among the images")
def _(kept):
    kept.images("{kind}/{n}.png")
    for name in ("cat/notes.txt", "cat/x.xml", "code/train.py", "dog/list.csv", "dog/film.mp4"):
        kept.text(name, "nothing")
    return str(kept.root), {"train": PETS}


@way("a table beside class folders that agrees")
def _(kept):
    kept.table("labels.csv", "{file},{kind}", "path,label", kept.images("{kind}/{n}.png"))
    return str(kept.root), {"train": PETS}


@way("the same, that disagrees")
def _(kept):
    rows = kept.images("{kind}/{n}.png")
    kept.table("labels.csv", "{file},{kind}", "path,label", [(rows[0][0], "dog"), *rows[1:]])
    return str(
        kept.root
    ), "disagree on 1 of 8 rows: cat/0.png is 'dog' (line 2) and lies in cat; mend one, or say which"


@way("`train.csv`, `train_images/*`, `test_images/*` (Kaggle)")
def _(kept):
    rows = kept.images("train_images/{id}.png")
    kept.images("test_images/{id}.png")
    kept.table(
        "train.csv", "{stem},{kind}", "id_code,diagnosis", [(file.partition("/")[2], kind) for file, kind in rows]
    )
    return str(kept.root), {"train": PETS}


@way("a table elsewhere than the images")
def _(kept):
    table = kept.table("tables/a.csv", "{file},{kind}", "path,label", kept.images("photos/{id}.png"))
    return Labelled(str(kept.root), index=table), {"train": PETS}


@way("`annotations/labels.csv`, `images/*`")
def _(kept):
    rows = [(file.partition("/")[2], kind) for file, kind in kept.images("images/{id}.png")]
    return kept.table("annotations/labels.csv", "{file},{kind}", "path,label", rows), {"train": PETS}


@way("`path,label`, also with semicolons or tabs")
def _(kept):
    return kept.table("a.csv", " {file} ;{kind}", "Path;LABEL", kept.images("{id}.png")), {"train": PETS}


@way("`img_path,emotion`")
def _(kept):
    return kept.table("a.tsv", "{n}\t{file}\t{kind}", "\timg_path\temotion", kept.images("{id}.png")), {"train": PETS}


@way("`where,kind,site`")
def _(kept):
    rows = kept.images("{id}.png")
    sites = [f"{file},{kind},{'ab'[n // 4]}" for n, (file, kind) in enumerate(rows)]
    return kept.text(
        "a.csv", "where,kind,site", *sites
    ), "choose one with `label_column='kind'` or `label_column='site'`"


@way("`where,kind,site`, and which is said")
def _(kept):
    rows = kept.images("{id}.png")
    sites = [f"{file},{kind},{'ab'[n // 4]}" for n, (file, kind) in enumerate(rows)]
    table = kept.text("a.csv", "where,kind,site", *sites)
    return Labelled(table, path_column="where", label_column="kind"), {"train": PETS}


@way("`image,class_id,class_name`")
def _(kept):
    rows = kept.images("{id}.png")
    return kept.table("a.csv", "{file},{other},{kind}", "image,class_id,class_name", rows), {"train": PETS}


@way("`path,label,part`, with train and test in it")
def _(kept):
    rows = [(f"{file},{kind}", "train") for file, kind in kept.images("{id}.png")]
    rows += [(f"{file},{kind}", "test") for file, kind in kept.images("{id}.png", 2)]
    return kept.text("a.csv", "path,label,part", *[f"{row},{split}" for row, split in rows]), BOTH


@way("names without ending")
def _(kept):
    return kept.table("a.csv", "{stem},{kind}", "id,kind", kept.images("{id}.png")), {"train": PETS}


@way("no header")
def _(kept):
    return kept.table("a.csv", "{file},{kind}", None, kept.images("{id}.png")), {"train": PETS}


@way("backslashes")
def _(kept):
    rows = [(file.replace("/", "\\"), kind) for file, kind in kept.images("{kind}s/{n}.png")]
    return kept.table("a.csv", "{file},{kind}", "path,label", rows), {"train": PETS}


@way("`/kaggle/input/pets/cat/1.jpg`: paths of another computer")
def _(kept):
    rows = [(f"/kaggle/input/pets/{file}", kind) for file, kind in kept.images("{kind}/{n}.png")]
    return kept.table("a.csv", "{file},{kind}", "path,label", rows), {"train": PETS}


@way("UTF-16, cp1252")
def _(kept):
    rows = [*kept.images("{id}.png", kinds=("Käse",)), *kept.images("{id}.png", kinds=("Brot",))]
    kept.table("b.csv", "{file},{kind}", "path,label", rows, encoding="utf-16")
    assert counts(load_image_set(str(kept.root / "b.csv"))) == {"train": {"Brot": 4, "Käse": 4}}
    table = kept.table("a.csv", "{file},{kind}", "path,label", rows, encoding="cp1252")
    return table, {"train": {"Brot": 4, "Käse": 4}}


@way("`0.0`, `1.0`")
def _(kept):
    return kept.table("a.csv", "{file},{other}.0", "path,label", kept.images("{id}.png")), {"train": {"0": 4, "1": 4}}


@way("`happiness` and `HAPPINESS`")
def _(kept):
    table = kept.table("a.csv", "{file},{kind}", "path,label", kept.images("{id}.png", kinds=("cat", "CAT", "dog")))
    return table, "'cat' (4) and 'CAT' (4); if they are one class, add `fold_labels=True`, else rename one"


@way("the same, and they are one class")
def _(kept):
    table = kept.table("a.csv", "{file},{kind}", "path,label", kept.images("{id}.png", kinds=("cat", "CAT", "dog")))
    return Labelled(table, fold_labels=True), {"train": {"cat": 8, "dog": 4}}


@way("a column a class, 0 and 1")
def _(kept):
    rows = [f"{file},{int(kind == 'cat')},{int(kind == 'dog')}" for file, kind in kept.images("{id}.png")]
    return kept.text("a.csv", "image,cat,dog", *rows), {"train": PETS}


@way("a column a class, several in a row")
def _(kept):
    rows = [f"{file},1,{int(kind == 'dog')}" for file, kind in kept.images("{id}.png")]
    return kept.text(
        "a.csv", "image,cat,dog", *rows, "x.png,0,1"
    ), "4 rows have several; several labels an image are not"


@way("a row for each box in an image: `filename,width,height,class,xmin`")
def _(kept):
    boxes = [f"{file},8,8,{kind},{box}" for file, kind in kept.images("{id}.png") for box in range(3)]
    return kept.text("a.csv", "filename,width,height,class,xmin", *boxes), {"train": PETS}


@way("a column of patients, persons, objects")
def _(kept):
    rows = kept.images("{id}.png")
    table = kept.text(
        "a.csv", "path,label,patient", *[f"{file},{kind},p{n // 2}" for n, (file, kind) in enumerate(rows)]
    )
    return Labelled(table, group_column="patient"), {"train": PETS}


@way("`.txt` with `path label`")
def _(kept):
    return kept.table("a.txt", "{file} {kind}", None, kept.images("{id} x.png")), {"train": PETS}


@way("`.txt` with `path, fine, coarse`")
def _(kept):
    rows = kept.images("{id}.png", kinds=("cat", "dog", "oak"))
    kinds = [f"{file}, {kind}, {'plant' if kind == 'oak' else 'animal'}" for file, kind in rows]
    return Labelled(kept.text("a.txt", *kinds), label_column="column 3"), {"train": {"animal": 8, "plant": 4}}


@way("`train.txt`, `val.txt`, `test.txt`")
def _(kept):
    for split, each in (("val", 1), ("test", 2)):
        kept.table(f"{split}.txt", "{file} {kind}", None, kept.images("{id}.png", each))
    table = kept.table("train.txt", "{file} {kind}", None, kept.images("{id}.png"))
    return table, {**BOTH, "validation": {"cat": 1, "dog": 1}}


@way("`metadata.csv` beside the images (Hugging Face)")
def _(kept):
    kept.table("metadata.csv", "{file},{kind}", "file_name,text", kept.images("{id}.png"))
    return str(kept.root), {"train": PETS}


@way("`train/metadata.jsonl`, `test/metadata.jsonl`")
def _(kept):
    for split, each in (("train", 4), ("test", 2)):
        rows = [(file.partition("/")[2], kind) for file, kind in kept.images("{split}/{id}.png", each, split=split)]
        kept.text(f"{split}/metadata.jsonl", *[json.dumps({"file_name": a, "label": b}) for a, b in rows])
    return str(kept.root), BOTH


@way("`train/_classes.csv`, `valid/_classes.csv` (Roboflow)")
def _(kept):
    for split, each in (("train", 4), ("valid", 2)):
        rows = [(file.partition("/")[2], kind) for file, kind in kept.images("{split}/{id}.png", each, split=split)]
        ones = [f"{file}, {int(kind == 'cat')}, {int(kind == 'dog')}" for file, kind in rows]
        kept.text(f"{split}/_classes.csv", "filename, cat, dog", *ones)
    return str(kept.root), {"train": PETS, "validation": {"cat": 2, "dog": 2}}


@way("JSON lines")
def _(kept):
    rows = [json.dumps({"img": file, "what": kind, "size": [8, 8]}) for file, kind in kept.images("{id}.png")]
    return kept.text("a.ndjson", *rows), {"train": PETS}


@way("JSON, a list of records")
def _(kept):
    rows = [{"file": file, "label": kind} for file, kind in kept.images("{id}.png")]
    kept.json("b.json", {"version": 1, "items": rows})
    assert counts(load_image_set(str(kept.root / "b.json"))) == {"train": PETS}
    return kept.json("a.json", rows), {"train": PETS}


@way('JSON, `{"1.jpg": "cat"}`')
def _(kept):
    return kept.json("a.json", dict(kept.images("{id}.png"))), {"train": PETS}


@way('JSON, `{"cat": ["1.jpg", "2.jpg"]}`')
def _(kept):
    rows = kept.images("{id}.png")
    return kept.json("a.json", {one: [file for file, kind in rows if kind == one] for one in PETS}), {"train": PETS}


@way("JSON of pandas")
def _(kept):
    rows = kept.images("{id}.png")
    frame = pd.DataFrame({"path": [file for file, _ in rows], "kind": [kind for _, kind in rows]})
    for orient in ("split", "records"):
        kept.text(f"{orient}.json", frame.to_json(orient=orient))
        assert counts(load_image_set(str(kept.root / f"{orient}.json"))) == {"train": PETS}
    kept.json("list.json", frame.to_dict(orient="list"))
    assert counts(load_image_set(str(kept.root / "list.json"))) == {"train": PETS}
    return kept.text("a.json", frame.to_json()), {"train": PETS}


def coco(rows: list[tuple[str, str]], boxes: int = 2) -> dict[str, list[dict[str, object]]]:
    """COCO's annotations, with several boxes an image."""
    return {
        "images": [{"id": 100 + n, "file_name": file, "width": 8} for n, (file, _) in enumerate(rows)],
        "annotations": [
            {"id": n, "image_id": 100 + n % len(rows), "category_id": 7 + (rows[n % len(rows)][1] == "dog")}
            for n in range(boxes * len(rows))
        ],
        "categories": [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}],
    }


@way("COCO: `annotations/instances_train2017.json`, `train2017/*`")
def _(kept):
    for split, each in (("val", 2), ("train", 4)):
        rows = [(file.partition("/")[2], kind) for file, kind in kept.images("{split}2017/{id}.png", each, split=split)]
        table = kept.json(f"annotations/instances_{split}2017.json", coco(rows))
    return table, {"train": PETS, "validation": {"cat": 2, "dog": 2}}


@way("COCO, several categories in an image")
def _(kept):
    rows = kept.images("{id}.png")
    document = coco(rows)
    document["annotations"].append({"image_id": 100, "category_id": 8})
    words = "gives 1 of 8 images annotations of several categories, as 000000.png (cat, dog); several labels an image"
    return kept.json("a.json", document), words


@way("parquet of paths")
def _(kept):
    rows = kept.images("{id}.png")
    path = kept.root / "a.parquet"
    pq.write_table(pa.table({"file": [file for file, _ in rows], "kind": [kind for _, kind in rows]}), path)
    return str(path), {"train": PETS}


@way("parquet of images")
def _(kept):
    rows = kept.images("{id}.png")
    content = [(kept.root / file).read_bytes() for file, _ in rows]
    path = kept.root / "a.parquet"
    pq.write_table(
        pa.table({"image": content, "label": [kind for _, kind in rows], "path": [a for a, _ in rows]}), path
    )
    return str(path), {"train": PETS}


@way("a zip of class folders")
def _(kept):
    kept.images("{kind}/{n}.png")
    kept.text("__MACOSX/cat/._0.png", "x")
    return shutil.make_archive(str(kept.root.parent / "packed"), "zip", kept.root), {"train": PETS}


@way("a zip of a folder with a table and images")
def _(kept):
    kept.table(
        "labels.csv", "{stem},{kind}", "id,kind", [(a.partition("/")[2], b) for a, b in kept.images("images/{id}.png")]
    )
    return shutil.make_archive(str(kept.root.parent / "packed"), "zip", kept.root.parent, "pets"), {"train": PETS}


@way("`.tar`, `.tar.gz` or `.tgz` of class folders")
def _(kept):
    kept.images("pets/{kind}/{n}.png")
    packed = shutil.make_archive(str(kept.root.parent / "b"), "tar", kept.root)
    assert counts(load_image_set(packed)) == {"train": PETS}
    return shutil.make_archive(str(kept.root.parent / "a"), "gztar", kept.root), {"train": PETS}


@way("a data frame")
def _(kept):
    rows = kept.images("{id}.png")
    frame = pd.DataFrame({"where": [file for file, _ in rows], "kind": pd.Categorical([kind for _, kind in rows])})
    assert counts(load_image_set(Labelled({"train": frame, "val": frame[:4]}, images=kept.root)))["validation"]
    return Labelled(frame, images=kept.root), {"train": PETS}


@pytest.mark.long
@pytest.mark.parametrize("name", WAYS)
def test_each_way_gives_the_right_counts(name, tmp_path, encode):
    kept = Kept(tmp_path / "pets", encode)
    data, expected = WAYS[name](kept)
    if isinstance(expected, str):
        with pytest.raises(DataError) as caught:
            load_image_set(data)
        assert expected in str(caught.value)
    else:
        assert counts(load_image_set(data)) == expected


def outcome(data: object) -> tuple[object, ...]:
    """All that a source says of images, or its error."""
    try:
        found = load_image_set(data)
    except DataError as error:
        return ("error", str(error))
    groups = [None if split.groups is None else split.groups.tolist() for split in found.splits.values()]
    return (found.name, found.fingerprint, found.class_names, counts(found), groups, found.labels_from, found.notes)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("name", WAYS)
def test_each_way_of_a_folder_is_the_same_in_an_archive(name, kind, tmp_path, encode):
    kept = Kept(tmp_path / "pets", encode)
    data, _ = WAYS[name](kept)
    given = data.data if isinstance(data, Labelled) else data
    root = str(kept.root)
    if not isinstance(given, str) or given != root:  # no folder, as a table that is named
        return
    packed = shutil.make_archive(root, kind, root)
    in_archive = outcome(replace(data, data=packed) if isinstance(data, Labelled) else packed)
    in_folder = outcome(data)
    assert re.sub(rf"{re.escape(root)}[.]{kind}|pets[.]{kind}", "PETS", repr(in_archive)) == re.sub(
        rf"{re.escape(root)}\b|\bpets\b", "PETS", repr(in_folder)
    ).replace("('PETS', ", "('pets', ", 1)


def test_the_docs_list_each_way_and_no_other():
    section = DOCS.read_text(encoding="utf-8").split("## How is your data kept?")[1].split("\n## ")[0]
    listed = [
        row.split(" | ")[0].removeprefix("| ").strip() for row in re.findall(r"^\| .*$", section, re.MULTILINE)[2:]
    ]
    assert listed == list(WAYS)
    assert len(listed) >= 30
