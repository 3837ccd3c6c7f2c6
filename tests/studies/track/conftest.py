"""A study in a process of its own, with its trackers, where every connection beyond the machine's own is an error."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

#: On this machine wandb speaks with a process of its own; everything beyond it is refused and said.
PROGRAM = """
import socket, sys
def refusing(real):
    def connect(self, address, *more):
        if self.family == getattr(socket, "AF_UNIX", None) or address[0] in ("127.0.0.1", "::1"):
            return real(self, address, *more)
        print("CONNECTS", address, file=sys.stderr)
        raise OSError("no network here")
    return connect
socket.socket.connect = refusing(socket.socket.connect)
socket.socket.connect_ex = refusing(socket.socket.connect_ex)
look_up = socket.getaddrinfo
def resolve(*arguments, **named):
    if arguments[0] in ("127.0.0.1", "::1", "localhost", None):
        return look_up(*arguments, **named)
    print("CONNECTS", arguments, file=sys.stderr)
    raise OSError("no network here")
socket.getaddrinfo = resolve
from stepladder.cli import run
sys.argv = ["stepladder", *sys.argv[1:]]
sys.exit(run(sys.argv[1:]))
"""

#: Two rungs, one seed, two epochs: 20 images a class.
STUDY = ("--limit", "20", "--epochs", "2", "--seeds", "1", "--rung", "base:", "--rung", "+mix:mixup")


def run_alone(
    folder: Path, *command: str, python: str = sys.executable, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in ``folder`` where it can reach nobody; what is set for trackers here is taken away."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WANDB_", "MLFLOW_", "TRACKIO_", "HF_"))
    }
    settled: Mapping[str, str] = {**kept, "HOME": str(folder), **environment}
    return subprocess.run(
        [python, "-c", PROGRAM, *command], cwd=folder, env=dict(settled), capture_output=True, text=True
    )
