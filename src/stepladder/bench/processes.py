"""Whole processes, measured from outside: wall time, and the most memory that one of them held."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from stepladder.errors import StudyError

#: ``getrusage`` counts KiB, but bytes on macOS.
_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Measured:
    """One process that has ended.

    Attributes:
        seconds: wall time from its start to its end.
        peak: bytes of resident memory that it held at most, its children's apart.
    """

    seconds: float
    peak: int


def stepladder(*arguments: str) -> list[str]:
    """Return the command line that runs this very Stepladder."""
    return [sys.executable, "-m", "stepladder", *arguments]


def measure_process(command: Sequence[str], folder: Path) -> Measured:
    """Run ``command`` in ``folder`` and measure it.

    The peak is the kernel's own figure. It begins with the memory of the process that starts the command, so a small
    interpreter stands in between.

    Raises:
        StudyError: the command failed; the message has the end of what it said.
    """
    with tempfile.TemporaryFile() as said:
        started = perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", _STARTER, *command], cwd=folder, stdout=subprocess.PIPE, stderr=said
        )
        printed, _ = process.communicate()
        seconds = perf_counter() - started
        if process.returncode:
            said.seek(0)
            last = said.read().decode(errors="replace").strip().splitlines()[-3:]
            raise StudyError(f"{' '.join(command[3:])} failed with exit code {process.returncode}: {' '.join(last)}")
    return Measured(seconds, int(printed) * _UNIT)


# Prints the peak of the command, whose own output is not wanted.
_STARTER = """
import os, resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
