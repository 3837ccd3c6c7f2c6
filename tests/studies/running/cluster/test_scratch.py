"""The folder of a node: images once, nothing of the dead, nothing outside, nothing too large."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Barrier, Thread

import pytest

from stepladder import trial
from stepladder.errors import StorageError
from stepladder.studies.running.cluster import scratch
from stepladder.studies.running.cluster.scratch import VARIABLE, Scratch, pack, unpack, within

CONTENT = b"images"
NAME = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where scratch folders lie in a test."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "node"))
    return tmp_path / "node" / f"stepladder-scratch-{os.getuid()}"


@pytest.fixture
def own() -> Iterator[Scratch]:
    made = Scratch("session")
    yield made
    if made.folder.exists():
        made.close()


def _hold(session: str, told: Connection) -> None:
    """Have a slot in a process of its own, until that is killed."""
    signal.alarm(60)
    made = Scratch(session)
    told.send(str(made.folder))
    told.recv()
    made.close()
    told.send("closed")


def _another(session: str) -> tuple[multiprocessing.Process, Connection, Path]:
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_hold, args=(session, there))
    process.start()
    return process, here, Path(here.recv())  # type: ignore[return-value]


def test_the_folder_is_the_users_own_and_goes_with_the_last_slot(root: Path, own: Scratch) -> None:
    assert (own.folder, own.arrays) == (root / "session" / f"slot-{os.getpid()}", root / "session" / "arrays")
    assert root.stat().st_mode & 0o777 == 0o700
    process, told, other = _another("session")
    assert other.parent == own.session
    own.close()
    assert not own.folder.exists()
    assert other.is_dir(), "another slot of the node is at work"
    assert own.arrays.is_dir()
    told.send("close")
    assert told.recv() == "closed"
    process.join()
    assert list(root.glob("session*")) == []


def test_a_folder_of_somebody_else_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    root.with_name("stepladder-scratch-4242").symlink_to(root)
    with pytest.raises(StorageError, match=f"scratch-4242 is not this user's own folder; set {VARIABLE} to another"):
        Scratch("session")


def test_a_place_that_is_no_folder_ends_in_a_sentence(root: Path) -> None:
    root.parent.write_text("a file")
    with pytest.raises(StorageError, match=f"cannot write to .* on this node: .*; set {VARIABLE} there to a folder"):
        Scratch("session")


def test_an_array_is_kept_once_though_many_ask(own: Scratch) -> None:
    asked = []
    together = Barrier(8)

    def keep(number: int) -> None:
        def chunks() -> Iterator[bytes]:
            asked.append(number)
            yield CONTENT[:3]
            time.sleep(0.05)  # so that the others come meanwhile
            yield CONTENT[3:]

        together.wait()
        own.keep(NAME, chunks())

    threads = [Thread(target=keep, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1, "the others found it there, and fetched nothing"
    assert (own.arrays / NAME).read_bytes() == CONTENT
    assert list(own.arrays.glob("*.part")) == []


def test_wrong_bytes_are_refused_and_right_ones_taken_afterwards(own: Scratch) -> None:
    with pytest.raises(StorageError, match=f"with other bytes than were sent .{NAME[:12]}"):
        own.keep(NAME, [b"other"])
    assert not (own.arrays / NAME).exists()
    own.keep(NAME, [CONTENT])
    assert (own.arrays / NAME).read_bytes() == CONTENT


def test_a_disk_without_room_ends_in_a_sentence(own: Scratch) -> None:
    def full() -> Iterator[bytes]:
        yield CONTENT
        raise OSError(28, "No space left on device")

    with pytest.raises(StorageError, match=f"cannot keep images in .*: No space left on device; set {VARIABLE}"):
        own.keep(NAME, full())


def test_what_the_dead_left_is_removed_and_what_they_started_is_ended(root: Path) -> None:
    process, _, dead = _another("of the dead")
    out = dead / "trials" / "t" / "out"
    out.mkdir(parents=True)
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env={trial.OUT: str(out)})
    other, told, living = _another("of the living")
    process.kill()
    process.join()
    assert dead.is_dir()
    made = Scratch("mine")
    assert left.wait(timeout=10) == -signal.SIGKILL
    assert not dead.parent.exists(), "its session has no other slot"
    assert living.is_dir()
    assert made.folder.is_dir()
    told.send("close")
    told.recv()
    other.join()
    made.close()


def test_of_a_session_with_a_living_slot_the_dead_ones_go_alone(root: Path) -> None:
    process, _, dead = _another("session")
    other, told, living = _another("session")
    (living.parent / "arrays" / NAME).write_bytes(CONTENT)
    process.kill()
    process.join()
    made = Scratch("mine")
    assert (dead.exists(), living.is_dir()) == (False, True)
    assert (living.parent / "arrays" / NAME).read_bytes() == CONTENT
    told.send("close")
    told.recv()
    other.join()
    made.close()


def test_a_slot_that_begins_is_not_taken_for_a_dead_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the making of its lock and its taking it, another slot of the node must not look."""
    take, began = scratch.fcntl.flock, []

    def slowly(descriptor: int, operation: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").resolve() == root / "session" / f"slot-{os.getpid()}" / ".lock":
            process = multiprocessing.get_context("fork").Process(target=Scratch, args=("another",))
            began.append(process)
            monkeypatch.setattr(scratch.fcntl, "flock", take)
            process.start()
            process.join(timeout=1)
        take(descriptor, operation)

    monkeypatch.setattr(scratch.fcntl, "flock", slowly)
    made = Scratch("session")
    began[0].join()
    assert began[0].exitcode == 0
    assert (made.folder / ".lock").is_file()
    made.close()


def test_files_are_packed_by_their_names_and_unpacked_again(tmp_path: Path) -> None:
    there = tmp_path / "there"
    (there / "model").mkdir(parents=True)
    (there / "checkpoint").mkdir()
    (there / "a.csv").write_bytes(b"a")
    (there / "model" / "b").write_bytes(b"b")
    (there / "checkpoint" / "c").write_bytes(b"c")
    (there / "model" / "checkpoint").write_bytes(b"of that name, deeper")
    (there / "link").symlink_to(tmp_path / "secret")
    (there / "folder").symlink_to(tmp_path)
    os.mkfifo(there / "pipe")
    files = pack(there, ["checkpoint"])
    assert files == {"a.csv": b"a", "model/b": b"b", "model/checkpoint": b"of that name, deeper"}
    unpack(files, tmp_path / "here")
    assert pack(tmp_path / "here") == files
    assert pack(tmp_path / "nowhere") == {}


def test_more_than_one_trial_may_leave_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MOST_BYTES", 10)
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").write_bytes(b"12345")
    assert len(pack(tmp_path)) == 2
    (tmp_path / "c").write_bytes(b"1")
    with pytest.raises(StorageError, match="it left more than 1e-08 GB; write large files to a place that all"):
        pack(tmp_path)


def test_a_name_stays_inside_the_folder_of_its_trial(tmp_path: Path) -> None:
    assert within(tmp_path, "model/config.json") == tmp_path / "model" / "config.json"
    assert within(tmp_path, "./a") == tmp_path / "a"
    for name in ("../a", "a/../../b", "/etc/passwd", "", ".", "a/.."):
        with pytest.raises(StorageError, match="a node named a file outside its trial: "):
            within(tmp_path, name)
