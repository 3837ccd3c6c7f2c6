"""The list of studies and their verdicts; and that whoever looks leaves no trace."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.studies.files.records import StudyRecord
from stepladder.web.studies.folders import check_folder
from stepladder.web.studies.viewer import Viewer
from stepladder.web.studies.watch import StudyWatch
from tests.web.studies.made_up import (
    TEST_FIGURE,
    grid,
    ladder,
    write_readings,
    write_record,
    write_study,
    write_trial,
)


@contextmanager
def viewing(folder: Path, *, everything: bool = True) -> Iterator[Viewer]:
    """A viewer whose list and studies somebody sees; it looks when it is told to."""
    viewer = Viewer(check_folder(folder))
    viewer.board.readers = 1
    viewer.look()
    for watch in viewer._watches.values() if everything else ():
        watch.board.readers = 1
    yield viewer
    viewer.close()


def watch_at(viewer: Viewer, place: str) -> StudyWatch:
    found = next(one for one in viewer._watches.values() if one.found.place == place)
    assert isinstance(found, StudyWatch)
    return found


def wait_for(viewer: Viewer, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        viewer.look()
        time.sleep(0.02)


def judged(folder: Path, record: StudyRecord, *, upto: int) -> None:
    """Write a study whose seeds below ``upto`` were read, with a clear difference from rung to rung."""
    trials = write_record(folder, record)
    for one in trials:
        score = round(0.5 + 0.1 * int(one.rung[-1]) + 0.001 * one.seed, 4)
        write_trial(folder, one, **({"test_accuracy": score, "test_loss": 0.5} if one.seed < upto else {}))
    write_readings(folder, record, [one for one in trials if one.seed < upto])


def tree_of(folder: Path) -> dict[str, str]:
    """Everything below a folder, with what is in it and when it was changed."""
    return {
        path.relative_to(folder).as_posix(): f"{path.lstat().st_mtime_ns} {path.lstat().st_mode} "
        + (hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "")
        for path in sorted([folder, *folder.rglob("*")])
    }


def test_the_list_has_every_study(tmp_path: Path) -> None:
    judged(tmp_path / "done", ladder(rungs=2, seeds=3, first=3), upto=3)
    write_study(tmp_path / "deep" / "sweep", grid(["optimizer.lr=0.1,0.2"], 2), ended=lambda one: one.seed == 0)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{", encoding="utf-8")
    with viewing(tmp_path) as viewer:
        wait_for(viewer, lambda: watch_at(viewer, "done").board.get("verdict"))
        viewer.look()
        entries = {one["place"]: one for key, one in viewer.board.changes_since(-1)[1].items() if key != "folder"}
        assert {place: one["state"] for place, one in entries.items()} == {
            "done": "finished",
            "deep/sweep": "unfinished",
            "broken": "damaged",
        }
        assert entries["deep/sweep"]["title"] == "Values of optimizer.lr on digits"
        assert (entries["deep/sweep"]["ended"], entries["deep/sweep"]["planned"]) == (2, 4)
        assert [(mark["name"], mark["word"]) for mark in entries["done"]["marks"]] == [("rung 1", "helped")]
        assert "not valid JSON" in entries["broken"]["sentence"]
        assert viewer.board.get("folder")["note"] == ""


def test_studies_come_and_go(tmp_path: Path) -> None:
    with viewing(tmp_path, everything=False) as viewer:
        assert set(viewer.board.changes_since(-1)[1]) == {"folder"}
        write_study(tmp_path / "new", ladder(rungs=1, seeds=2, first=2))
        viewer._next_scan = 0
        viewer.look()
        assert len(viewer.board.changes_since(-1)[1]) == 2
        (tmp_path / "new").rename(tmp_path / ".old")
        viewer._next_scan = 0
        viewer.look()
        assert set(viewer.board.changes_since(-1)[1]) == {"folder"}


@pytest.mark.parametrize("upto", [3, 5])
def test_the_verdict_is_that_of_the_last_look(tmp_path: Path, upto: int) -> None:
    judged(tmp_path / "study", ladder(rungs=2, seeds=5, first=3), upto=upto)
    with viewing(tmp_path) as viewer:
        watch = watch_at(viewer, "study")
        wait_for(viewer, lambda: watch.board.get("verdict"))
        verdict = watch.board.get("verdict")
        assert verdict["seeds"] == upto
        assert [mark["word"] for mark in verdict["marks"]] == ["helped"]
        assert bool(verdict["marks"][0]["figures"]) is (upto == 5)
        assert bool(verdict["headline"]) is (upto == 5)
        assert str(TEST_FIGURE) not in json.dumps(watch.board.changes_since(-1)[1])


def test_before_the_first_look_there_is_no_verdict(tmp_path: Path) -> None:
    write_study(tmp_path / "study", ladder(rungs=2, seeds=5))  # all have ended, and none is read
    with viewing(tmp_path) as viewer:
        for _ in range(3):
            viewer.look()
        assert watch_at(viewer, "study").board.get("verdict") is None
        assert not viewer._judging


def test_a_verdict_is_worked_out_once_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(tmp_path / "study", ladder(rungs=2, seeds=3, first=3), upto=3)
    worked: list[StudyWatch] = []
    real = Viewer._work_out

    def noted(self: Viewer, watch: StudyWatch) -> None:
        worked.append(watch)
        real(self, watch)

    monkeypatch.setattr(Viewer, "_work_out", noted)
    with viewing(tmp_path) as viewer:
        wait_for(viewer, lambda: watch_at(viewer, "study").board.get("verdict"))
        for _ in range(5):
            viewer.look()
        assert len(worked) == 1


def test_a_damaged_trial_takes_the_verdict_and_says_why(tmp_path: Path) -> None:
    record = ladder(rungs=2, seeds=3, first=3)
    judged(tmp_path / "study", record, upto=3)
    history = next((tmp_path / "study" / "trials").iterdir()) / "history.csv"
    history.write_text("epoch\n", encoding="utf-8")
    with viewing(tmp_path) as viewer:
        watch = watch_at(viewer, "study")
        wait_for(viewer, lambda: watch.board.get("verdict"))
        assert watch.board.get("verdict")["marks"] == []
        assert "a damaged trial" in watch.board.get("verdict")["sentences"][0]


def test_nothing_is_written_and_a_folder_without_permission_to_write_will_do(tmp_path: Path) -> None:
    judged(tmp_path / "one", ladder(rungs=2, seeds=3, first=3), upto=3)
    judged(tmp_path / "two", ladder(rungs=2, seeds=3, first=3, created="2026-02-01T12:00:00+00:00"), upto=3)
    write_study(tmp_path / "three", grid(["optimizer.lr=0.1,0.2"], 2))
    folders = [path for path in [tmp_path, *tmp_path.rglob("*")] if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    before = tree_of(tmp_path)
    try:
        with viewing(tmp_path) as viewer:
            watches = [watch_at(viewer, place) for place in ("one", "two", "three")]
            wait_for(viewer, lambda: all(watch.board.get("verdict") for watch in watches))
            for watch in watches:
                watch.curves(0)
            with pytest.raises(StudyError, match="sweep"):
                viewer.compare([watches[0].found.key, watches[2].found.key])
            page = viewer.compare([watches[0].found.key, watches[1].found.key])
            assert "Nothing to compare, since both trained the same trials" in page
        assert tree_of(tmp_path) == before
    finally:
        for path in folders:
            path.chmod(0o755)


def test_a_study_between_two_looks_is_not_compared(tmp_path: Path) -> None:
    judged(tmp_path / "one", ladder(rungs=2, seeds=3, first=3), upto=3)
    judged(tmp_path / "two", ladder(rungs=2, seeds=5, first=3), upto=3)
    with viewing(tmp_path) as viewer:
        keys = [watch_at(viewer, place).found.key for place in ("one", "two")]
        with pytest.raises(StudyError, match=r"two is between two looks.* compare it at 5 seeds"):
            viewer.compare(keys)
        with pytest.raises(StudyError, match="two studies or more"):
            viewer.compare(keys[:1])
        with pytest.raises(StudyError, match="not there any more"):
            viewer.compare(["0" * 16, keys[0]])


def test_while_nobody_listens_nothing_is_read(tmp_path: Path) -> None:
    write_study(tmp_path / "study", ladder(rungs=1, seeds=2, first=2))
    viewer = Viewer(check_folder(tmp_path))
    viewer.start()
    time.sleep(0.3)
    assert viewer._watches == {}
    viewer.board.readers += 1
    viewer.wake()
    deadline = time.monotonic() + 30
    while len(viewer.board.changes_since(-1)[1]) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    viewer.board.readers -= 1
    viewer.close()
    viewer._thread.join(10)
    assert not viewer._thread.is_alive()


@pytest.mark.long
def test_a_bag_of_words_of_its_own_is_listed(tmp_path: Path, stepladder: Callable[..., object]) -> None:
    stepladder("bag-of-words", "digits", "--limit", "20", "--seeds", "2", "--out", "words")
    with viewing(tmp_path) as viewer:
        (watch,) = viewer._watches.values()
        viewer.look()
        told = watch.board.changes_since(-1)[1]
        assert told["head"]["state"] == "finished"
        assert told["head"]["title"] == "Bag of words on digits"
        assert told["trial.0.1"][0] == "f"
        assert "test accuracy (n = 2)" in told["verdict"]["headline"][0]
        os.unlink(tmp_path / "words" / "seeds" / "1" / "result.json")  # noqa: PTH108
        viewer.look()
        told = watch.board.changes_since(-1)[1]
        assert "test accuracy" not in json.dumps(told)
        assert told["head"]["state"] == "unfinished"
        (tmp_path / "words" / "bag-of-words.json").write_text("{", encoding="utf-8")
        viewer.look()
        assert watch.standing.state == "damaged"
