"""Ending what hangs in this process: techniques are first called before there is any worker that could be killed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from stepladder.errors import StudyError
from stepladder.techniques.guard import hook_at


@contextmanager
def ending_after(seconds: float | None, what: str) -> Iterator[None]:
    """End what is done inside once it has taken so many seconds; None for never.

    By an alarm of the system, which Python heeds between two of its own instructions: a sleep, a loop or a lock that
    waits is ended; a call into compiled code that does not return is not.

    Args:
        what: of whom the sentence is, such as ``rung augment``.

    Raises:
        StudyError: it took longer; the message names the technique's method that was at work.
    """
    # Only the main thread can take signals, and Windows has no such alarm.
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(_: int, frame: FrameType | None) -> None:
        where = hook_at(frame)
        raise StudyError(
            f"{what} {f'hangs in {where}' if where else 'is not ready'}: it took longer than the {seconds:g} seconds "
            "of --trial-timeout before the first trial; mend the technique or leave it out, or allow more time"
        )

    before = signal.signal(signal.SIGALRM, expired)
    # Again and again: the method itself may catch the error.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
