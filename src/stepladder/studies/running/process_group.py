"""A process of ours and all that it starts, as one group that is ended whole.

The system gives the number of a process to another one once nobody waits for it any more (of 32,768 numbers on many
machines, so within hours), and the number of its group with it. A signal to a group whose first process was waited for
may so end a stranger's. Here a process that has ended is left unwaited for, which keeps its number, until its group has
had its last signal.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Lock
from time import sleep
from typing import Any

# macOS has it from Python 3.13 on. Without it a process that ended is waited for, and its group gets no signal later.
_CAN_LOOK = hasattr(os, "waitid")
#: Seconds between two looks where nobody wakes us.
_OFTEN = 0.01


class ProcessGroup:
    """A process in a session of its own, with whatever it starts and leaves in its group. Threads may share it.

    Args:
        words: the program and its arguments.
        how: as of :class:`subprocess.Popen`.

    Attributes:
        process: to read its pipes and its number; nobody else may wait for it.
    """

    def __init__(self, words: Sequence[str], **how: Any) -> None:
        self.process: subprocess.Popen[bytes] = subprocess.Popen(words, start_new_session=True, **how)
        self._lock = Lock()

    @property
    def pid(self) -> int:
        """The number of the process, which is that of its group."""
        return self.process.pid

    def status(self) -> int | None:
        """Return how the process has ended, less than 0 for the number of a signal; None where it goes on."""
        with self._lock:
            if self.process.returncode is not None or not _CAN_LOOK:
                return self.process.poll()
            return _status_of(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT))

    def wait(self) -> int:
        """Wait until the process has ended by itself or by :meth:`end`, and return how."""
        if not _CAN_LOOK:
            return self.process.wait()
        with suppress(ChildProcessError):  # another thread has ended it
            status = _status_of(os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT))
            assert status is not None
            return status
        with self._lock:
            return self.process.wait()

    def wait_some(self, seconds: float) -> None:
        """Return once the process has ended, or after some seconds; what is woken takes less than what looks again."""
        if self.process.returncode is not None:
            return
        try:
            held = os.pidfd_open(self.pid)
        except (AttributeError, OSError):  # Linux alone has it
            sleep(min(seconds, _OFTEN))
            return
        try:
            looks = select.poll()
            looks.register(held, select.POLLIN)
            looks.poll(1000 * seconds)
        finally:
            os.close(held)

    def signal(self, number: int, first_alone: bool = False) -> None:
        """Send a signal to all of the group, or to its first process alone; to nobody once :meth:`end` was called."""
        with self._lock:
            self._send(number, os.kill if first_alone else os.killpg)

    def end(self) -> int:
        """End all of the group at once, and return how the process ended; the second time nothing else happens."""
        with self._lock:
            self._send(signal.SIGKILL, os.killpg)
            return self.process.wait()

    def _send(self, number: int, send: Callable[[int, int], None]) -> None:
        if self.process.returncode is None:  # nobody has waited for it, so the number is its own
            with suppress(ProcessLookupError, PermissionError):
                send(self.pid, number)


def kill_if(pid: int, told: bytes) -> bool:
    """End a process that is not ours if ``told`` is in its environment, or a folder below what that names; Linux alone.

    The process is held by a descriptor from before it is looked at, so that none that gets its number later is hit.
    Most are looked at without one first, and passed over: this is asked about every process after each run.
    """
    if told not in _environment_of(pid):
        return False
    try:
        held = os.pidfd_open(pid)
    except OSError:  # it has ended meanwhile
        return False
    try:
        environment = _environment_of(pid).split(b"\0")
        if pid == os.getpid() or not any(one == told or one.startswith(told + b"/") for one in environment):
            return False
        signal.pidfd_send_signal(held, signal.SIGKILL)
    except OSError:  # of somebody else, or it has ended meanwhile
        return False
    finally:
        os.close(held)
    return True


def _environment_of(pid: int) -> bytes:
    """Return what a process was begun with; empty where that is not ours to see. A quarter of the time of ``Path``."""
    parts = []
    try:
        file = os.open(f"/proc/{pid}/environ", os.O_RDONLY)
        try:
            while part := os.read(file, 65_536):
                parts.append(part)
        finally:
            os.close(file)
    except OSError:  # of somebody else, or it has ended meanwhile
        return b""
    return b"".join(parts)


def _status_of(found: os.waitid_result | None) -> int | None:
    if found is None:
        return None
    return found.si_status if found.si_code == os.CLD_EXITED else -found.si_status
