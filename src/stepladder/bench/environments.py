"""Virtual environments for the libraries that Stepladder is measured against: made once, kept in its cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from stepladder.data.cache import PEERS, cache_folder
from stepladder.errors import StorageError
from stepladder.files import replace_text

#: Seconds after which an installation is given up.
_PATIENCE = 1800


class CannotInstallError(Exception):
    """A library that cannot be installed here; the message is the reason, in one line."""


def environments_folder() -> Path:
    """Return the folder that holds the environments; it need not exist yet."""
    return cache_folder() / PEERS


def make_environment(name: str, requirements: tuple[str, ...]) -> Path:
    """Return the interpreter of a virtual environment in which ``requirements`` are installed.

    It is made where it is not there yet, with the running Python and whatever indexes pip is set up for. Other
    requirements or another Python make another one in its place.

    Raises:
        CannotInstallError: pip, or the making of the environment, failed or took too long.
    """
    folder = environments_folder() / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    key = hashlib.sha256(repr((sys.version, sys.base_prefix, requirements)).encode()).hexdigest()
    marker = folder / "installed.txt"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not (marker.exists() and marker.read_text(encoding="utf-8") == key):
                shutil.rmtree(folder, ignore_errors=True)
                _run([sys.executable, "-m", "venv", str(folder)])
                _run([str(python), "-m", "pip", "install", "--quiet", "--no-input", *requirements])
                # Last, so that an installation that was killed is never taken for a whole one.
                replace_text(marker, key)
    except OSError as error:
        raise CannotInstallError(f"{error.filename or folder}: {error.strerror or error}") from error
    except StorageError as error:
        raise CannotInstallError(str(error)) from error
    return python


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE)
    except subprocess.TimeoutExpired as error:
        raise CannotInstallError(f"it was not installed after {_PATIENCE // 60} minutes") from error
    if done.returncode != 0:
        lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # pip says the reason in lines that start with ERROR, the last of them the shortest.
        told = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
        raise CannotInstallError(told[-1] if told else f"pip ended with status {done.returncode}")
