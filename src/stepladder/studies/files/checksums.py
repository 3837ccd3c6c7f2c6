"""The checksums of files: ``checksums.txt`` in their folder, as ``sha256sum --check`` reads it.

A trial has those of all its files, from when it ended. A folder above trials, a bag of words and a learning-rate range
test have those of the files that belong to them. A folder may be anybody's: of the list, only plain files below it are
read, and no link is followed.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from stepladder.errors import StorageError, printable
from stepladder.files import json_text, open_plain, read_plain, replace_bytes, replace_text
from stepladder.studies.files.records import TrialResult

CHECKSUMS = _NAME = "checksums.txt"
_RESULT = "result.json"
# What comes and goes while a trial runs, belongs to no result, or is derived: the card tells of other seeds as well.
_LEFT_OUT = (_NAME, _RESULT, ".lock", "result-failed.json", "model/README.md")
# Of a trial of images, and of a run of a user's own command.
_CHECKPOINTS = ("checkpoint/", "out/checkpoint/")

#: Bytes that ``checksums.txt`` may have: those of a hundred thousand files.
MOST_LIST_BYTES = 10_000_000
#: Bytes that a file may have whose checksum is taken: more than any that we write, and read in some ten seconds.
MOST_FILE_BYTES = 16_000_000_000

_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_CHUNK = 1 << 20


def save_result(folder: Path, result: TrialResult) -> None:
    """Write the checksums of all files of an ended trial, and then its ``result.json``, which says that it has ended.

    Raises:
        StorageError: they cannot be written.
    """
    content = json_text(result.model_dump(mode="json")).encode()
    checksums = {name: _checksum_of(folder, name) for name in _files(folder) if _can_be_noted(folder, name)}
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
        noted.pop(name, None)
        if _can_be_noted(folder, name):
            noted[name] = _checksum_of(folder, name)
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
            found = _checksum_of(folder, name)
        except (FileNotFoundError, NotADirectoryError):
            yield name, "is gone"
            continue
        except _NoPlainFileError as error:
            yield name, str(error)
            continue
        except OSError as error:
            raise StorageError(f"cannot read {folder / name}: {error.strerror or error}") from error
        if found != checksum:
            yield name, "was changed"


def _noted(folder: Path, *, strict: bool = False) -> dict[str, str] | None:
    """Return the checksums by name; None where there are none, and where they are damaged unless ``strict``."""
    try:
        return parse_checksums(read_plain(folder / _NAME, MOST_LIST_BYTES, follow=False).decode())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        if strict:
            raise
        return None


def parse_checksums(text: str) -> dict[str, str]:
    """Return the checksums by name that a ``checksums.txt`` holds.

    Raises:
        ValueError: a line is no checksum, a name leads out of the folder or is there twice, or the last line is cut.
    """
    if text and not text.endswith("\n"):
        raise ValueError("its last line is cut")
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n")[:-1], 1):
        parts = _LINE.fullmatch(line)
        if parts is None:
            raise ValueError(f"line {number} is no checksum with the name of a file")
        name = parts[2]
        if name in found:
            raise ValueError(f"it names {printable(name)[:100]} twice")
        if not _stays_inside(name):
            raise ValueError(f"it names {printable(name)[:100]}, which is no file of this folder")
        found[name] = parts[1]
    return found


def _can_be_noted(folder: Path, name: str) -> bool:
    """Whether a name can stand in the list: it needs one line, and a plain file that no link leads to."""
    plain = _stays_inside(name) and name == printable(name) and "\n" not in name and (folder / name).is_file()
    return plain and not any(path.is_symlink() for path in _down_to(folder, name))


def _stays_inside(name: str) -> bool:
    # Of Windows as well, where a backslash and a colon lead out.
    return not set(name.split("/")) & {"", ".", ".."} and not set("\\:\0") & set(name)


class _NoPlainFileError(Exception):
    """A file that is listed, and is none; the message is the rest of the sentence."""


def _checksum_of(folder: Path, name: str) -> str:
    """Return the SHA-256, hex, of a file of ``folder``, a piece at a time.

    Raises:
        _NoPlainFileError: it is a link or behind one, a folder, a pipe or a device, or has too many bytes.
        OSError: it is gone, or cannot be read.
    """
    path = folder / name
    for inner in _down_to(folder, name):
        if inner.is_symlink():
            raise _NoPlainFileError("is a link" if inner == path else "is behind a link")
    try:
        with open_plain(path, follow=False) as file:
            digest, left = hashlib.sha256(), MOST_FILE_BYTES
            while piece := file.read(_CHUNK):
                digest.update(piece)
                left -= len(piece)
                if left < 0:
                    raise _NoPlainFileError(f"has more than {MOST_FILE_BYTES / 1e9:,.0f} GB")
            return digest.hexdigest()
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ELOOP, errno.ENXIO):
            raise _NoPlainFileError("is no plain file") from error
        raise


def _down_to(folder: Path, name: str) -> list[Path]:
    parts = name.split("/")
    return [folder.joinpath(*parts[:count]) for count in range(1, len(parts) + 1)]


def _files(folder: Path) -> list[str]:
    """Return the names of all that is in ``folder`` and no folder, links among them."""
    paths = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return sorted(name for name in names if name not in _LEFT_OUT and not name.startswith(_CHECKPOINTS))


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
