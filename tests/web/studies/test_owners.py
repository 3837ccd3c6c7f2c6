"""The process that runs a study is found by its locks, without taking one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from stepladder.studies.running.locks import try_lock
from stepladder.web.studies import owners
from stepladder.web.studies.owners import Locks, Owner, began, interrupt, main_owners, started

needs_locks = pytest.mark.skipif(
    not Path("/proc/locks").is_file(), reason="this system does not tell who holds a lock (no /proc/locks)"
)


@contextmanager
def holding(path: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """Another process holds a lock; ``words`` stand in its command line."""
    program = (
        "import fcntl, sys; file = open(sys.argv[1], 'a'); fcntl.flock(file, fcntl.LOCK_EX); print('mine', flush=True);"
        " sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(path), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "mine\n"
    yield process
    with suppress(BrokenPipeError):  # it has ended
        process.communicate("")


@needs_locks
def test_the_holder_of_a_lock_is_found_and_the_lock_stays_free_to_take(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    path.touch()
    assert Locks().holder(path) is None
    assert Locks().holder(tmp_path / "missing") is None
    with holding(path) as process:
        assert Locks().holder(path) == process.pid
        (owner,) = main_owners([process.pid])
        assert (owner.pid, owner.ours) == (process.pid, True)
        assert owner.started == started(process.pid) > 0
        assert -2 < began(owner) - path.stat().st_mtime < 600  # the kernel rounds the machine's start to a second
    assert Locks().holder(path) is None


@needs_locks
def test_the_locks_of_a_study_are_seen(tmp_path: Path) -> None:
    with try_lock(tmp_path) as mine:
        assert mine
        assert Locks().holder(tmp_path / ".lock") == os.getpid()
    assert Locks().holder(tmp_path / ".lock") is None


@needs_locks
def test_of_a_worker_the_process_that_started_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    with holding(path, "-m", owners._WORKER.decode()) as process:
        assert [owner.pid for owner in main_owners([process.pid, process.pid])] == [os.getpid()]


def test_another_file_with_the_same_number_is_not_taken_for_it(tmp_path: Path) -> None:
    path, table = tmp_path / ".lock", tmp_path / "locks"
    path.touch()
    inode, other = path.stat().st_ino, os.major(path.stat().st_dev) + 1
    table.write_text(f"1: FLOCK  ADVISORY  WRITE 1 {other:02x}:00:{inode} 0 EOF\n", encoding="ascii")
    assert Locks(table).holder(path) is None
    device = path.stat().st_dev
    table.write_text(
        f"1: FLOCK  ADVISORY  WRITE 4321 {os.major(device):02x}:{os.minor(device):02x}:{inode} 0 EOF\n"
        "1: -> FLOCK  ADVISORY  WRITE 999 00:00:1 0 EOF\nnonsense\n",
        encoding="ascii",
    )
    assert Locks(table).holder(path) == 4321


def test_where_the_system_does_not_tell_nobody_is_found(tmp_path: Path) -> None:
    locks = Locks(tmp_path / "missing")
    assert not locks.known
    assert locks.holder(tmp_path) is None


def test_a_process_that_has_gone_is_no_owner_of_ours() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert started(process.pid) == 0
    assert not any(owner.ours for owner in main_owners([process.pid]))


@needs_locks
def test_the_signal_of_ctrl_c_reaches_the_process_that_was_seen_and_no_later_one(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as process:
        seen = Owner(process.pid, started(process.pid), ours=True)
        assert not interrupt(replace(seen, started=seen.started - 1))
        assert process.poll() is None
        assert interrupt(seen)
        assert process.wait(20) == -signal.SIGINT
        assert not interrupt(seen)
