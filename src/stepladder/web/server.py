"""Runs an application of ASGI for people on this machine, and for others where that is asked for.

What it is for, in one call::

    reason = run(app, Where(port=None), say=print)   # blocks; "interrupt" or "terminate", why it ended

``app`` is put behind :class:`stepladder.web.guard.Guard`, so it needs no rules of its own. It is called by ASGI with
``lifespan`` too. A stream that never ends by itself (server-sent events) waits for ``scope["stepladder.stopping"]`` as
well, or the server waits for it for ``Limits.stop_seconds``.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import quote

from stepladder.errors import StorageError, StudyError, missing_extra
from stepladder.report.units import count
from stepladder.web.guard import LOOPBACK, Access, Application, Guard, Handled, Limits, is_loopback

#: Where a server listens where no port is named, or at the first free one after it, of so many.
DEFAULT_PORT, _TRIED_PORTS = 8000, 100

#: What the extra brings: libraries, and what is imported of them.
_LIBRARIES = (
    ("FastAPI", "fastapi"),
    ("uvicorn", "uvicorn"),
    ("python-multipart", "python_multipart"),
    ("prometheus-client", "prometheus_client"),
)

#: A token in the environment.
TOKEN_VARIABLE = "STEPLADDER_TOKEN"

_ANYWHERE = ("0.0.0.0", "::", "")


@dataclass(frozen=True)
class Where:
    """Where a server listens, and for whom.

    Attributes:
        host: name or address of this machine; others reach it only where this is no loopback address.
        port: 0 for any free one; None for :data:`DEFAULT_PORT` or the next that is free.
        token: what whoever asks has to know; None for what the environment has in ``STEPLADDER_TOKEN`` (other users of
            this machine can read what a command is given), or for none on a loopback address and a new one elsewhere.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    token: str | None = None

    def __post_init__(self) -> None:
        if self.port is not None and not 0 <= self.port <= 65_535:
            raise StudyError(f"`port` is {self.port}; it must be 0 to 65535")

    def make_access(self) -> Access:
        """Return who may ask at such a place; a new token is made where one is needed and none is given."""
        token = self.token or os.environ.get(TOKEN_VARIABLE) or None
        if token is None and not is_loopback(self.host):
            token = secrets.token_urlsafe(24)
        if is_loopback(self.host):
            return Access((*LOOPBACK, self.host), token)
        return Access(None, token)


def run(
    app: Application,
    where: Where = Where(),
    *,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    say: Callable[[str], None] = print,
    handled: Callable[[Handled], None] | None = None,
    what: str = "Stepladder",
    open_page: bool = False,
) -> str:
    """Serve ``app`` until Ctrl-C or SIGTERM, and return which: ``interrupt`` or ``terminate``.

    Told to stop, it lets running requests end, for ``limits.stop_seconds`` at most, and refuses new ones with 503;
    told twice, it ends at once.

    Args:
        app: of ASGI; one that has its :class:`Guard` already keeps it, with its limits and who is told.
        limits: how much at a time.
        say: told the address, with the token where one is needed, and how it ended: a sentence at a time.
        handled: told of each request that was answered.
        what: is served, for the sentence with the address.
        open_page: whether the address is opened in the user's browser.

    Raises:
        StudyError: the extra ``serve`` is not installed, or this thread has an event loop already, as a notebook's.
        StorageError: the port is taken, or the host is none of this machine's.
    """
    require_serve()
    _refuse_in_a_loop()
    from stepladder.web.connections import make_server  # which needs the extra

    guard = app if isinstance(app, Guard) else Guard(app, where.make_access(), limits, handled)
    with _listening(where) as (listener, port):
        address = address_of(where.host, port, guard.access.token)

        def started() -> None:
            say(f"{what} is at {address}")
            if not is_loopback(where.host):
                say("Other machines reach it, and without encryption: whoever sees the traffic reads the token.")
            say("Ctrl-C stops it.")
            if open_page:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

        server = make_server(guard, started)
        asyncio.run(server.serve(sockets=[listener]))
    cut_off = f"; {count(server.cut_off, 'request')} took too long and got no answer" if server.cut_off else ""
    say(f"Stopped{cut_off}.")
    return server.reason or "interrupt"


def require_serve() -> None:
    """Raise StudyError, with the command that installs it, where the extra ``serve`` is missing."""
    for library, module in _LIBRARIES:
        try:
            import_module(module)
        except ImportError as error:
            raise StudyError(missing_extra(library, "serve")) from error


def address_of(host: str, port: int, token: str | None = None, path: str = "/") -> str:
    """Return the address of a server as a browser takes it."""
    name = socket.gethostname() if host in _ANYWHERE else host
    shown = f"[{name}]" if ":" in name else name
    query = "" if token is None else f"?token={quote(token, safe='')}"
    return f"http://{shown}:{port}{path}{query}"


def _refuse_in_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise StudyError(
        "this thread has an event loop that runs already, as in a notebook; start the server from a terminal or a "
        "script, or give the application itself to a server of yours"
    )


@contextmanager
def _listening(where: Where) -> Iterator[tuple[socket.socket, int]]:
    """Hold the socket that the server listens at, and its port."""
    asked = where.port is not None
    ports = [where.port or 0] if asked else range(DEFAULT_PORT, DEFAULT_PORT + _TRIED_PORTS)
    listener, failed = None, OSError("no port was tried")
    for port in ports:
        try:
            listener = _bound(where.host, port)
            break
        except socket.gaierror as error:
            raise StorageError(f"`host` is {where.host}, and no such name is known here; give localhost") from error
        except OSError as error:
            failed = error
    if listener is None:
        said = failed.strerror or str(failed)
        if asked:
            raise StorageError(
                f"cannot listen at {where.host}, port {where.port}: {said}; give another `port`, or leave it out"
            ) from failed
        raise StorageError(
            f"cannot listen at {where.host}, ports {ports[0]} to {ports[-1]}: {said}; give another `host` or `port`"
        ) from failed
    with listener:
        yield listener, listener.getsockname()[1]


def _bound(host: str, port: int) -> socket.socket:
    family, _, _, _, place = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(place[:2], family=family, backlog=2048)
