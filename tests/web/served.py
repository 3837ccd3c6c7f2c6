"""Servers in processes of their own, as a user starts them, and raw connections to them."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.terminal import Terminal, wait_until

_ADDRESS = re.compile(r" is at (http://(\S+?):(\d+)/\S*)")


@dataclass(frozen=True)
class Served:
    """A server that runs.

    Attributes:
        address: as it printed it, with the token where there is one.
        host, port: where it listens.
        pid: of its process.
        printed: the file that it prints to.
    """

    address: str
    host: str
    port: int
    pid: int
    printed: Path

    @property
    def base(self) -> str:
        """The address without path and token."""
        return f"http://{self.host}:{self.port}"

    def connect(self, seconds: float = 20.0) -> socket.socket:
        """Return a connection on which nothing was sent."""
        return socket.create_connection((self.host, self.port), timeout=seconds)

    def say(self, text: bytes, seconds: float = 20.0) -> bytes:
        """Send bytes, and return all that comes until the server closes the connection."""
        with self.connect(seconds) as connection:
            connection.sendall(text)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@contextmanager
def served(terminal: Terminal, folder: Path, *arguments: str, program: str | None = None) -> Iterator[Served]:
    """Start a command or program that serves, wait until it says where, and end it."""
    pid = terminal.start(folder, *arguments, program=program)
    printed = folder / "printed"
    try:
        wait_until(lambda: _ADDRESS.search(printed.read_text()) or not _lives(pid), printed)
        found = _ADDRESS.search(printed.read_text())
        assert found is not None, printed.read_text()
        yield Served(found[1], found[2].strip("[]"), int(found[3]), pid, printed)
    finally:
        if pid not in terminal.ended:
            os.kill(pid, signal.SIGTERM)
            terminal.wait(pid)


def _lives(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] if _there(pid) else "X"
    return state not in ("X", "Z")


def _there(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists()
