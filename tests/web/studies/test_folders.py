"""Studies are found below a folder, and nothing outside of it is read, whatever lies in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.web.studies import folders
from stepladder.web.studies.folders import check_folder, find_studies, open_inside, signature


def _study(folder: Path, name: str = "study.json") -> Path:
    folder.mkdir(parents=True)
    (folder / name).write_text("{}", encoding="utf-8")
    return folder


def test_studies_are_found_at_any_depth_and_what_lies_within_one_is_part_of_it(tmp_path: Path) -> None:
    _study(tmp_path / "one")
    _study(tmp_path / "a" / "b" / "two")
    _study(tmp_path / "one" / "trials" / "inner")
    _study(tmp_path / "one" / "bag-of-words", "bag-of-words.json")
    _study(tmp_path / "words", "bag-of-words.json")
    _study(tmp_path / ".hidden")
    found = find_studies(check_folder(tmp_path)).found
    assert [(one.place, one.kind) for one in found] == [("a/b/two", "study"), ("one", "study"), ("words", "bag")]
    assert len({one.key for one in found}) == 3
    assert found == find_studies(check_folder(tmp_path)).found


def test_a_study_itself_may_be_viewed(tmp_path: Path) -> None:
    folder = _study(tmp_path / "one")
    assert [one.place for one in find_studies(check_folder(folder)).found] == ["."]


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = _study(tmp_path / "outside")
    (tmp_path / "seen").mkdir()
    (tmp_path / "seen" / "link").symlink_to(outside)
    (tmp_path / "seen" / "loop").symlink_to(tmp_path / "seen")
    assert find_studies(check_folder(tmp_path / "seen")).found == ()


def test_a_look_ends_where_there_are_too_many_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        (tmp_path / f"{number}").mkdir()
    assert not find_studies(tmp_path).cut
    monkeypatch.setattr(folders, "MOST_FOLDERS", 10)
    assert find_studies(tmp_path).cut
    deep = tmp_path.joinpath(*"abcdefghijkl")
    _study(deep)
    monkeypatch.setattr(folders, "MOST_FOLDERS", 1000)
    scan = find_studies(tmp_path)
    assert scan.cut
    assert scan.found == ()


@pytest.mark.parametrize("name", ["<script>alert(1)<", "a b\nc", "\x1b[2J", "x..", "%2e%2e", "名前", "a" * 200])
def test_any_name_has_a_plain_key(tmp_path: Path, name: str) -> None:
    _study(tmp_path / name)
    (one,) = find_studies(check_folder(tmp_path)).found
    assert one.place == name
    assert len(one.key) == 16
    assert set(one.key) <= set("0123456789abcdef")


def test_a_name_that_is_no_utf_8_is_found_too(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        _study(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes no such name")
    (one,) = find_studies(check_folder(tmp_path)).found
    assert one.place == name


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StudyError, match="give"):
        check_folder(tmp_path / name)


@pytest.mark.parametrize("by_name", [True, False])
def test_a_file_is_opened_inside_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_name: bool) -> None:
    if not by_name:  # as on Windows
        monkeypatch.setattr(folders, "_BY_NAME", False)
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    _study(inside / "one")
    _study(outside / "two")
    (outside / "secret").write_text("secret", encoding="utf-8")
    (inside / "one" / "report.html").write_text("report", encoding="utf-8")
    (inside / "link").symlink_to(outside / "two")
    (inside / "one" / "linked.html").symlink_to(outside / "secret")
    with open_inside(inside, "one", "report.html") as file:
        assert file.read() == b"report"
    for place, name in [
        ("link", "study.json"),
        ("one", "linked.html"),
        ("one/../../outside", "secret"),
        ("one", "../../outside/secret"),
        ("one", "missing"),
        ("one", "."),
    ]:
        with pytest.raises(OSError, match=r"."):
            open_inside(inside, place, name)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    _study(tmp_path / "one")
    os.mkfifo(tmp_path / "one" / "report.html")
    with pytest.raises(OSError, match="no file"):
        open_inside(tmp_path, "one", "report.html")


def test_a_signature_tells_a_file_that_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert signature(path) is None
    path.write_text("one", encoding="utf-8")
    first = signature(path)
    assert first == signature(path)
    other = tmp_path / "other"
    other.write_text("two", encoding="utf-8")  # as long, and perhaps in the same tick of the clock
    other.replace(path)
    assert signature(path) != first
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="link"):
        signature(tmp_path / "link")
