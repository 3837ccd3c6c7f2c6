"""findings.json: written without names, read again, refused in one sentence where it is damaged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import DamagedError, StorageError, StudyError
from stepladder.studies.pool.files import NetworkRecord, read_pool, write_pool
from tests.studies.pool.records import SCALE, make_effect, make_study

SECRET = make_study(
    "Dr Miller's clinic",
    make_effect("with the new scanner", network=NetworkRecord(label="clinic_net", fingerprint="layers")),
    study="1a",
    fingerprint="2b",
)


def test_names_are_removed_and_sets_are_numbered(tmp_path: Path) -> None:
    write_pool(tmp_path, [SECRET, make_study("second", study="3c", fingerprint="4d")], keep_names=False)
    found = write_pool(tmp_path, [make_study("second", study="5e", fingerprint="4d")], keep_names=False)
    assert [one.name for one in found.studies] == ["set 1", "set 2", "set 2"]
    text = (tmp_path / "findings.json").read_text(encoding="utf-8")
    for name in ("Miller", "scanner", "second", "clinic"):
        assert name not in text
    effect = found.studies[0].effects[0]
    assert (effect.name, effect.network.label) == ("horizontal_flip", "own network")
    assert found.studies[1].effects[0].network.label == "report"
    assert read_pool(tmp_path) == read_pool(tmp_path / "findings.json") == found


def test_names_can_be_kept(tmp_path: Path) -> None:
    found = write_pool(tmp_path, [SECRET], keep_names=True)
    assert found.studies == (SECRET,)


def test_the_newer_record_of_a_study_takes_the_place_of_the_older(tmp_path: Path) -> None:
    write_pool(tmp_path, [make_study("one"), make_study("two")], keep_names=True)
    more = make_study("one", make_effect(values=(0.1,) * 6 + (0.2,)))
    assert write_pool(tmp_path, [more], keep_names=True).studies == (more, make_study("two"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(StudyError, match=r"`save` is .*, which holds a study; choose another folder"):
        write_pool(tmp_path, [SECRET], keep_names=False)
    with pytest.raises(StudyError, match=r"`save` is .*, which is a file"):
        write_pool(tmp_path / "study.json", [SECRET], keep_names=False)


def damaged(tmp_path: Path, **changes: Any) -> Path:
    write_pool(tmp_path, [make_study("one", make_effect(around=(SCALE,)))], keep_names=True)
    path = tmp_path / "findings.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    document["studies"][0] |= changes
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"classes": "many"}, r"studies\.0\.classes"),
        ({"images": {"test": 3}}, r"images\.train must be above 0"),
        ({"strange": 1}, r"studies\.0\.strange"),
        ({"image_shape": [0, 8, 1]}, "must be above 0"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    path = damaged(tmp_path, **changes)
    with pytest.raises(DamagedError, match=rf"{path} is damaged \(.*{words}.*restore it from a copy"):
        read_pool(path)


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "findings.json").write_text('{"pool_version": 2, "studies": []}')
    with pytest.raises(StorageError, match="has version 2, and this Stepladder reads version 1"):
        read_pool(tmp_path)
    (tmp_path / "findings.json").write_text("[]")
    with pytest.raises(DamagedError, match="is damaged"):
        read_pool(tmp_path)
