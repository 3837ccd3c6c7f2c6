"""Ctrl-C, SIGTERM and a closed terminal: finish the step, keep a checkpoint, leave."""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from stepladder.training.stop import Stop, Stopped

#: Another signal within so many seconds changes nothing, and what is being written is finished; a later one ends it.
_SAME_REQUEST_SECONDS = 5.0

_REASONS = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminate"}
if hasattr(signal, "SIGHUP"):
    _REASONS[signal.SIGHUP] = "hangup"


@contextmanager
def stopping_politely(stop: Stop, numbers: Iterable[signal.Signals] = tuple(_REASONS)) -> Iterator[None]:
    """Turn signals into requests to ``stop`` while inside; where this thread may not take signals, do nothing.

    Where training is under way, the step and the checkpoint after it are finished first; anywhere else every file is
    replaced in one piece, so :class:`Stopped` is raised at once. More signals within five seconds change nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: float | None = None

    def handle(number: int, _: FrameType | None) -> None:
        nonlocal first
        reason = _REASONS[signal.Signals(number)]
        if reason == "hangup":
            _let_go_of_the_terminal()
        now = monotonic()
        if first is not None and now - first < _SAME_REQUEST_SECONDS:
            return
        again, first = first is not None, now
        # Also where it raises: Python drops what is raised while an object is finalized, and the next trial asks again.
        stop.request(reason)
        if again or not stop.observed:
            raise Stopped(reason)

    before = {}
    for number in numbers:
        # A process that was told to survive its terminal (nohup) ignores the signal already, and goes on doing so.
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _let_go_of_the_terminal() -> None:
    """Print into nothing from now on where the terminal has gone: writing to it would raise."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            # A terminal that has gone says that it is none; it is still a device.
            if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
                os.dup2(nothing, stream.fileno())
        except (OSError, ValueError):
            os.dup2(nothing, stream.fileno())
