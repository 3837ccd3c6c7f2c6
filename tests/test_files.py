"""A reader never sees half a file."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from stepladder.errors import DamagedError, StorageError
from stepladder.files import (
    find_links,
    json_text,
    parse_json,
    read_json,
    read_plain,
    remove_links,
    remove_stale_parts,
    replace_bytes,
    replace_json,
    replace_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_in_a_new_folder_and_a_replaced_one(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    replace_bytes(path, b"old")
    replace_bytes(path, b"new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["file.bin"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_the_old_file_stays_whatever_fails(tmp_path, monkeypatch, step):
    path = tmp_path / "file.txt"
    replace_text(path, "old")

    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os if step == "fsync" else Path, step, fail)
    with pytest.raises(StorageError, match=r"no room to write .*file\.txt: it needs 0\.00 MB, and [\d.,]+ MB are free"):
        replace_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        replace_text(tmp_path / "file.txt", "new")
    assert names(tmp_path) == []


def test_content_is_on_disk_before_its_name(tmp_path, monkeypatch):
    """Write, sync, rename, sync the folder; in any other order a crash can leave an empty file."""
    path, events, fsync, replace = tmp_path / "file.txt", [], os.fsync, Path.replace

    def watch_sync(descriptor):
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else os.fstat(descriptor).st_size)
        fsync(descriptor)

    def watch_replace(self, target):
        events.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watch_sync)
    monkeypatch.setattr(Path, "replace", watch_replace)
    replace_text(path, "seven b")
    assert events == [7, "rename", "folder"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_permissions_are_those_of_any_other_file(tmp_path, mask, expected):
    before = os.umask(mask)
    try:
        replace_text(tmp_path / "file.txt", "x")
        assert os.umask(mask) == mask  # left as it was
    finally:
        os.umask(before)
    assert mode(tmp_path / "file.txt") == expected


def test_a_folder_in_the_way_or_a_file_for_a_folder(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "taken", tmp_path / "file" / "below"):
        with pytest.raises(StorageError, match="cannot write"):
            replace_text(path, "x")
    assert names(tmp_path) == ["file", "taken"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_nan(tmp_path, value):
    path = tmp_path / "file.json"
    replace_json(path, {"loss": 1})
    with pytest.raises(ValueError, match="JSON"):
        replace_json(path, {"loss": value})
    assert read_json(path) == {"loss": 1}
    assert names(tmp_path) == ["file.json"]


@pytest.mark.parametrize("document", [{"a": [1, 0.1, None, True]}, "Café 猫", {"name": "caf\udce9"}])
def test_json_comes_back_equal(tmp_path, document):
    """The last is how Python holds a file name that is no UTF-8."""
    path = tmp_path / "file.json"
    replace_json(path, document)
    assert read_json(path) == document
    assert json.loads(path.read_text(encoding="utf-8")) == document
    assert path.read_text(encoding="utf-8").endswith("\n")


@pytest.mark.parametrize("content", [b"", b'{"a": 1', b"\xff\xfe\x00", b"[" * 200_000])
def test_what_is_no_json(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(StorageError, match=r"file\.json is not valid JSON \(.*\); restore it from a copy or remove it"):
        read_json(path)


def test_no_file(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*nothing\.json: No such file or directory"):
        read_json(tmp_path / "nothing.json")


@pytest.fixture
def outside(tmp_path):
    """A folder that is not ours, and one of somebody else's that points at it."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_text("theirs")
    (tmp_path / "study").mkdir()
    return tmp_path / "outside"


@pytest.mark.parametrize("name", ["figures", "figures/deep", "file"])
def test_nothing_is_written_through_a_link_within_a_folder(outside, name):
    study = outside.parent / "study"
    (study / name).parent.mkdir(exist_ok=True)
    (study / name).symlink_to(outside / "file" if name == "file" else outside)
    path = study / "file" if name == "file" else study / "figures" / "deep" / "file"
    replace_text(path, "ours", within=study)
    assert path.read_text() == "ours"
    assert not any((study / inner).is_symlink() for inner in ("file", "figures", "figures/deep"))
    assert names(outside) == ["file"]
    assert (outside / "file").read_text() == "theirs"


def test_the_folder_itself_may_be_a_link_of_its_user(outside):
    link = outside.parent / "link"
    link.symlink_to(outside)
    replace_text(link / "file", "ours", within=link)
    assert (outside / "file").read_text() == "ours"


def test_links_are_found_and_removed_and_none_is_followed(outside):
    study = outside.parent / "study"
    (study / "a").mkdir()
    (study / "a" / "link").symlink_to(outside)
    (study / "b").symlink_to(study)  # without an end
    (study / "file").write_text("")
    assert list(find_links(study)) == [study / "a" / "link", study / "b"]
    assert list(find_links(study / "nothing")) == []
    remove_links(study)
    assert list(find_links(study)) == []
    assert names(outside) == ["file"]
    (study / "figures").symlink_to(outside)
    (outside / ".file.x.part").write_text("")
    os.utime(outside / ".file.x.part", (0, 0))
    remove_stale_parts(study / "figures", ["file"])
    assert names(outside) == [".file.x.part", "file"]


def test_only_plain_files_of_a_bounded_size_are_read(outside):
    study = outside.parent / "study"
    os.mkfifo(study / "pipe")
    (study / "link").symlink_to(outside / "file")
    (study / "zero").symlink_to("/dev/zero")
    with (study / "large").open("wb") as file:
        file.truncate(10**12)
    assert read_plain(study / "link") == b"theirs"
    for name, reason in (("pipe", "no file"), ("zero", "no file"), ("large", "1,000,000 MB"), (".", "no file")):
        with pytest.raises(OSError, match=reason):
            read_plain(study / name)
        with pytest.raises(DamagedError, match=reason):
            read_json(study / name)
    with pytest.raises(OSError, match="it is a link"):
        read_plain(study / "link", follow=False)
    with pytest.raises(FileNotFoundError):
        read_plain(study / "nothing")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": NaN}', "it holds NaN"),
        ('{"a": [-Infinity]}', "it holds -Infinity"),
        ('{"a": 1e999}', "it holds 1e999, which is too large"),
        ('{"a": 1, "b": {"c": 2, "c": 2}}', "it holds 'c' twice"),
        ("[" * 101 + "]" * 101, "more than 100 deep"),
        ("[" * 100_000, "more than 100 deep"),
        ("9" * 5000, "digits"),
    ],
)
def test_json_that_is_read_is_as_strict_as_what_is_written(tmp_path, text, said):
    with pytest.raises(ValueError, match=said):
        parse_json(text)
    (tmp_path / "file.json").write_text(text)
    with pytest.raises(DamagedError, match=said):
        read_json(tmp_path / "file.json")
    assert parse_json("[" * 100 + "]" * 100)


def test_json_that_we_write_commands_no_terminal():
    odd = {"\x1b[2J": "\x9b\u202e\u2028\udce9\U000e0067\n"}
    text = json_text(odd)
    assert json.loads(text) == parse_json(text) == odd
    assert text == '{\n  "\\u001b[2J": "\\u009b\\u202e\\u2028\\udce9\\udb40\\udc67\\n"\n}\n'
