"""A group of processes is ended whole, and nobody else is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest

from stepladder.studies.running import process_group
from stepladder.studies.running.commands import CommandCall, CommandProcess, Limits, end_politely
from stepladder.studies.running.process_group import ProcessGroup, kill_if

pytestmark = pytest.mark.skipif(not hasattr(os, "killpg"), reason="there are no groups of processes here")

#: Leaves a process in its group, says its number, and ends.
LEAVES = 'sleep 60 & echo $!; exit "$0"'


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The groups that get a signal while nobody holds their number any more; such a signal is not sent."""
    found: list[tuple[int, int]] = []
    send = os.killpg

    def watched(group: int, number: int) -> None:
        try:
            os.waitid(os.P_PID, group, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            found.append((group, number))
        else:
            send(group, number)

    monkeypatch.setattr(os, "killpg", watched)
    return found


def started(code: int) -> tuple[ProcessGroup, int]:
    """A process that has ended, and the number of the one that it left."""
    group = ProcessGroup(["sh", "-c", LEAVES, str(code)], stdout=subprocess.PIPE)
    return group, number_said(group)


def number_said(group: ProcessGroup) -> int:
    assert group.process.stdout is not None
    with group.process.stdout as said:
        return int(said.readline())


def until(condition: Callable[[], object]) -> None:
    deadline = monotonic() + 20
    while not condition():
        assert monotonic() < deadline
        sleep(0.005)


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_who_waits_for_some_time_is_woken_by_the_end() -> None:
    quick = ProcessGroup(["/bin/sh", "-c", "sleep 0.2"])
    began = monotonic()
    quick.wait_some(60)
    assert monotonic() - began < 30
    assert quick.status() == 0
    quick.end()
    quick.wait_some(60)  # of one that was waited for there is nothing to wait for
    slow = ProcessGroup(["/bin/sh", "-c", "sleep 3600"])
    slow.wait_some(0.05)
    assert slow.status() is None
    slow.end()


def test_what_it_left_ends_with_it_and_its_number_stays_its_own_until_then(signals: list[tuple[int, int]]) -> None:
    group, left = started(7)
    assert group.wait() == 7
    until(lambda: group.status() == 7)
    assert lives(left)
    assert Path(f"/proc/{group.pid}").exists(), "nobody has waited for it"
    assert group.end() == 7
    until(lambda: not lives(left))
    assert not Path(f"/proc/{group.pid}").exists()
    # From here on the number may be a stranger's.
    assert (group.end(), group.wait(), group.status()) == (7, 7, 7)
    group.signal(signal.SIGTERM)
    assert signals == []


def test_a_signal_ends_it_and_is_told(signals: list[tuple[int, int]]) -> None:
    group = ProcessGroup(["sleep", "60"])
    assert group.status() is None
    waited: list[int] = []
    waits = Thread(target=lambda: waited.append(group.wait()))
    waits.start()
    assert group.end() == -signal.SIGKILL
    waits.join(20)
    assert waited == [-signal.SIGKILL]
    assert signals == []


def test_its_first_process_alone_can_be_asked() -> None:
    group = ProcessGroup(["sh", "-c", "trap 'exit 3' TERM; sleep 60 & echo $!; wait"], stdout=subprocess.PIPE)
    left = number_said(group)
    group.signal(signal.SIGTERM, first_alone=True)
    assert group.wait() == 3
    assert lives(left)
    group.end()
    until(lambda: not lives(left))


def test_where_the_system_cannot_look_no_signal_comes_late(
    signals: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_group, "_CAN_LOOK", False)
    group = ProcessGroup(["sh", "-c", "exit 4"])
    assert group.wait() == group.status() == 4
    group.signal(signal.SIGTERM)
    assert group.end() == 4
    assert signals == []


def test_a_command_that_has_ended_is_asked_again_and_again_and_nobody_is_hit(
    signals: list[tuple[int, int]], tmp_path: Path
) -> None:
    """Its group was once killed at each poll, also long after it was waited for."""
    call = CommandCall("one", ("sh", "-c", "exit 5"), {}, tmp_path / "out", (tmp_path / "o", tmp_path / "e"))
    process = CommandProcess(call, Limits())
    until(lambda: process.poll() is not None)
    ended = process.poll()
    assert ended is not None
    assert ended.code == 5
    assert process.poll() is ended
    end_politely([process])
    assert signals == []


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="the system shows no environments")
def test_a_process_is_known_by_its_environment_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env={"OUT": "/a/b"}) as other:
        until(lambda: b"OUT=/a/b" in Path(f"/proc/{other.pid}/environ").read_bytes())
        assert not kill_if(other.pid, b"OUT=/a/c")
        assert not kill_if(other.pid, b"OUT=/a/")
        assert other.poll() is None
        assert kill_if(other.pid, b"OUT=/a")
        assert other.wait() == -signal.SIGKILL
        assert not kill_if(other.pid, b"OUT=/a"), "there is none any more"
