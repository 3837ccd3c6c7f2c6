import hashlib
import os
import stat
from pathlib import Path

import pytest
import torch

from stepladder.studies.files import checksums
from stepladder.studies.files.checksums import (
    find_changed_files,
    find_changed_of,
    note_files,
    parse_checksums,
    save_result,
)
from stepladder.studies.files.machine import describe_machine
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import read_result

RESULT = TrialResult(
    trial="0123456789abcdef",
    seed=0,
    techniques=(),
    status="finished",
    epochs=1,
    seconds=1.0,
    images_per_second=None,
    versions={},
    machine=describe_machine(torch.device("cpu")),
    finished="2026-01-31T13:00:00+00:00",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A trial that has ended, but for its result."""
    (tmp_path / "model").mkdir()
    (tmp_path / "checkpoint" / "01").mkdir(parents=True)
    for name in ("history.csv", "model/config.json", "model/README.md", "checkpoint/01/state.json", ".lock"):
        (tmp_path / name).write_text(name)
    return tmp_path


def test_every_file_of_the_result_has_its_checksum(folder: Path) -> None:
    save_result(folder, RESULT)
    assert read_result(folder) == RESULT
    lines = (folder / "checksums.txt").read_text().splitlines()
    # As sha256sum writes it; not of what comes and goes, and not of the card, which tells of other seeds as well.
    names = ["history.csv", "model/config.json", "result.json"]
    assert lines == [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}" for name in names]
    assert find_changed_files(folder) == []


def test_checksums_are_on_disk_before_the_result_says_that_the_trial_has_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    sync, replace = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        events.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        sync(descriptor)

    def replaced(path: Path, target: Path) -> Path:
        events.append(f"rename to {Path(target).name}")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", replaced)
    save_result(folder, RESULT)
    # A crash at any moment leaves no result without checksums that hold for it.
    one = ["sync file", "rename to checksums.txt", "sync folder"]
    assert events == [*one, "sync file", "rename to result.json", "sync folder"]


def test_what_was_changed_is_named(folder: Path) -> None:
    assert find_changed_files(folder) == ["there is no checksums.txt"]
    save_result(folder, RESULT)
    (folder / "model" / "README.md").write_text("another card")
    (folder / "checkpoint" / "01" / "state.json").unlink()
    assert find_changed_files(folder) == []
    (folder / "history.csv").write_text("edited")
    (folder / "model" / "config.json").unlink()
    (folder / "new").write_text("")
    assert find_changed_files(folder) == ["history.csv was changed", "model/config.json is gone", "new was added"]
    (folder / "history.csv").unlink()
    (folder / "history.csv").mkdir()
    assert "history.csv is no plain file" in find_changed_files(folder)
    (folder / "checksums.txt").write_text("nonsense")
    (phrase,) = find_changed_files(folder)
    assert phrase.startswith("checksums.txt cannot be read")


HASH = "0" * 64


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/dev/zero", "is no file of this folder"),
        ("../outside", "is no file of this folder"),
        ("model/../../outside", "is no file of this folder"),
        ("./history.csv", "is no file of this folder"),
        ("model//config.json", "is no file of this folder"),
        ("C:\\Windows", "is no file of this folder"),
        ("a\0b", "is no file of this folder"),
        ("\x1b[2J/", r"it names \x1b[2J/"),
    ],
)
def test_a_name_that_leads_out_of_the_folder_is_not_read(folder: Path, name: str, said: str) -> None:
    (folder / "checksums.txt").write_text(f"{HASH}  {name}\n")
    (phrase,) = find_changed_files(folder)
    assert phrase.startswith("checksums.txt cannot be read (it names ")
    assert said in phrase
    assert find_changed_of(folder) == [("checksums.txt", phrase.removeprefix("checksums.txt "))]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{HASH}  a\n{HASH}  b", "its last line is cut"),
        (f"{HASH}  a\n{HASH}  a\n", "it names a twice"),
        (f"{HASH}  \n", "line 1 is no checksum"),
        (f"{HASH}  a\n{HASH[1:]}  b\n", "line 2 is no checksum"),
        (f"{HASH} a\n", "line 1 is no checksum"),
        ("\n", "line 1 is no checksum"),
    ],
)
def test_a_damaged_list_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_checksums(text)
    assert parse_checksums(f"{HASH}  a b\n{HASH}  model/c\n") == {"a b": HASH, "model/c": HASH}


def test_nothing_is_read_through_a_link_and_no_pipe_is_waited_for(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "config.json").write_text("model/config.json")
    save_result(folder, RESULT)
    (folder / "history.csv").unlink()
    os.mkfifo(folder / "history.csv")
    (folder / "model").rename(folder / "old")
    (folder / "model").symlink_to(outside)
    found = find_changed_files(folder)
    assert "history.csv is no plain file" in found
    assert "model/config.json is behind a link" in found
    assert "model was added" in found
    (folder / "model").unlink()
    (folder / "old").rename(folder / "model")
    (folder / "model" / "config.json").unlink()
    (folder / "model" / "config.json").symlink_to(outside / "config.json")
    assert "model/config.json is a link" in find_changed_files(folder)
    (folder / "model" / "config.json").unlink()
    (folder / "model" / "config.json").symlink_to("/dev/zero")
    assert "model/config.json is a link" in find_changed_files(folder)


def test_no_checksum_is_taken_through_a_link_either(folder: Path) -> None:
    (folder / "history.csv").unlink()
    (folder / "history.csv").symlink_to("/dev/zero")
    (folder / "odd\nname").write_text("")
    (folder / os.fsdecode(b"caf\xe9")).write_text("")
    save_result(folder, RESULT)
    assert set(parse_checksums((folder / "checksums.txt").read_text())) == {"model/config.json", "result.json"}
    note_files(folder, ["history.csv", "model/config.json"])
    assert set(parse_checksums((folder / "checksums.txt").read_text())) == {"model/config.json", "result.json"}


def test_a_file_without_end_is_left_at_the_most_that_one_may_have(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_result(folder, RESULT)
    monkeypatch.setattr(checksums, "MOST_FILE_BYTES", 5_000_000)
    with (folder / "history.csv").open("wb") as file:
        file.truncate(6_000_000)
    assert find_changed_files(folder) == ["history.csv has more than 0 GB"]
    monkeypatch.setattr(checksums, "MOST_LIST_BYTES", 100)
    (phrase,) = find_changed_files(folder)
    assert "may have 0 MB" in phrase
