"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from stepladder.errors import StorageError

_READING_UMASK = Lock()

#: No space, over a quota, or a file larger than the process may write.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: Age at which a file that is half written has no writer any more.
_STALE_SECONDS = 3600.0


def replace_bytes(path: Path, content: bytes) -> None:
    """Replace the file at ``path`` by ``content``, atomically and durably.

    Written beside the target, synced, renamed over it, and the folder synced, so that a crash at any moment leaves the
    old file or the new one (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, section 4).

    Raises:
        StorageError: no permission, no space, or the folder cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes files private; a study is meant to be shared like any other file its owner writes.
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise storage_failed(path, len(content), error) from error


def remove_parts(folder: Path) -> None:
    """Remove what writers that were killed have left below ``folder``; only its owner may, as others may be writing."""
    with suppress(OSError):  # it only saves room; what keeps it from working is said by the next write
        for path in folder.rglob(".*.part"):
            if path.is_file():  # those of checkpoints are folders, which have an owner of their own
                path.unlink(missing_ok=True)


def remove_stale_parts(folder: Path, owned: Collection[str]) -> None:
    """Remove what writers that were killed have left directly in ``folder``, which several processes may write.

    Args:
        owned: names of files that nobody else can be writing now. What would become another file goes once it is an
            hour old: no writer takes that long.
    """
    with suppress(OSError):  # another process may have removed one, or there is no file handle to look with
        for path in folder.glob(".*.part"):
            target = path.name[1:].removesuffix(".part").rpartition(".")[0]  # .<target>.<random>.part
            stale = target in owned or time.time() - path.stat().st_mtime > _STALE_SECONDS
            if stale and path.is_file():
                path.unlink()


def write_synced(path: Path, content: bytes) -> None:
    """Write a new file and sync it; for a folder that is not in its place yet, where nobody looks for it.

    Raises:
        OSError: see :func:`storage_failed`.
    """
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def storage_failed(path: Path, size: int, error: OSError) -> StorageError:
    """Return the error of a write that failed, with the fix; where there was no room, with the ``size`` in bytes."""
    if error.errno == errno.ENOENT:
        return StorageError(f"cannot write {path}: its folder was removed; run it again to start anew")
    if error.errno not in _NO_ROOM:
        return StorageError(
            f"cannot write {path}: {error.strerror or error}; choose a folder with permission and space for `out`"
        )
    return StorageError(
        f"no room to write {path}: it needs {size / 1e6:,.2f} MB, and {_free_space(path)} ({error.strerror}); what was "
        "written before is kept: make room and run it again"
    )


def _free_space(path: Path) -> str:
    for folder in path.parents:
        try:
            return f"{shutil.disk_usage(folder).free / 1e6:,.2f} MB are free"
        except OSError:
            continue
    return "nobody knows how much is free"


def replace_text(path: Path, content: str) -> None:
    """Replace the file at ``path`` by ``content`` in UTF-8; see :func:`replace_bytes`.

    File names need not be UTF-8; Python holds what does not decode as lone surrogates. Such a character is written as
    ``\\udce9``, which JSON reads back as the same.
    """
    replace_bytes(path, content.encode(errors="backslashreplace"))


def replace_json(path: Path, document: Any) -> None:
    """Replace the file at ``path`` by :func:`json_text` of ``document``; see :func:`replace_bytes`."""
    replace_text(path, json_text(document))


def json_text(document: Any) -> str:
    """Return ``document`` as strict JSON, as all our files hold it.

    Strict: NaN and infinity are no JSON, so they raise ValueError here instead of confusing a reader later.
    """
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_json(path: Path) -> Any:
    """Read a JSON document.

    Raises:
        StorageError: the file is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is not valid JSON ({error}); restore it from a copy or remove it") from error


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power cut, where the platform can (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    # The only way to read the mask is to set it; a second call puts it back. Two threads together would leave it at 0.
    with _READING_UMASK:
        mask = os.umask(0)
        os.umask(mask)
    return mask
