"""uvicorn's server with our way to stop, and an end for connections that hold it up.

What uvicorn 0.54 lacks for a server that strangers may reach: a limit on the time that a request's head may take (a
connection that sends nothing stays open for good), one on the time that a client may leave its answer unread, and
refusals in our form.
"""

from __future__ import annotations

import asyncio
import json
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from time import monotonic
from types import FrameType
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stepladder.web.guard import Guard

#: The main loop of uvicorn comes by so many times a second.
_TICKS = 10

#: Seconds that a request which was cut off has to end itself.
_LAST_SECONDS = 1


#: Open files that are no connections, and connections where files are without number.
_OTHER_FILES, _MOST_CONNECTIONS = 100, 4_000


class Connection(H11Protocol):
    """One connection of a client."""

    _waiting: tuple[object, float] | None = None  # for the head of a request: after which one, since when
    _left: tuple[int, float] | None = None  # what the client does not take: bytes, since when

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, unless too many are open."""
        super().connection_made(transport)
        most = _guard_of(self.config).limits.connections or _most_connections()
        if len(self.connections) > most:
            self._refuse(
                "503 Service Unavailable", f"{most:,} connections are open already; close some, or ask again later"
            )

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 (what uvicorn calls)
        """Refuse what is no HTTP, in our form."""
        self._refuse("400 Bad Request", "this is no request of HTTP/1.1; ask with a program that speaks it, as curl")

    def _refuse(self, status: str, sentence: str) -> None:
        body = json.dumps({"error": sentence})
        self.transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}".encode("ascii")
        )
        self.transport.close()

    def end_if_idle(self, now: float) -> None:
        """Close it where no request has come for too long, and drop it where the client takes nothing."""
        limits = _guard_of(self.config).limits
        cycle: Any = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._waiting = None
        elif self._waiting is None or self._waiting[0] is not cycle:
            self._waiting = (cycle, now)
        elif now - self._waiting[1] > limits.header_seconds:
            self.transport.close()
        size = self.transport.get_write_buffer_size()
        if size == 0:
            self._left = None
        elif self._left is None or size < self._left[0]:
            self._left = (size, now)
        elif now - self._left[1] > limits.reader_seconds:
            self.transport.abort()


class Server(uvicorn.Server):
    """Stops as :func:`stepladder.web.server.run` says.

    Attributes:
        reason: why it was told to stop; None until then.
        cut_off: requests that were not over when it stopped.
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self.reason: str | None = None
        self.cut_off = 0
        self._deadline: float | None = None
        self._say_started = started

    async def startup(self, sockets: Any = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._say_started()

    async def on_tick(self, counter: int) -> bool:
        """Come by some times a second; True ends the server."""
        now, guard = monotonic(), _guard_of(self.config)
        if counter % _TICKS == 0:
            for connection in list(self.server_state.connections):
                assert isinstance(connection, Connection)
                connection.end_if_idle(now)
        if self.reason is not None:
            guard.stopping.set()
            self._deadline = self._deadline or now + guard.limits.stop_seconds
            if not guard.open or now > self._deadline:
                self.cut_off, self.should_exit = guard.open, True
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take signals while inside; unlike uvicorn's, it does not raise them again: whoever runs it says what ended.

        Signals can only be taken in the main thread.
        """
        mine = threading.current_thread() is threading.main_thread()
        numbers = (signal.SIGINT, signal.SIGTERM) if mine else ()
        before = {number: signal.signal(number, self.handle_exit) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (what signal.signal calls)
        """Stop politely at the first signal, at once at the second."""
        if self.reason is None:
            self.reason = "interrupt" if sig == signal.SIGINT else "terminate"
        else:  # an impatient user
            self.cut_off = _guard_of(self.config).open
            self.force_exit = self.should_exit = True


def make_server(guard: Guard, started: Callable[[], None]) -> Server:
    """Return a server of ``guard``, which has the limits; ``started`` is called once it listens."""
    config = uvicorn.Config(
        guard,
        http=Connection,
        ws="none",
        loop="asyncio",
        interface="asgi3",
        log_config=None,
        log_level="critical",  # what it says is not for our users, and mistakes are printed by the guard
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_LAST_SECONDS,
    )
    return Server(config, started)


def _guard_of(config: uvicorn.Config) -> Guard:
    assert isinstance(config.app, Guard)
    return config.app


@cache
def _most_connections() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return _MOST_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(_MOST_CONNECTIONS, max(1, soft - _OTHER_FILES)) if soft > 0 else _MOST_CONNECTIONS
