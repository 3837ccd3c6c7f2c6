"""Which studies lie below a folder, and how a file of one is opened: no link is followed, nothing outside is read.

A study is known by a key, made of its place below the folder. A page asks by that key alone, so no path from outside is
ever opened.
"""

from __future__ import annotations

import errno
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Literal

from stepladder.errors import StudyError
from stepladder.files import open_plain

#: Folders that are looked into at most, and how deep they may lie: a view of a whole disk would never end.
MOST_FOLDERS, DEEPEST = 20_000, 8

Kind = Literal["study", "bag", "lr-range", "training", "judged"]
#: By which files a folder is known, the first that fits; another program may write one of such a name, but hardly both.
_KINDS: tuple[tuple[frozenset[str], Kind], ...] = (
    (frozenset({"study.json"}), "study"),
    (frozenset({"bag-of-words.json"}), "bag"),
    (frozenset({"lr-range.json", "lr-range.md"}), "lr-range"),
    (frozenset({"recipe.toml", "result.json"}), "training"),
    (frozenset({"recipe.toml", "checkpoint"}), "training"),  # one under way
    (frozenset({"recipe.toml", ".lock"}), "training"),  # and one that has just begun
    (frozenset({"verdicts.json", "report.html"}), "judged"),
)

# A walk through names alone, which nothing may turn aside; Windows has neither, and checks each part instead.
_BY_NAME = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW") and hasattr(os, "O_DIRECTORY")


@dataclass(frozen=True)
class Found:
    """One study below the folder.

    Attributes:
        key: 16 hexadecimal digits, the same as long as it stays where it is.
        place: its folder as seen from the viewed one; ``.`` where it is that one.
        folder: the same, absolute.
        kind: ``study``, for all that has a ``study.json``; ``bag``, a bag of words of its own; ``lr-range``, a
            learning-rate range test; ``training``, one network that was trained alone; ``judged``, the page of scores
            of another program.
    """

    key: str
    place: str
    folder: Path
    kind: Kind


@dataclass(frozen=True)
class Scan:
    """What a look through the folders found.

    Attributes:
        found: the studies, by place.
        cut: whether there were more folders than are looked into.
        seconds: how long it took.
    """

    found: tuple[Found, ...]
    cut: bool
    seconds: float


def check_folder(folder: Path) -> Path:
    """Return the folder to view, absolute and without links: what it is called may be one, what lies below may not.

    Raises:
        StudyError: there is no such folder, or it cannot be looked into.
    """
    try:
        real = folder.resolve(strict=True)
        if not real.is_dir():
            raise StudyError(f"{folder} is no folder; give one that holds studies")
        os.scandir(real).close()
    except (OSError, RuntimeError) as error:  # of a loop of links
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise StudyError(f"cannot look into {folder}: {reason}; give a folder that holds studies") from error
    return real


def find_studies(folder: Path) -> Scan:
    """Look for studies in ``folder`` and below it; what lies within a study is part of it."""
    begun = monotonic()
    found: list[Found] = []
    waiting, looked, cut = [(folder, 0)], 0, False
    while waiting:
        here, depth = waiting.pop()
        if looked >= MOST_FOLDERS:
            cut = True
            break
        looked += 1
        kind, below = _look_into(here)
        if kind is not None:
            place = here.relative_to(folder).as_posix()
            found.append(Found(_key(place), place, here, kind))
        elif depth < DEEPEST:
            waiting += [(path, depth + 1) for path in below]
        else:
            cut = cut or bool(below)
    return Scan(tuple(sorted(found, key=lambda one: one.place)), cut, monotonic() - begun)


def _look_into(folder: Path) -> tuple[Kind | None, list[Path]]:
    """Return what a folder is, and the folders in it; hidden ones and links are passed over."""
    below = []
    names = set()
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.add(entry.name)
                if not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False):
                    below.append(Path(entry.path))
    except OSError:  # it was removed meanwhile, or is nobody's business
        return None, []
    return next((kind for files, kind in _KINDS if files <= names), None), below


def _key(place: str) -> str:
    # Names need not be UTF-8: Python holds what does not decode as lone surrogates.
    return hashlib.sha256(place.encode(errors="surrogateescape")).hexdigest()[:16]


def signature(path: Path) -> tuple[int, int, int] | None:
    """Return what tells whether a file was replaced or written to; None where there is no plain file.

    Raises:
        OSError: the place cannot be looked at, or holds a link.
    """
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    if stat.S_ISLNK(found.st_mode):
        raise OSError(errno.ELOOP, "it is a link, and none is followed", str(path))
    return found.st_mtime_ns, found.st_size, found.st_ino


def open_inside(folder: Path, place: str, name: str) -> io.BufferedReader:
    """Open a plain file of a study, by ``place`` below ``folder``; no part of the way may be a link by then.

    Raises:
        OSError: there is no such file, or a link leads to it.
    """
    parts = [part for part in place.split("/") if part not in ("", ".")]
    if ".." in parts or "/" in name or os.sep in name:
        raise OSError(errno.EINVAL, "it leads out of the folder", place)
    if not _BY_NAME:
        return _open_checked(folder, parts, name)
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = inner
        # A pipe is not waited for.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    finally:
        os.close(here)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no file (a folder, pipe or device)", name)


def _open_checked(folder: Path, parts: list[str], name: str) -> io.BufferedReader:
    for path in _ways(folder, parts):
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link, and none is followed", str(path))
    return open_plain(folder.joinpath(*parts, name), follow=False)


def _ways(folder: Path, parts: list[str]) -> Iterator[Path]:
    for part in parts:
        folder = folder / part
        yield folder
