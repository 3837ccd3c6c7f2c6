"""Records what a program does to the files of a folder: writes, syncs, renames and removals, in their order."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Operation:
    """One thing that was done.

    Attributes:
        kind: ``write`` (opened for writing), ``sync``, ``sync folder``, ``rename`` or ``remove``.
        path: below the folder; of a rename the new name.
        source: of a rename the old name.
    """

    kind: str
    path: str
    source: str = ""


@dataclass
class Record:
    """What was done so far, in the order of it."""

    folder: Path
    done: list[Operation] = field(default_factory=list)

    def note(self, kind: str, path: object, source: object = "") -> None:
        """Add an operation, if it is in the folder."""
        below = self._below(path)
        if below is not None:
            self.done.append(Operation(kind, below, (self._below(source) or "") if source else ""))

    def _below(self, path: object) -> str | None:
        if not isinstance(path, str | os.PathLike):
            return None
        whole = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow links
        return whole.relative_to(self.folder).as_posix() if whole.is_relative_to(self.folder) else None

    def last(self, path: str, kind: str = "rename") -> int:
        """Return where in the order a file was put in its place for the last time."""
        return max(place for place, one in enumerate(self.done) if one.kind == kind and one.path == path)

    def first(self, path: str, kind: str = "rename") -> int:
        """Return where in the order that was for the first time."""
        return next(place for place, one in enumerate(self.done) if one.kind == kind and one.path == path)


#: Who listens to the interpreter's audit events; a hook cannot be taken away again.
_LISTENING: list[Record] = []
_WRITES = os.O_WRONLY | os.O_RDWR


def _heard(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and _LISTENING:
        path, _, flags = arguments
        if isinstance(flags, int) and flags & _WRITES:
            for record in _LISTENING:
                record.note("write", path)
    elif event == "os.remove" and _LISTENING:
        name, within = arguments
        if isinstance(name, str) and isinstance(within, int) and within >= 0:  # as shutil.rmtree removes
            name = Path(f"/proc/self/fd/{within}").readlink() / name
        for record in _LISTENING:
            record.note("remove", name)


_hooked = False


@contextmanager
def recording(folder: Path) -> Iterator[Record]:
    """Record what happens below ``folder`` in this process."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_heard)
        _hooked = True
    record = Record(folder)
    sync, rename, replace = os.fsync, os.rename, os.replace

    def synced(descriptor: int) -> None:
        is_folder = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        record.note("sync folder" if is_folder else "sync", Path(f"/proc/self/fd/{descriptor}").readlink())
        sync(descriptor)

    def renamed(source: str, target: str, **more: int) -> None:
        rename(source, target, **more)
        record.note("rename", target, source)

    def replaced(source: str, target: str, **more: int) -> None:
        replace(source, target, **more)
        record.note("rename", target, source)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "rename", renamed)
        patch.setattr(os, "replace", replaced)
        _LISTENING.append(record)
        try:
            yield record
        finally:
            _LISTENING.remove(record)
