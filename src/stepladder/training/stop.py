"""Being asked to stop: by a signal, or by the clock. The loop finishes its step, keeps a checkpoint, and leaves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic


class Stopped(KeyboardInterrupt):
    """Training stopped because it was asked to; what it had is kept.

    No error, and like KeyboardInterrupt it passes whoever catches errors.

    Attributes:
        reason: ``interrupt``, ``terminate``, ``hangup``, ``time``, or ``parent``; see :class:`Stop`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stop:
    """Whether to stop, and why; the one who asks and the loop share it.

    Args:
        max_seconds: stop by itself after so long, counted from now; None for never.
    """

    def __init__(self, max_seconds: float | None = None) -> None:
        self.reason: str | None = None
        #: Whether somebody looks at it after every step: a request then takes a step's time, else it does nothing.
        self.observed = False
        # A monotonic clock: setting the machine's clock back or forth must not change how long a run may take.
        self._deadline = None if max_seconds is None else monotonic() + max_seconds

    def request(self, reason: str) -> None:
        """Ask to stop. The first reason stays."""
        self.reason = self.reason or reason

    def left(self) -> float | None:
        """Return the seconds until it stops by itself, at least 0; None for never."""
        return None if self._deadline is None else max(0.0, self._deadline - monotonic())

    def wanted(self) -> bool:
        """Whether to stop now."""
        if self.reason is None and self._deadline is not None and monotonic() >= self._deadline:
            self.reason = "time"
        return self.reason is not None

    def raise_if_wanted(self) -> None:
        """Leave here if a stop was asked for.

        Raises:
            Stopped: it was.
        """
        if self.wanted():
            assert self.reason is not None
            raise Stopped(self.reason)

    @contextmanager
    def observing(self) -> Iterator[None]:
        """Say that :meth:`wanted` is asked again and again inside."""
        before, self.observed = self.observed, True
        try:
            yield
        finally:
            self.observed = before
