"""Who may write: each trial has one owner, and so has what all trials of a study share.

A lock is the kernel's, on an open file: it ends with the process that holds it, however that ends, and with the
machine. The files stay, empty: removing one while another process waits for it would give two owners. Clocks play no
part.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from stepladder.files import storage_failed

_NAME = ".lock"


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Own ``folder`` while inside, if nobody else does; yields whether it is so."""
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except OSError as error:
        raise storage_failed(folder / _NAME, 0, error) from error
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Own ``folder`` while inside; waits until it is free, for what takes no more than a moment."""
    lock = _lock(folder)
    try:
        lock.acquire()
    except OSError as error:
        raise storage_failed(folder / _NAME, 0, error) from error
    try:
        yield
    finally:
        lock.release()


def _lock(folder: Path) -> FileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_failed(folder / _NAME, 0, error) from error
    if (folder / _NAME).is_symlink():  # whoever made the folder may have put it there; filelock refuses it
        (folder / _NAME).unlink(missing_ok=True)
    # One thread trains; were the lock kept to its thread, a watchdog could not release it.
    return FileLock(folder / _NAME, thread_local=False)
