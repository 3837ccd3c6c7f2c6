import hashlib
import os
import stat
from pathlib import Path

import pytest
import torch

from stepladder.errors import StorageError
from stepladder.studies.files.checksums import find_changed_files, save_result
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
    with pytest.raises(StorageError, match=r"cannot read .*history\.csv"):
        find_changed_files(folder)
    (folder / "checksums.txt").write_text("nonsense")
    (phrase,) = find_changed_files(folder)
    assert phrase.startswith("checksums.txt cannot be read")
