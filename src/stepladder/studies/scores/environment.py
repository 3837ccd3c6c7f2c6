"""What the code of a command is, and what it runs on: its git commit, its Python and the packages that this one has."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

#: Runs a program and returns what it printed, as :func:`subprocess.run`.
Run = Callable[..., subprocess.CompletedProcess[str]]

# Asked of the command's own Python, which may be another than ours: nothing is imported but what comes with it.
_ASK = (
    "import json, platform; from importlib.metadata import distributions; "
    "print(json.dumps([platform.python_version(), "
    "sorted({(d.metadata['Name'] or '?') + ' ' + d.version for d in distributions()}, key=str.lower)]))"
)
_PYTHON = re.compile(r"python[\d.]*(\.exe)?")
_SECONDS = 20


def describe_code(folder: Path, run: Run = subprocess.run) -> dict[str, str]:
    """Return the git commit that the code is of, and whether it was changed since; nothing outside a repository."""
    commit = _said(["git", "-C", str(folder), "rev-parse", "HEAD"], folder, run)
    if not commit:
        return {}
    changed = _said(["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"], folder, run)
    return {"git commit": f"{commit}, changed since" if changed else commit}


def describe_python(command: str, folder: Path, run: Run = subprocess.run) -> dict[str, str]:
    """Return the version of the Python that a command begins with, and its packages; nothing of another program.

    Args:
        command: as typed.
        folder: where it will run.

    Returns:
        ``python of the command``, a version; and ``packages``, each with its version, parted by commas.
    """
    try:
        words = shlex.split(command)
    except ValueError:  # whoever reads the plan says so
        return {}
    if not words or not _PYTHON.fullmatch(Path(words[0]).name):
        return {}
    said = _said([words[0], "-c", _ASK], folder, run)
    try:
        version, packages = json.loads(said or "")
    except ValueError:  # it is none of ours, or too old to say
        return {}
    return {"python of the command": version, "packages": ", ".join(packages)}


def _said(words: list[str], folder: Path, run: Run) -> str | None:
    """Return what a program prints; None where it is not there, fails, or takes too long."""
    try:
        done = run(words, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
