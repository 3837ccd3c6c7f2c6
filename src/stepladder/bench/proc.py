"""What Linux tells of running processes: whose they are, their memory, their open files, the trial that they are at."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True)
class Process:
    """One process as it was a moment ago.

    Attributes:
        session: id of the process that leads its session; a child keeps it, also when its parent has died.
        worker: whether it is one of a study's workers.
        memory_mb: resident, in 10⁶ bytes; pages that processes share count in each of them.
        open_files: descriptors, pipes and locks among them.
    """

    pid: int
    session: int
    worker: bool
    memory_mb: float
    open_files: int


def can_be_watched() -> bool:
    """Return whether this system tells memory and open files in ``/proc``."""
    return (_PROC / "self" / "statm").exists() and (_PROC / "self" / "fd").exists()


def find_processes(sessions: Collection[int]) -> list[Process]:
    """Return the living processes of some sessions."""
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            # The name, in parentheses, may hold anything; behind it: state, parent, group, session.
            state, _, _, session, *_ = (folder / "stat").read_text().rpartition(")")[2].split()
            if state in "ZX" or int(session) not in sessions:
                continue
            words = (folder / "cmdline").read_bytes().split(b"\0")
            pages = int((folder / "statm").read_text().split()[1])
            files = len(list((folder / "fd").iterdir()))
        except OSError:  # it has ended meanwhile, or is somebody else's
            continue
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
        found.append(
            Process(int(folder.name), int(session), b"stepladder.study.running.worker" in words, memory, files)
        )
    return found


def find_trial(pid: int) -> Path | None:
    """Return the folder of the trial whose lock a process holds; None where it is starting, or between two."""
    try:
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            try:
                path = descriptor.readlink()
            except OSError:
                continue
            if path.name == ".lock" and path.parent.parent.name == "trials":
                # A lock that is open may be somebody else's, for the moment that it takes to be refused it.
                return path.parent
    except OSError:
        pass
    return None
