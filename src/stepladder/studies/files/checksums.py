"""The checksums of files: ``checksums.txt`` in their folder, as ``sha256sum --check`` reads it.

A trial has those of all its files, from when it ended. A folder above trials, a bag of words and a learning-rate range
test have those of the files that belong to them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from stepladder.errors import StorageError
from stepladder.files import json_text, replace_bytes, replace_text
from stepladder.studies.files.records import TrialResult

CHECKSUMS = _NAME = "checksums.txt"
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


def note_files(folder: Path, names: Iterable[str]) -> None:
    """Write the checksums of files of ``folder``, beside those noted of others; one that is not there loses its.

    Raises:
        StorageError: a file cannot be read or written.
    """
    noted = dict(_noted(folder) or {})
    for name in names:
        path = folder / name
        noted.pop(name, None)
        if path.is_file():
            noted[name] = _checksum(path.read_bytes())
    replace_text(folder / _NAME, "".join(f"{checksum}  {name}\n" for name, checksum in sorted(noted.items())))


def forget_files(folder: Path) -> None:
    """Remove the checksums of ``folder``, whose files are about to change."""
    (folder / _NAME).unlink(missing_ok=True)


def noted_files(folder: Path) -> frozenset[str]:
    """Return the names of the files of ``folder`` whose checksums are noted; none where nothing readable is."""
    return frozenset(_noted(folder) or ())


def find_changed_files(folder: Path) -> list[str]:
    """Return what is not as it was when the trial ended, a phrase each; nothing where all is.

    Raises:
        StorageError: a file cannot be read.
    """
    try:
        noted = _noted(folder, strict=True)
    except (OSError, ValueError) as error:
        return [f"{_NAME} cannot be read ({error})"]
    if noted is None:
        return [f"there is no {_NAME}"]
    broken = [f"{name} {what}" for name, what in changed_of(folder, noted)]
    return broken + [f"{name} was added" for name in _files(folder) if name not in noted]


def find_changed_of(folder: Path) -> list[tuple[str, str]] | None:
    """Return which files are not as the checksums of their folder say: name, and the rest of the sentence.

    None where it has none.

    Raises:
        StorageError: a file cannot be read.
    """
    try:
        noted = _noted(folder, strict=True)
    except (OSError, ValueError) as error:
        return [(_NAME, f"cannot be read ({error})")]
    return None if noted is None else list(changed_of(folder, noted))


def changed_of(folder: Path, noted: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name of each file that has not the checksum that is noted, and the rest of the sentence.

    Raises:
        StorageError: a file cannot be read.
    """
    for name, checksum in noted.items():
        try:
            content = (folder / name).read_bytes()
        except FileNotFoundError:
            yield name, "is gone"
            continue
        except OSError as error:
            raise StorageError(f"cannot read {folder / name}: {error.strerror or error}") from error
        if _checksum(content) != checksum:
            yield name, "was changed"


def _noted(folder: Path, *, strict: bool = False) -> dict[str, str] | None:
    """Return the checksums by name; None where there are none, and where they are damaged unless ``strict``."""
    try:
        lines = (folder / _NAME).read_text(encoding="utf-8").splitlines()
        return {name: checksum for checksum, name in (line.split("  ", 1) for line in lines)}
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        if strict:
            raise
        return None


def _files(folder: Path) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if name not in _LEFT_OUT and not name.startswith("checkpoint/"))


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
