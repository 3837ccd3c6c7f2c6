"""The folder that a node works in: everything of a session lies in it, and what a dead one left is removed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from filelock import FileLock

from stepladder.errors import StorageError
from stepladder.studies.running.commands import end_leftovers

#: The environment variable of a node that moves its scratch folder.
VARIABLE = "STEPLADDER_SCRATCH"
#: What the folder is called, before the number of the user whose it is.
SCRATCH = "stepladder-scratch"
#: Bytes that one trial may leave: they travel to the owner of the study in one piece.
MOST_BYTES = 2_000_000_000


class Scratch:
    """The folder of one slot, ``<scratch>/<session>/<process>``, and ``<scratch>/<session>/arrays`` of all on a node.

    A lock of the kernel on each slot's folder tells whether its process lives; what has none is of no use to anybody,
    since checkpoints and results have gone to the owner, and is removed by the next slot on the machine.

    Raises:
        StorageError: the folder cannot be made, or is somebody else's.
    """

    def __init__(self, session: str) -> None:
        root = Path(os.environ.get(VARIABLE) or tempfile.gettempdir()) / f"{SCRATCH}-{os.getuid()}"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = root.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
                raise StorageError(f"{root} is not this user's own folder; set {VARIABLE} to another one on this node")
            self.session = root / session
            self.folder = self.session / f"slot-{os.getpid()}"
            self.arrays = self.session / "arrays"
            self._turn = FileLock(root / ".lock")
            with self._turn:  # else another slot could take this one for dead before its lock is held
                self.folder.mkdir(parents=True, exist_ok=True)
                self.arrays.mkdir(exist_ok=True)
                self._lock = os.open(self.folder / ".lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove_dead(root, self.session)
        except OSError as error:
            raise StorageError(
                f"cannot write to {root} on this node: {error.strerror or error}; set {VARIABLE} there to a folder "
                "with room"
            ) from error

    def keep(self, name: str, chunks: Iterable[bytes | memoryview]) -> None:
        """Keep an array on this node, unless it is there: written once, whatever many slots ask for it.

        Args:
            name: the SHA-256 of its bytes, hex, by which they are checked.
            chunks: its bytes in order; asked for only where they are needed.

        Raises:
            StorageError: there is no room, or the bytes are not those that were meant.
        """
        target = self.arrays / name
        try:
            with FileLock(self.arrays / f"{name}.lock"):
                if target.exists():
                    return
                digest, part = hashlib.sha256(), self.arrays / f"{name}.part"
                with part.open("wb") as file:
                    for chunk in chunks:
                        digest.update(chunk)
                        file.write(chunk)
                if digest.hexdigest() != name:
                    raise StorageError(f"images came to this node with other bytes than were sent ({name[:12]})")
                part.rename(target)
        except OSError as error:
            raise StorageError(
                f"cannot keep images in {self.arrays} on this node: {error.strerror or error}; set {VARIABLE} there to "
                "a folder with room"
            ) from error

    def lock(self, name: str) -> FileLock:
        """Return a lock that one slot of this node holds at a time."""
        return FileLock(self.arrays / f"{name}.lock")

    def close(self) -> None:
        """Remove the slot's folder, and the session's with the last of them."""
        with self._turn:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.close(self._lock)
            if not any(self.session.glob("slot-*")):
                shutil.rmtree(self.session, ignore_errors=True)


def _remove_dead(root: Path, own: Path) -> None:
    """Remove what slots left whose process has gone, and end what these had started."""
    for session in (one for one in root.iterdir() if one.is_dir()):
        alive = False
        for slot in session.glob("slot-*"):
            try:
                lock = os.open(slot / ".lock", os.O_RDWR)
            except OSError:
                continue  # it begins, or is being removed
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                alive = True
            else:
                end_leftovers(slot)
                shutil.rmtree(slot, ignore_errors=True)
            finally:
                os.close(lock)
        if not alive and session != own and not any(session.glob("slot-*")):
            shutil.rmtree(session, ignore_errors=True)


def pack(folder: Path, leave_out: Iterable[str] = ()) -> dict[str, bytes]:
    """Return the plain files below a folder by their name in it.

    Args:
        leave_out: names of files and folders directly in it.

    Raises:
        StorageError: they are more than :data:`MOST_BYTES`.
    """
    files, size = {}, 0
    for path in _plain_files(folder, frozenset(leave_out)):
        with suppress(FileNotFoundError):  # it was replaced by a newer one meanwhile
            content = path.read_bytes()
            size += len(content)
            if size > MOST_BYTES:
                raise StorageError(
                    f"it left more than {MOST_BYTES / 1e9:g} GB; write large files to a place that all machines share"
                )
            files[path.relative_to(folder).as_posix()] = content
    return files


def unpack(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files into a folder on a node, as :func:`pack` found them elsewhere."""
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def _plain_files(folder: Path, leave_out: frozenset[str]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.name in leave_out or path.is_symlink():
            continue
        if path.is_dir():
            yield from _plain_files(path, frozenset())
        elif path.is_file():
            yield path


def within(folder: Path, name: str) -> Path:
    """Return where a file that a node names goes, inside the folder of its trial.

    Raises:
        StorageError: it would lie elsewhere.
    """
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise StorageError(f"a node named a file outside its trial: {name}")
    return folder.joinpath(*pure.parts)
