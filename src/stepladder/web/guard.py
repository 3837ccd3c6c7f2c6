"""Who may ask a server of ours, and how much at a time: a layer of ASGI before any application.

What it is for, in three lines::

    guarded = Guard(app, Access(), Limits())        # another application; `server.run` makes one
    request.scope["stepladder.stopping"]            # an asyncio.Event: a stream that never ends by itself waits for it
    raise Refused(422, "one sentence")              # what a guarded application may raise in place of an answer

Every refusal has one form, ``{"error": "one sentence"}``. The body of a request is read here, whole, before the
application is called: so a slow sender holds no place of those that compute, and a limit counts the bytes that came and
not those that were announced. A request counts as running until its answer begins; a stream of events, after that, does
not. Headers for safety are added where the application has not set them itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from time import perf_counter
from typing import Any
from urllib.parse import parse_qs, urlsplit

from stepladder.errors import StudyError, printable

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: What ASGI calls an application; of any framework.
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

#: The names of this machine for itself. A page of another site that makes its own name point here (DNS rebinding) asks
#: by that name, and is refused.
LOOPBACK = ("localhost", "127.0.0.1", "::1")

#: Letters of a token that a user chose, at least.
SHORTEST_TOKEN = 16

#: Nothing from elsewhere, and no script or style within a page's own text.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)

_SAFETY = {
    b"content-security-policy": CONTENT_POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
    b"x-frame-options": b"DENY",
    b"cache-control": b"no-store",
}

#: Methods that change nothing: a page of another site may cause them, and cannot read what comes.
_READING = ("GET", "HEAD", "OPTIONS")

#: What still comes of a refused body is thrown away for so long, and up to so many times the limit: where a connection
#: is closed before, the client never reads why.
_DRAIN_SECONDS, _DRAINED = 5.0, 4


class Refused(Exception):  # noqa: N818 (an answer, and no fault of ours)
    """An answer of one sentence in place of what was asked for.

    Args:
        status: of HTTP, 400 to 599.
        sentence: what is wrong and what to do, for whoever asked.
        headers: further ones.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.headers = status, printable(sentence), dict(headers or {})


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        hosts: names, without a port, that a request may call this server by; None for any, which needs a token: a page
            that got here by a name of its own has no cookie under that name.
        token: what whoever asks has to know, :data:`SHORTEST_TOKEN` letters or more; None where nothing is asked for.
        open_paths: answered without a token, for programs that watch.
    """

    hosts: tuple[str, ...] | None = LOOPBACK
    token: str | None = None
    open_paths: frozenset[str] = frozenset(("/healthz", "/readyz"))

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise StudyError(
                f"`token` has {len(self.token)} letters; give {SHORTEST_TOKEN} or more, or leave it out and one is made"
            )
        if self.hosts is None and self.token is None:
            raise StudyError("a server that may be called by any name needs a `token`; give one, or name its hosts")

    @property
    def cookie(self) -> str | None:
        """What the cookie holds: nothing that the token could be found from."""
        if self.token is None:
            return None
        return hmac.new(self.token.encode(), b"stepladder cookie", hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class Limits:
    """How much at a time.

    Attributes:
        body_bytes: of one request.
        held_bytes: of the bodies of all requests that are being read or answered.
        body_seconds: for one body to arrive.
        running: requests whose answer has not begun.
        connections: open at the same time; 0 for as many as the process may open files, less 100, at most 4,000.
        header_seconds: for the head of a request to arrive.
        reader_seconds: in which a client has to take something of what it was sent.
        stop_seconds: that running requests have when the server is told to stop.
    """

    body_bytes: int = 32 * 2**20
    held_bytes: int = 256 * 2**20
    body_seconds: float = 30.0
    running: int = 64
    connections: int = 0
    header_seconds: float = 10.0
    reader_seconds: float = 30.0
    stop_seconds: float = 10.0


@dataclass(frozen=True)
class Handled:
    """One request that has been answered, for who counts or lists them; nothing of what was in it.

    Attributes:
        method: as GET; at most 20 letters, printable.
        path: without what follows a question mark; at most 200 letters, printable.
        status: of HTTP.
        seconds: from the head of the request to the start of the answer.
        received: bytes of its body.
    """

    method: str
    path: str
    status: int
    seconds: float
    received: int


class Guard:
    """``app`` behind the rules of :class:`Access` and :class:`Limits`; itself an application of ASGI.

    Attributes:
        access, limits: the rules.
        stopping: set once the server is told to stop; new requests are refused then, with 503.
        open: requests that are not over, streams among them.
    """

    def __init__(
        self,
        app: Application,
        access: Access = Access(),
        limits: Limits = Limits(),
        handled: Callable[[Handled], None] | None = None,
    ) -> None:
        self.access, self.limits = access, limits
        self._app, self._handled = app, handled
        self._running = self._held = 0
        self.open = 0
        self.stopping = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        self.open += 1
        try:
            await _Asked(self, scope, receive, send).answer()
        except _Gone:
            pass  # the server closes what is not complete
        finally:
            self.open -= 1


class _Asked:
    """One request."""

    def __init__(self, guard: Guard, scope: Scope, receive: Receive, send: Send) -> None:
        self.guard, self.scope, self.receive, self.send = guard, scope, receive, send
        self.access, self.limits = guard.access, guard.limits
        self.headers: dict[str, str] = {}
        self.twice: set[str] = set()
        for name, value in scope["headers"]:
            key = name.decode("latin-1").lower()
            if key in self.headers:
                self.twice.add(key)
            self.headers[key] = value.decode("latin-1")
        self.began = perf_counter()
        self.started = self.counted = self.over = False
        self.held = self.received = 0
        # Whether something of the body may still come.
        self.unread = self.headers.get("content-length", "0") != "0" or "transfer-encoding" in self.headers

    async def answer(self) -> None:
        try:
            if "content-length" in self.headers and "transfer-encoding" in self.headers:  # RFC 9112, section 6.3
                raise Refused(400, "the body has two lengths: send Content-Length or Transfer-Encoding, and not both")
            self._check_sender()
            if self._brings_token():
                await self._give_cookie()
                return
            self._check_room()
            body = await self._read_body()
            self._check_room()
            self.guard._running += 1
            self.counted = True
            self.scope["stepladder.stopping"] = self.guard.stopping
            await self.guard._app(self.scope, self._receive_of(body), self._send)
        except Refused as refused:
            await self._refuse(refused)
        except (_Gone, asyncio.CancelledError):
            raise
        except Exception:
            traceback.print_exc(file=sys.stderr)
            await self._refuse(Refused(500, "this is a mistake of the server, whose terminal shows where; report it"))
        finally:
            self._release()
            self.guard._held -= self.held

    # Who asks ---------------------------------------------------------------------------------------------------------

    def _check_sender(self) -> None:
        access, path = self.access, self.scope["path"]
        if "host" in self.twice or not self._known_host():
            name = _short(self.headers.get("host", ""))
            raise Refused(421, f"this server is not called {name!r}; use the address that it printed")
        if self.guard.stopping.is_set() and path not in access.open_paths:
            raise Refused(503, "the server stops; ask it again once it is back", {"Retry-After": "5"})
        if self.scope["method"] not in _READING and not self._same_origin():
            origin = _short(self.headers.get("origin", "another site"))
            raise Refused(403, f"a page of {origin} may not do this here; only the pages of this server may")
        if access.token is not None and path not in access.open_paths and not self._knows_token():
            raise Refused(
                401,
                "this needs the token: open the address with ?token= that the server printed, or send it as "
                "Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )

    def _known_host(self) -> bool:
        hosts = self.access.hosts
        if hosts is None:
            return True
        named = _host_of(self.headers.get("host", ""))
        return named is not None and named in {host.lower() for host in hosts}

    def _same_origin(self) -> bool:
        """Whether this comes from a page of ours, or from no page: browsers say which, programs say nothing."""
        origin = self.headers.get("origin")
        if origin is None:
            return self.headers.get("sec-fetch-site", "none") in ("same-origin", "none")
        try:
            return urlsplit(origin).netloc.lower() == self.headers.get("host", "").lower() != ""
        except ValueError:
            return False

    def _knows_token(self) -> bool:
        scheme, _, given = self.headers.get("authorization", "").partition(" ")
        given = given.strip().encode("latin-1").decode("utf-8", "replace")  # its letters, as clients send them
        if scheme.lower() == "bearer" and self._is_token(given):
            return True
        kept = self._cookies().get(self._cookie_name())
        return (kept is not None and _same(kept, self.access.cookie or "")) or self._brings_token()

    def _is_token(self, given: str) -> bool:
        return _same(given, self.access.token or "")

    def _brings_token(self) -> bool:
        """Whether the address itself has the token, as the one that the server prints."""
        if self.access.token is None or self.scope["method"] != "GET":
            return False
        found = parse_qs(self.scope["query_string"].decode("latin-1")).get("token", [])
        return len(found) == 1 and self._is_token(found[0])

    def _cookie_name(self) -> str:
        # Cookies of a host are of all its ports.
        return f"stepladder-{(self.scope.get('server') or ('', 0))[1]}"

    def _cookies(self) -> dict[str, str]:
        try:
            return {name: one.value for name, one in SimpleCookie(self.headers.get("cookie", "")).items()}
        except CookieError:
            return {}

    async def _give_cookie(self) -> None:
        """Keep the token out of the address from here on.

        By a page and not by a redirect: after a link in another site's page, a browser would not send a cookie of
        SameSite=Strict with the redirected request.
        """
        path = "/" + self.scope["path"].lstrip("/")  # two slashes would begin another host's name
        shown = "".join(letter if letter.isalnum() or letter in "/-._~" else f"%{ord(letter):02X}" for letter in path)
        page = f'<!doctype html><meta http-equiv="refresh" content="0; url={shown}"><title>Stepladder</title>'
        cookie = f"{self._cookie_name()}={self.access.cookie}; Path=/; HttpOnly; SameSite=Strict"
        headers = {"Content-Type": "text/html; charset=utf-8", "Set-Cookie": cookie}
        await self._answer_with(200, page.encode(), headers)

    # How much ---------------------------------------------------------------------------------------------------------

    def _check_room(self) -> None:
        if self.guard._running >= self.limits.running:
            raise _busy(f"{self.limits.running} requests are being answered already")

    async def _read_body(self) -> bytes:
        length = self.headers.get("content-length")
        if not self.unread:
            return b""
        if length is not None and (not length.isdecimal() or "content-length" in self.twice):
            raise Refused(400, "the Content-Length is no whole number; send the size of the body in bytes")
        if length is not None and int(length) > self.limits.body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await self._next()
                    parts.append(message.get("body", b""))
                    self._hold(len(parts[-1]))
                    if self.received > self.limits.body_bytes:
                        raise self._too_large()
                    if not self.unread:
                        return b"".join(parts)
        except TimeoutError:
            self.unread = False  # it has had its time
            raise Refused(
                408, f"the body took longer than {self.limits.body_seconds:g} s to arrive; send it again", _CLOSE
            ) from None

    def _hold(self, size: int) -> None:
        self.received += size
        if self.guard._held + size > self.limits.held_bytes:
            raise _busy(f"{self.guard._held / 2**20:.0f} MB of other requests are being answered already")
        self.guard._held += size
        self.held += size

    def _too_large(self) -> Refused:
        most = self.limits.body_bytes / 2**20
        return Refused(413, f"the body is larger than the {most:.3g} MB that are taken at a time; send less")

    async def _drain(self) -> None:
        """Throw away what still comes of a refused body."""
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self.unread and self.received <= _DRAINED * self.limits.body_bytes:
                    self.received += len((await self._next()).get("body", b""))
        except TimeoutError:
            pass

    async def _next(self) -> Message:
        message: Message = await self.receive()
        if message["type"] != "http.request":
            raise _Gone
        self.unread = message.get("more_body", False)
        return message

    def _receive_of(self, body: bytes) -> Receive:
        given = False

        async def receive() -> Message:
            nonlocal given
            if given:
                message: Message = await self.receive()  # that the client has gone
                return message
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        return receive

    # The answer -------------------------------------------------------------------------------------------------------

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._release()
            self._report(message["status"])
            there = {name.lower() for name, _ in message.get("headers", [])}
            added = [(name, value) for name, value in _SAFETY.items() if name not in there]
            closing = [(b"connection", b"close")] if self.guard.stopping.is_set() else []
            message = {**message, "headers": [*message.get("headers", []), *added, *closing]}
        await self.send(message)

    async def _refuse(self, refused: Refused) -> None:
        if self.started:  # too late to say anything: the client sees that it was cut off
            raise _Gone
        headers = {"Content-Type": "application/json", **refused.headers}
        body = json.dumps({"error": refused.sentence}, ensure_ascii=False).encode("utf-8", "backslashreplace")
        if not self.unread:
            await self._answer_with(refused.status, body, headers)
            return
        await self._answer_with(refused.status, body, headers | _CLOSE, more=True)
        await self._drain()
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _answer_with(self, status: int, body: bytes, headers: Mapping[str, str], more: bool = False) -> None:
        pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        pairs.append((b"content-length", str(len(body)).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def _release(self) -> None:
        if self.counted and not self.over:
            self.over = True
            self.guard._running -= 1

    def _report(self, status: int) -> None:
        if self.guard._handled is not None:
            method, path = printable(self.scope["method"])[:20], _short(self.scope["path"], 200)
            self.guard._handled(Handled(method, path, status, perf_counter() - self.began, self.received))


class _Gone(Exception):  # noqa: N818 (nobody is left to answer)
    """The client has gone, or has been told all."""


_CLOSE = {"Connection": "close"}


def _busy(why: str) -> Refused:
    return Refused(429, f"{why}; ask again in a second", {"Retry-After": "1"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _short(text: str, letters: int = 100) -> str:
    return printable(text).replace("\n", r"\n").replace("\t", r"\t")[:letters]


def _host_of(header: str) -> str | None:
    """Return the name in a Host header, small letters, without brackets and port; None where it is no name."""
    try:
        parts = urlsplit(f"//{header.strip()}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment or not parts.hostname:
        return None
    return parts.hostname.lower()


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server at ``host``."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
