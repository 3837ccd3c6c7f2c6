"""Commands in other processes of which none loads torch anew; see ``zygote.py``."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Terminal:
    """Starts ``stepladder`` in processes of their own, and waits for them."""

    def __init__(self) -> None:
        program = [sys.executable, str(Path(__file__).with_name("zygote.py"))]
        self.ended: set[int] = set()  # processes whose numbers may be others' by now
        self.process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, **order: Any) -> int:
        """Order something, and return the number that comes back."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def start(
        self,
        folder: Path,
        *arguments: str,
        output: str | None = None,
        errors: str | None = None,
        program: str | None = None,
    ) -> int:
        """Start ``stepladder`` or a Python program in a folder, and return its process id.

        Args:
            output: the file or terminal that it prints to; ``printed`` in the folder unless told.
            errors: the same of what it prints to stderr; where ``output`` goes unless told.
            program: Python's text, in place of the command.
        """
        folder.mkdir(exist_ok=True)
        (folder / "printed").touch()  # there to be read at once
        output = output or str(folder / "printed")
        return self.ask(arguments=arguments, folder=str(folder), output=output, errors=errors, program=program)

    def wait(self, pid: int) -> int:
        """Return the exit status."""
        self.ended.add(pid)
        return self.ask(wait=pid)

    def close(self) -> None:
        """End it, and what it has started."""
        self.process.communicate()


def wait_until(condition: Callable[[], object], printed: Path) -> None:
    """Wait until something is so, for two minutes at most; what was ``printed`` says why it is not."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, printed.read_text()
        time.sleep(0.02)
