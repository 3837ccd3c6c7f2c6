"""Running the command line in other processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``stepladder`` in another process, in an empty current folder, with signals as a terminal leaves them."""
    started: list[subprocess.Popen[str]] = []

    def call(*arguments: str, **options: object) -> subprocess.Popen[str]:
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": tmp_path, **options}
        process = subprocess.Popen(  # type: ignore[call-overload]
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={**os.environ, "COLUMNS": "120", "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
            **settings,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


# A shell starts its background processes with SIGINT ignored, and these inherit it from the tests.
_PROGRAM = """
import signal, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
from stepladder.cli import main
sys.argv[0] = "stepladder"
main()
"""
