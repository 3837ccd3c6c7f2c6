"""Who may ask and how much at a time, on an application that says what reached it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.web.guard import CONTENT_POLICY, Access, Guard, Handled, Limits, Refused, is_loopback

TOKEN = "correct horse; battery=staple \N{EURO SIGN}"
SMALL = Limits(body_bytes=100, held_bytes=150, body_seconds=0.05, running=2)


async def say_what_came(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    body = json.dumps({"size": len(message["body"]), "path": scope["path"]}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


@dataclass
class Answer:
    """What a client gets."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    ended: bool = False

    @property
    def error(self) -> str:
        document = json.loads(self.body)
        assert list(document) == ["error"]
        assert self.headers["content-type"] == "application/json"
        return str(document["error"])


async def asked(
    guard: Guard,
    method: str = "GET",
    path: str = "/",
    *,
    query: str = "",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    parts: list[bytes] | None = None,
    pause: float = 0,
) -> Answer:
    """Ask as a server of ASGI does; ``parts`` of the body come one by one, with a pause before each."""
    answer, waiting = Answer(), list(parts or [])
    pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
    if not any(name.lower() == "host" for name, _ in pairs):
        pairs.append(("Host", "localhost:8000"))
    if parts is not None and not any(name.lower() in ("content-length", "transfer-encoding") for name, _ in pairs):
        pairs.append(("Transfer-Encoding", "chunked"))

    async def receive() -> dict[str, Any]:
        if not waiting:
            return {"type": "http.disconnect"}
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": waiting.pop(0), "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert answer.status == 0
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            assert not answer.ended
            answer.body += message.get("body", b"")
            answer.ended = not message.get("more_body", False)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in pairs],
        "server": ("127.0.0.1", 8000),
    }
    await guard(scope, receive, send)
    return answer


def ask(guard: Guard, *arguments: Any, **more: Any) -> Answer:
    return asyncio.run(asked(guard, *arguments, **more))


@pytest.fixture
def guard() -> Guard:
    return Guard(say_what_came, Access(), SMALL)


@pytest.fixture
def locked() -> Guard:
    return Guard(say_what_came, Access(None, TOKEN), SMALL)


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LOCALHOST", "[::1]"])
def test_it_answers_by_its_own_names(guard: Guard, host: str) -> None:
    assert ask(guard, headers={"Host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "", "localhost@evil",
     "localhost:x", "localhost/..", "localhost:99999", "[::1", "evil.example#localhost", "localhost evil"],
)  # fmt: skip
def test_a_name_of_somebody_else_is_refused(guard: Guard, host: str) -> None:
    """DNS rebinding: a page of another site makes its own name lead here."""
    answer = ask(guard, headers={"Host": host})
    assert answer.status == 421
    assert "use the address that it printed" in answer.error


def test_two_host_headers_are_refused(guard: Guard) -> None:
    assert ask(guard, headers=[("Host", "localhost"), ("Host", "evil.example")]).status == 421


def test_any_name_needs_a_token() -> None:
    with pytest.raises(StudyError, match="any name needs a `token`"):
        Access(hosts=None)
    with pytest.raises(StudyError, match="`token` has 5 letters; give 16 or more"):
        Access(token="short")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),  # a program
        ({"Origin": "http://localhost:8000"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://localhost:8001"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_a_page_of_another_site_may_change_nothing(guard: Guard, headers: dict[str, str], status: int) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = ask(guard, method, headers=headers, parts=[b"x"])
        assert answer.status == status
        assert answer.ended
    if status == 403:
        assert "only the pages of this server may" in answer.error
    reading = ask(guard, "GET", headers=headers)
    assert reading.status == 200
    assert not any(name.startswith("access-control") for name in reading.headers), "another site could read it"


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"Authorization": "Bearer wrong"}, "", 401),
        ({"Authorization": f"Basic {TOKEN}"}, "", 401),
        ({"Authorization": f"Bearer {TOKEN}"}, "", 200),
        ({"Authorization": f"bearer  {TOKEN}"}, "", 200),
        ({"Cookie": "stepladder-8000=wrong"}, "", 401),
        ({"Cookie": f"stepladder-8000={TOKEN}"}, "", 401),
        ({"Cookie": "\x00;;=;"}, "", 401),
        ({}, "token=wrong", 401),
        ({}, "token=", 401),
    ],
)
def test_the_token_is_asked_for(locked: Guard, headers: dict[str, str], query: str, status: int) -> None:
    for method in ("GET", "POST"):
        answer = ask(locked, method, "/secret", headers=headers | {"Host": "anything.example"}, query=query)
        assert answer.status == status, answer.body
    if status == 401:
        assert "Authorization: Bearer" in answer.error
        assert answer.headers["www-authenticate"] == "Bearer"


def test_programs_that_watch_need_no_token(locked: Guard) -> None:
    assert ask(locked, path="/healthz").status == ask(locked, path="/readyz").status == 200
    assert ask(locked, path="/healthz/").status == 401


def test_the_address_gives_a_cookie_once_and_forgets_the_token(locked: Guard) -> None:
    from urllib.parse import quote

    first = ask(locked, path="/studies/a b", query=f"token={quote(TOKEN)}")
    assert first.status == 200
    cookie = first.headers["set-cookie"]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Strict")
    assert b'url=/studies/a%20b"' in first.body
    assert TOKEN not in first.body.decode() + str(first.headers)
    kept = {"Cookie": f"other=1; {cookie.partition(';')[0]}"}
    assert ask(locked, headers=kept).status == 200
    assert ask(locked, "POST", headers=kept | {"Origin": "http://localhost:8000"}).status == 200
    assert ask(locked, "POST", headers=kept | {"Origin": "http://evil.example"}).status == 403
    assert ask(locked, "POST", query=f"token={quote(TOKEN)}").status == 401, "an address is no place for it"


@pytest.mark.parametrize("path", ["//evil.example/", '/"><script>', "/\\evil.example", "/a;url=http://evil.example"])
def test_the_page_with_the_cookie_leads_nowhere_else(locked: Guard, path: str) -> None:
    from urllib.parse import quote

    body = ask(locked, path=path, query=f"token={quote(TOKEN)}").body.decode()
    target = body.partition("url=")[2].partition('">')[0]
    assert target.startswith("/")
    assert not target.startswith("//")
    assert not set(target) & set('\\"<>;: ')


def test_headers_for_safety_are_added_and_those_of_the_application_stay() -> None:
    async def framed(_: Any, __: Any, send: Any) -> None:
        headers = [(b"Content-Security-Policy", b"sandbox"), (b"cache-control", b"max-age=60")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    plain = ask(Guard(say_what_came)).headers
    assert plain["content-security-policy"] == CONTENT_POLICY
    assert "unsafe" not in CONTENT_POLICY
    assert plain["x-content-type-options"] == "nosniff"
    assert plain["referrer-policy"] == "no-referrer"
    own = ask(Guard(framed)).headers
    assert "content-security-policy" not in own
    assert (own["Content-Security-Policy"], own["cache-control"]) == ("sandbox", "max-age=60")
    assert own["x-frame-options"] == "DENY"
    refused = ask(Guard(say_what_came), headers={"Host": "evil.example"}).headers
    assert set(plain) - {"content-type"} <= set(refused)


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ({}, [b"x" * 100], 200),
        ({}, [b"x" * 50, b"x" * 50], 200),
        ({}, [b"x" * 101], 413),
        ({}, [b"x" * 60, b"x" * 60], 413),  # it comes in parts, and nothing says how much
        ({"Content-Length": "100"}, [b"x" * 100], 200),
        ({"Content-Length": "101"}, [b"x" * 101], 413),
        ({"Content-Length": "99999999999999999999"}, [b""], 413),
        ({"Content-Length": "5"}, [b"x" * 200], 413),  # it is counted, and not believed
        ({"Content-Length": "-5"}, [b"x"], 400),
        ({"Content-Length": "5.0"}, [b"x"], 400),
        ({"Content-Length": "٥"}, [b"x"], 400),
    ],
)
def test_the_bytes_of_a_body_are_counted(headers: dict[str, str], parts: list[bytes], status: int) -> None:
    guard = Guard(say_what_came, Access(), replace(SMALL, held_bytes=10_000))
    answer = ask(guard, "POST", headers=headers, parts=parts)
    assert answer.status == status
    assert answer.ended
    if status == 200:
        assert json.loads(answer.body)["size"] == 100
    else:
        assert answer.error
    assert guard._held == guard._running == guard.open == 0


def test_a_refused_body_is_taken_in_so_that_the_client_reads_why(guard: Guard) -> None:
    parts = [b"x" * 50] * 100
    answer = ask(guard, "POST", parts=parts)
    assert answer.status == 413
    assert answer.ended
    assert answer.headers["connection"] == "close"
    endless = ask(guard, "POST", headers={"Host": "evil.example"}, parts=[b"x" * 50] * 100)
    assert endless.status == 421


def test_a_body_that_comes_too_slowly_is_refused(guard: Guard) -> None:
    answer = ask(guard, "POST", parts=[b"x"] * 50, pause=0.01)
    assert answer.status == 408
    assert "took longer than 0.05 s" in answer.error


def test_a_client_that_goes_is_let_go(guard: Guard) -> None:
    answer = ask(guard, "POST", headers={"Content-Length": "50"}, parts=[])
    assert answer.status == 0
    assert guard._held == guard._running == guard.open == 0


def waiting_app(gate: asyncio.Event) -> Callable[..., Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/stream":
            await gate.wait()
        await say_what_came(scope, receive, send)
        if scope["path"] == "/stream":
            await gate.wait()

    return app


def test_so_many_are_answered_at_the_same_time_and_streams_do_not_count() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        guard = Guard(waiting_app(gate), Access(), SMALL)
        streams = [asyncio.create_task(asked(guard, path="/stream")) for _ in range(5)]
        running = [asyncio.create_task(asked(guard)) for _ in range(2)]
        await asyncio.sleep(0.01)
        one_more = await asked(guard)
        assert one_more.status == 429
        assert one_more.headers["retry-after"] == "1"
        assert guard.open == 7
        gate.set()
        assert [(await task).status for task in running + streams] == [200] * 7
        assert (await asked(guard)).status == 200
        assert guard.open == 0

    asyncio.run(main())


def test_so_many_bytes_are_held_at_the_same_time() -> None:
    async def main() -> None:
        gate = asyncio.Event()
        guard = Guard(waiting_app(gate), Access(), SMALL)
        first = asyncio.create_task(asked(guard, "POST", parts=[b"x" * 90]))
        await asyncio.sleep(0.01)
        assert (await asked(guard, "POST", parts=[b"x" * 90])).status == 429
        gate.set()
        assert (await first).status == 200
        assert (await asked(guard, "POST", parts=[b"x" * 90])).status == 200

    asyncio.run(main())


def test_once_it_stops_new_requests_are_refused_and_who_watches_is_told(guard: Guard) -> None:
    guard.stopping.set()
    refused = ask(guard)
    assert refused.status == 503
    assert refused.headers["retry-after"] == "5"
    assert ask(guard, path="/readyz").status == 200  # the application has the word


def test_a_refusal_of_the_application_and_a_mistake_of_it_have_the_same_form(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def refuses(_: Any, __: Any, ___: Any) -> None:
        raise Refused(415, "no such\x1b[2J kind", {"X-More": "1"})

    async def fails(_: Any, __: Any, ___: Any) -> None:
        raise RuntimeError("an inner secret")

    answer = ask(Guard(refuses))
    assert (answer.status, answer.error, answer.headers["x-more"]) == (415, r"no such\x1b[2J kind", "1")
    mistake = ask(Guard(fails))
    assert mistake.status == 500
    assert "secret" not in mistake.error
    assert "RuntimeError: an inner secret" in capsys.readouterr().err


def test_whoever_counts_is_told_of_each_request_and_of_nothing_in_it() -> None:
    seen: list[Handled] = []
    guard = Guard(say_what_came, Access(), SMALL, seen.append)
    ask(guard, "POST", "/a\n\x1b[2J", query="token=secret", parts=[b"secret"])
    ask(guard, headers={"Host": "evil.example"})
    assert [(one.method, one.path, one.status, one.received) for one in seen] == [
        ("POST", r"/a\n\x1b[2J", 200, 6),
        ("GET", "/", 421, 0),
    ]
    assert all(one.seconds >= 0 for one in seen)


def test_what_is_no_request_of_http_is_not_answered() -> None:
    """WebSockets are not spoken; the start and end of a server are the application's."""
    seen = []

    async def app(scope: Any, _: Any, __: Any) -> None:
        seen.append(scope["type"])

    async def nothing(*_: Any) -> None:
        raise AssertionError("nobody is asked")

    for kind in ("websocket", "lifespan"):
        asyncio.run(Guard(app)({"type": kind}, nothing, nothing))  # type: ignore[arg-type]
    assert seen == ["lifespan"]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False),
     ("example.org", False), ("192.168.1.2", False), ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_who_is_reached_by_this_machine_alone(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
