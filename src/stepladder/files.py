"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import errno
import io
import json
import math
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

from stepladder.errors import DamagedError, StorageError, printable

_READING_UMASK = Lock()

#: No space, over a quota, or a file larger than the process may write.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: Age at which a file that is half written has no writer any more.
_STALE_SECONDS = 3600.0

#: Bytes that a record may have: none that we wrote comes near, and what JSON makes of more takes a gigabyte.
MOST_RECORD_BYTES = 64_000_000

#: How deep lists and tables of a record may lie in one another; those of networks of networks do ten deep.
_MOST_LEVELS = 100
_TOO_DEEP = f"its lists and tables lie more than {_MOST_LEVELS} deep in one another"

# No pipe is waited for, whoever may write into it; Windows has none with a name in a folder, and needs O_BINARY.
_PLAIN = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def replace_bytes(path: Path, content: bytes, *, within: Path | None = None, durable: bool = True) -> None:
    """Replace the file at ``path`` by ``content``, atomically, and durably unless told otherwise.

    Written beside the target, synced, renamed over it, and the folder synced, so that a crash at any moment leaves the
    old file or the new one (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014, section 4). A link in
    the file's place is replaced, and what it points to stays as it is.

    Args:
        within: a folder above the file that may come from anybody; see :func:`own_folder`.
        durable: whether it has to survive a power cut; of an output it is enough that its checksum tells.

    Raises:
        StorageError: no permission, no space, or the folder cannot be made.
    """
    try:
        if within is not None:
            own_folder(path.parent, within)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            # mkstemp makes files private; a study is meant to be shared like any other file its owner writes.
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise storage_failed(path, len(content), error) from error


def own_folder(folder: Path, within: Path) -> None:
    """Make ``folder``, which is below ``within``: a link in place of it, or of one between the two, is replaced.

    So nothing that is written there ends in a folder outside, which whoever made the folder chose.

    Raises:
        OSError: it cannot be made.
    """
    inner = within
    for part in folder.relative_to(within).parts:
        inner = inner / part
        if inner.is_symlink():
            inner.unlink()
    folder.mkdir(parents=True, exist_ok=True)


def find_links(folder: Path) -> Iterator[Path]:
    """Yield the links at ``folder`` and anywhere below it; none is followed.

    Raises:
        OSError: a folder cannot be looked into.
    """
    if folder.is_symlink():
        yield folder
    elif folder.is_dir():
        for path in sorted(folder.iterdir()):
            yield from find_links(path)


def remove_links(folder: Path) -> None:
    """Remove the links at ``folder`` and below it, so that nothing is written through one; what they point to stays.

    Raises:
        StorageError: one cannot be removed.
    """
    for link in find_links(folder):
        try:
            link.unlink()
        except OSError as error:
            raise storage_failed(link, 0, error) from error


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
    if folder.is_symlink():  # what lies behind it is somebody else's
        return
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


def replace_text(path: Path, content: str, *, within: Path | None = None) -> None:
    """Replace the file at ``path`` by ``content`` in UTF-8; see :func:`replace_bytes`.

    File names need not be UTF-8; Python holds what does not decode as lone surrogates. Such a character is written as
    ``\\udce9``, which JSON reads back as the same.
    """
    replace_bytes(path, encoded(content), within=within)


def encoded(content: str) -> bytes:
    """Return text as our files hold it; see :func:`replace_text`."""
    return content.encode(errors="backslashreplace")


def replace_json(path: Path, document: Any, *, within: Path | None = None) -> None:
    """Replace the file at ``path`` by :func:`json_text` of ``document``; see :func:`replace_bytes`."""
    replace_text(path, json_text(document), within=within)


def json_text(document: Any) -> str:
    """Return ``document`` as strict JSON, as all our files hold it.

    Strict: NaN and infinity are no JSON, so they raise ValueError here instead of confusing a reader later. What would
    command a terminal is written as an escape of JSON, which says the same.
    """
    return printable(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False), as_json=True) + "\n"


def read_plain(path: Path, most: int = MOST_RECORD_BYTES, *, follow: bool = True) -> bytes:
    """Return the content of a plain file; a pipe or device, which may never end, is not read.

    Args:
        most: bytes that it may have.
        follow: whether a link may stand in its place.

    Raises:
        OSError: it is missing, too large or no plain file, or cannot be read.
    """
    with open_plain(path, follow=follow) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"it has {size / 1e6:,.0f} MB, and may have {most / 1e6:,.0f} MB", str(path))
        return file.read(size)


def open_plain(path: Path, *, follow: bool = True) -> io.BufferedReader:
    """Open a plain file for reading; see :func:`read_plain`."""
    if not follow and path.is_symlink():
        raise OSError(errno.ELOOP, "it is a link", str(path))
    descriptor = os.open(path, os.O_RDONLY | _PLAIN | (0 if follow else getattr(os, "O_NOFOLLOW", 0)))
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    raise OSError(errno.EINVAL, "it is no file (a folder, pipe or device)", str(path))


def read_json(path: Path) -> Any:
    """Read a JSON document; it is as strict as :func:`json_text`, and no table has a key twice.

    Raises:
        DamagedError: the file is too large, or no such JSON.
        StorageError: it is missing or cannot be read.
    """
    try:
        return parse_json(read_plain(path))
    except OSError as error:
        raise unreadable(path, error) from error
    except ValueError as error:
        raise DamagedError(f"{path} is not valid JSON ({error})", "restore it from a copy or remove it") from error


def unreadable(path: Path, error: OSError) -> StorageError:
    """Return the error of a file that could not be read; a :class:`DamagedError` where it never can be."""
    what = f"cannot read {path}: {error.strerror or error}"
    if error.errno in (errno.EFBIG, errno.EINVAL, errno.ELOOP, errno.ENXIO):  # see :func:`read_plain`
        return DamagedError(what, "restore it from a copy or remove it")
    return StorageError(what)


def parse_json(content: bytes | str) -> Any:
    """Return the value of a JSON document; see :func:`read_json`.

    Raises:
        ValueError: it is no such JSON.
    """
    try:
        document = json.loads(content, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    level = [document] if isinstance(document, dict | list) else []
    for _ in range(_MOST_LEVELS + 1):
        if not level:
            return document
        inside = (outer.values() if isinstance(outer, dict) else outer for outer in level)
        level = [one for values in inside for one in values if isinstance(one, dict | list)]
    raise ValueError(_TOO_DEEP)


def _refuse(constant: str) -> float:
    raise ValueError(f"it holds {constant}, which is no number")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError(f"it holds {text[:40]}, which is too large for a number")
    return value


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it holds {twice[:100]!r} twice")
    return table


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
