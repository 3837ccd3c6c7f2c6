"""The checksums of a trial's files: ``checksums.txt`` in its folder, as ``sha256sum --check`` reads it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stepladder.errors import StorageError
from stepladder.files import json_text, replace_bytes, replace_text
from stepladder.studies.files.records import TrialResult

_NAME = "checksums.txt"
_RESULT = "result.json"
# What comes and goes while a trial runs, belongs to no result, or is derived: the card tells of other seeds as well.
_LEFT_OUT = (_NAME, _RESULT, ".lock", "result-failed.json", "model/README.md")


def save_result(folder: Path, result: TrialResult) -> None:
    """Write the checksums of all files of an ended trial, and then its ``result.json``, which says that it has ended.

    Raises:
        StorageError: they cannot be written.
    """
    content = json_text(result.model_dump(mode="json")).encode()
    checksums = {name: _checksum((folder / name).read_bytes()) for name in _files(folder)}
    checksums[_RESULT] = _checksum(content)
    replace_text(folder / _NAME, "".join(f"{checksum}  {name}\n" for name, checksum in sorted(checksums.items())))
    replace_bytes(folder / _RESULT, content)


def find_changed_files(folder: Path) -> list[str]:
    """Return what is not as it was when the trial ended, a phrase each; nothing where all is.

    Raises:
        StorageError: a file cannot be read.
    """
    try:
        lines = (folder / _NAME).read_text(encoding="utf-8").splitlines()
        noted = {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        return [f"there is no {_NAME}"]
    except (OSError, ValueError) as error:
        return [f"{_NAME} cannot be read ({error})"]
    broken = []
    for name, checksum in noted.items():
        try:
            content = (folder / name).read_bytes()
        except FileNotFoundError:
            broken.append(f"{name} is gone")
            continue
        except OSError as error:
            raise StorageError(f"cannot read {folder / name}: {error.strerror or error}") from error
        if _checksum(content) != checksum:
            broken.append(f"{name} was changed")
    return broken + [f"{name} was added" for name in _files(folder) if name not in noted]


def _files(folder: Path) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if name not in _LEFT_OUT and not name.startswith("checkpoint/"))


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
