"""One finder for training and prediction: what is no photograph, our own results, links, and what is said of them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from stepladder.datasets.walk import (
    Search,
    count_endings,
    is_image_name,
    is_left_behind,
    is_of_system,
    is_result_folder,
    not_read,
)


def put(root: Path, *names: str, content: bytes = b"") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def found(search: Search, root: Path) -> list[str]:
    return [os.path.relpath(entry.path, root) for entry in search.files_below(str(root))]


@pytest.mark.parametrize(
    "name",
    [
        ".DS_Store",
        "._0001.jpg",
        ".ipynb_checkpoints",
        "#recycle",
        "$RECYCLE.BIN",
        "@eaDir",
        "@EADIR",
        "__MACOSX",
        "__pycache__",
        "cat.jpg@SynoEAStream",
        "cat.jpg:Zone.Identifier",
        "desktop.ini",
        "Desktop.INI",
        "Icon\r",
        "lost+found",
        "System Volume Information",
        "Thumbs.db",
        "THUMBS.DB",
        "ehthumbs.db",
        "RECYCLER",
        "FOUND.000",
        "Thumbs.db:encryptable",
    ],
)
def test_what_systems_and_tools_leave_behind_is_no_image(name):
    assert is_left_behind(name)
    assert is_of_system(name) or name.startswith(".")


@pytest.mark.parametrize(
    "name",
    ["cat", "recycled", "thumbs", "thumb.png", "test", "@home", "desktop", "trash", "lost", "found.art", "found"],
)
def test_what_a_class_may_be_called_is_not_passed_over(name):
    assert not is_left_behind(name)


def test_what_was_passed_over_is_counted_once_however_often_it_is_met(tmp_path):
    put(tmp_path, "cat/1.jpg", "cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg", "cat/thumbs.DB", "cat/old/Thumbs.db")
    put(tmp_path, "cat/._1.jpg", "cat/._2.jpg", "cat/.nomedia", "cat/.DS_Store")
    search = Search()
    for _ in range(2):
        assert found(search, tmp_path) == ["cat/1.jpg"]
    (note,) = search.notes()
    assert note.startswith("Passed over, as none of the images: ._* (2)")
    for part in ("@eaDir (1)", "thumbs.DB (1)", "Thumbs.db (1)", "hidden (1)", ".DS_Store (1)"):
        assert part in note


def test_nothing_passed_over_says_nothing(tmp_path):
    put(tmp_path, "cat/1.jpg")
    search = Search()
    assert found(search, tmp_path) == ["cat/1.jpg"]
    assert search.notes() == ()


PLAN = json.dumps({"schema_version": 4, "plan": "ladder", "plan_hash": "0"}).encode()


@pytest.mark.parametrize(
    "names",
    [
        {"study.json": PLAN},
        {"study.json": b"{", "trials/1/model/model.safetensors": b""},
        {"config.json": b"{}", "model.safetensors": b"", "README.md": b""},
        {"result.json": b"{}", "history.csv": b""},
        {"checkpoint/00000700/state.json": b"{}", ".lock": b""},
        {"bag-of-words.json": PLAN},
        {"lr-range.json": b"{}", "lr-range.md": b"", "figures/lr-range.png": b""},
    ],
    ids=["study", "damaged study", "model", "training", "training under way", "bag of words", "range test"],
)
def test_our_own_results_are_passed_over_and_said(tmp_path, names):
    put(tmp_path, "cat/1.jpg")
    for name, content in names.items():
        put(tmp_path, f"cat/of ours/{name}", content=content)
    put(tmp_path, "cat/of ours/figures/ladder.png")
    if "checkpoint/00000700/state.json" in names:
        (tmp_path / "cat/of ours/figures/ladder.png").unlink()
        (tmp_path / "cat/of ours/figures").rmdir()
    search = Search()
    assert found(search, tmp_path) == ["cat/1.jpg"]
    assert is_result_folder(tmp_path / "cat/of ours")
    assert search.notes() == (
        f"Passed over, as none of the images: results of Stepladder in {tmp_path / 'cat' / 'of ours'}.",
    )


@pytest.mark.parametrize(
    "name", ["study.json", "config.json", "result.json", "checkpoint/1.jpg", "bag-of-words.json", "trials/1.jpg"]
)
def test_other_files_of_such_names_are_nobody_s_results(tmp_path, name):
    put(tmp_path, f"cat/{name}", content=b"{}")
    put(tmp_path, "cat/beside.jpg", content=b"{}")
    search = Search()
    # A document that is nobody's result is passed over by itself, and what is beside it is read.
    assert found(search, tmp_path) == ["cat/beside.jpg", *([f"cat/{name}"] if name.endswith(".jpg") else [])]
    assert not search.holds_results(tmp_path)
    assert not is_result_folder(tmp_path / "cat")


def test_the_folder_where_results_go_is_none_of_images_and_a_class_of_that_name_is_one(tmp_path):
    put(tmp_path, "studies/a/study.json", content=PLAN)
    put(tmp_path, "studies/notes.txt")
    assert is_result_folder(tmp_path / "studies")
    put(tmp_path, "trials/1.jpg", "trials/a/result.json", "trials/a/history.csv")
    assert found(Search(), tmp_path) == ["trials/1.jpg"]
    (tmp_path / "baselines" / "begun").mkdir(parents=True)
    assert is_result_folder(tmp_path / "baselines")


def test_links_are_followed_and_lead_nowhere_twice(tmp_path):
    put(tmp_path, "elsewhere/cats/1.jpg", "root/dog/2.jpg")
    root = tmp_path / "root"
    (root / "cat").symlink_to(tmp_path / "elsewhere" / "cats")
    (root / "dog" / "loop").symlink_to(root)
    (tmp_path / "elsewhere" / "cats" / "loop").symlink_to(root / "cat")
    assert found(Search(), root) == ["cat/1.jpg", "dog/2.jpg"]
    assert [Path(file.path).name for file in Search().files_below(str(root / "dog"), (str(root),))] == ["2.jpg"]


def test_a_folder_is_walked_once_for_each_on_whose_behalf_it_is(tmp_path):
    put(tmp_path, "shared/1.jpg")
    for name in ("cat", "dog"):
        (tmp_path / "root" / name).mkdir(parents=True)
        (tmp_path / "root" / name / "more").symlink_to(tmp_path / "shared")
    root = str(tmp_path / "root")
    assert len(list(Search().files_below(root))) == 1
    assert len(list(Search().files_below(root, key=lambda path: Path(path).parent.name))) == 2


def test_endings_are_counted_and_named():
    names = ["a.CSV", "b.csv", "c.md", "LICENSE", "d.tar.gz"]
    assert count_endings(names) == ".csv (2), .md (1), no ending (1), .gz (1)"
    assert not_read(names[:1], "beside") == ("Not read: 1 file was beside, by ending .csv (1).",)
    assert not_read([], "beside") == ()
    assert all(map(is_image_name, ("a.JPG", "b.ppm", "c.tiff")))
    assert not any(map(is_image_name, ("jpg", "a.txt", "a.jpg.txt")))
