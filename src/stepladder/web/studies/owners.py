"""Who runs a study: the process that holds one of its locks.

A lock is the kernel's and no file says whose it is, so the kernel is asked: Linux lists every lock with its process in
``/proc/locks``. Trying the lock ourselves would take it for a moment, and a trial that its owner wants in that moment
would seem to be another's. Elsewhere nobody is found, and a study then counts as running while its files change.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

#: Number, kind, whether advisory, mode, process, and the device and inode of the file.
_LINE = re.compile(r"\d+: (?:FLOCK|POSIX|OFDLCK) +\w+ +WRITE (-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")

#: A process that trains for another one, which is told to stop in its place.
_WORKER = b"stepladder.studies.running.worker"


@dataclass(frozen=True)
class Owner:
    """A process, told from a later one of the same number by its start.

    Attributes:
        pid: its number.
        started: clock ticks after the machine's start; 0 where the system does not tell.
        ours: whether it belongs to the user who asks, so that it can be told to stop.
    """

    pid: int
    started: int
    ours: bool


class Locks:
    """Which files are locked now, and by whom; one reading serves all studies."""

    def __init__(self, table: Path = Path("/proc/locks")) -> None:
        self.known = True
        self._held: dict[int, set[tuple[int, int, int]]] = {}
        try:
            text = table.read_text(encoding="ascii", errors="replace")
        except OSError:
            self.known = False
            return
        for pid, major, minor, inode in _LINE.findall(text):
            self._held.setdefault(int(inode), set()).add((int(pid), int(major, 16), int(minor, 16)))

    def holder(self, path: Path) -> int | None:
        """Return the process that holds the lock ``path``; None where nobody does, or it cannot be told who."""
        try:
            found = path.lstat()
        except OSError:
            return None
        for pid, major, minor in self._held.get(found.st_ino, ()):
            # Some file systems have another number to the kernel than to a user; then the process itself must have it.
            alike = (major, minor) == (os.major(found.st_dev), os.minor(found.st_dev))
            if pid > 0 and (alike or _has_open(pid, found)):
                return pid
        return None


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    try:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            try:
                found = path.stat()
            except OSError:
                continue
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    except OSError:  # somebody else's
        return False
    return False


def main_owners(holders: Iterable[int]) -> tuple[Owner, ...]:
    """Return the processes that run a study, of those that hold its locks: of a worker, the one that started it."""
    found: dict[int, Owner] = {}
    for pid in holders:
        words = _read(pid, "cmdline").split(b"\0")
        main = _parent(pid) if _WORKER in words else pid
        if main > 1 and main not in found:
            found[main] = Owner(main, started(main), _is_ours(main))
    return tuple(found.values())


def started(pid: int) -> int:
    """Return when a process started, in clock ticks after the machine did; 0 where it has gone or cannot be told."""
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[19]) if len(fields) > 19 else 0


def interrupt(owner: Owner) -> bool:
    """Send the signal of Ctrl-C to a process; return whether it was still there, and not a later one of its number.

    Raises:
        PermissionError: it is another user's.
    """
    try:
        # From here on the number may become another process's, which this does not reach.
        held = os.pidfd_open(owner.pid)
    except OSError:
        return False
    try:
        if started(owner.pid) != owner.started:
            return False
        signal.pidfd_send_signal(held, signal.SIGINT)
    except ProcessLookupError:
        return False
    finally:
        os.close(held)
    return True


def _parent(pid: int) -> int:
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0


def _is_ours(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}").stat().st_uid == os.getuid()
    except (OSError, AttributeError):
        return False


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def began(owner: Owner) -> float:
    """Return when a process started, in seconds since 1970; 0 where it cannot be told."""
    try:
        text = Path("/proc/stat").read_text(encoding="ascii")
        boot = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("btime "))
        return boot + owner.started / os.sysconf("SC_CLK_TCK")
    except (OSError, StopIteration, ValueError, AttributeError):
        return 0.0
