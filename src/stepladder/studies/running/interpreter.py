"""The command that starts another Python, which imports nothing that only lies around."""

from __future__ import annotations

import sys


def python_command(*arguments: str) -> list[str]:
    """Return the command that runs this Python with ``arguments``.

    ``-P`` keeps the current folder, which may hold anybody's ``queue.py``, out of what is imported (Python 3.11).
    """
    return [sys.executable, "-P", *arguments]
