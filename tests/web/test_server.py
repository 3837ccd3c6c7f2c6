"""The server itself: where it listens, what it refuses before anything is asked, how it ends. Over real connections."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from stepladder.errors import StorageError, StudyError
from stepladder.web import server
from stepladder.web.guard import Access
from stepladder.web.server import TOKEN_VARIABLE, Where, address_of, require_serve, run
from tests.terminal import Terminal, wait_until
from tests.web.served import Served, read_all, served

#: Answers at once, after two seconds, with much, or without end.
PROGRAM = """
import asyncio, sys
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from stepladder.cli.console import EXIT_CODES
from stepladder.web.guard import Limits
from stepladder.web.server import Where, run

async def small(request):
    return JSONResponse({"size": len(await request.body())})

async def slow(request):
    await asyncio.sleep(SLEEP)
    return JSONResponse({"slow": True})

async def large(request):
    async def parts():
        for _ in range(400):
            yield b"x" * 100_000
    return StreamingResponse(parts())

async def events(request):
    stopping = request.scope["stepladder.stopping"]
    async def each():
        while not stopping.is_set():
            yield "data: here\\n\\n"
            await asyncio.sleep(0.05)
    return StreamingResponse(each(), media_type="text/event-stream")

routes = [Route("/", small, methods=["GET", "POST"]), Route("/slow", slow), Route("/large", large)]
app = Starlette(routes=[*routes, Route("/events", events)])
reason = run(app, Where(port=0), limits=Limits(LIMITS), say=lambda text: print(text, flush=True))
raise SystemExit(EXIT_CODES[reason])
"""


def program(limits: str, sleep: float = 1.0) -> str:
    return PROGRAM.replace("LIMITS", limits).replace("SLEEP", str(sleep))


@pytest.fixture(scope="module")
def strict(terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that waits for nobody for long."""
    limits = "body_bytes=1_000_000, header_seconds=1, body_seconds=1, reader_seconds=2, connections=40"
    with served(terminal, tmp_path_factory.mktemp("strict"), program=program(limits)) as running:
        yield running


def get(server: Served, path: str = "/") -> httpx.Response:
    return httpx.get(server.base + path, timeout=20)


def test_it_answers_and_hides_what_it_is_made_of(strict: Served) -> None:
    answer = get(strict)
    assert answer.json() == {"size": 0}
    assert "server" not in answer.headers
    assert strict.printed.read_text().splitlines()[-1] == "Ctrl-C stops it."


@pytest.mark.parametrize(
    "text",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET / HTTP/9.9\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /" + b"x" * 200_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(20_000)) + b"\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nnothex\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no host
    ],
    ids=["tls", "version", "nonsense", "long", "headers", "lengths", "negative", "chunk", "no host"],
)
def test_what_is_no_request_gets_one_sentence(strict: Served, text: bytes) -> None:
    answer = strict.say(text)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.1 421")), answer
    assert list(json.loads(body)) == ["error"]
    assert get(strict).status_code == 200


def test_a_request_smuggled_behind_a_chunk_is_not_answered(strict: Served) -> None:
    """A proxy before it may go by the other of two lengths, and take the second request for a body."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 45\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = strict.say(head + b"0\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.count(b"HTTP/1.1 400") == 1
    assert answer.count(b"HTTP/1.1 ") == 1


def test_connections_that_say_nothing_or_little_are_closed(strict: Served) -> None:
    began = time.monotonic()
    silent, slow = strict.connect(), strict.connect()
    with silent, slow:
        for letter in b"GET / HTTP/1.1\r\nHost: local":
            try:
                slow.sendall(bytes([letter]))
            except (BrokenPipeError, ConnectionResetError):
                break
            time.sleep(0.15)
        assert read_all(slow) == b""
        assert read_all(silent) == b""
    assert time.monotonic() - began < 15


def test_a_connection_that_is_used_again_and_again_stays_open(strict: Served) -> None:
    with httpx.Client(base_url=strict.base, timeout=20) as client:
        for _ in range(6):
            assert client.get("/").status_code == 200
            time.sleep(0.4)
        assert len(client._transport._pool.connections) == 1  # type: ignore[attr-defined]


def test_a_body_that_comes_too_slowly_ends(strict: Served) -> None:
    with strict.connect() as connection:
        connection.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nabc")
        assert b"408" in read_all(connection).partition(b"\r\n")[0]


@pytest.mark.long
def test_a_client_that_reads_nothing_is_dropped_and_others_do_not_wait(strict: Served) -> None:
    with strict.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: len(_sockets(strict.pid)) > 1, strict.printed)
        for _ in range(10):
            assert get(strict).status_code == 200
        assert len(_sockets(strict.pid)) > 1
        wait_until(lambda: len(_sockets(strict.pid)) <= 1, strict.printed)  # only the listener is left


def _sockets(pid: int) -> list[str]:
    """Return what the server has open to listen, and connections that are not over."""
    links = []
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            links.append(str(one.readlink()))
    listed = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    mine = {f"socket:[{line.split()[9]}]" for line in listed if line.split()[3] in ("01", "0A")}
    return [link for link in links if link in mine]


def test_a_large_body_is_refused_before_it_has_come(strict: Served) -> None:
    text = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    with strict.connect() as connection:
        connection.sendall(text)
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413")
    sent = httpx.post(strict.base, content=b"x" * 3_000_000, timeout=20)
    assert sent.status_code == 413
    assert "larger than the 0.954 MB" in sent.json()["error"]


def test_no_more_connections_than_are_allowed(strict: Served) -> None:
    wait_until(lambda: len(_sockets(strict.pid)) <= 1, strict.printed)  # those of other tests have gone
    held = [strict.connect() for _ in range(60)]
    try:
        # The others end after a second without a word; on a busy machine some of them before the last has come.
        refused = [answer for answer in map(read_all, held) if answer]
        assert 0 < len(refused) <= 20
        assert all(answer.startswith(b"HTTP/1.1 503") for answer in refused)
        assert b"40 connections are open already" in refused[0]
    finally:
        for one in held:
            one.close()
    wait_until(lambda: len(_sockets(strict.pid)) <= 1, strict.printed)
    assert get(strict).status_code == 200


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_told_to_stop_it_answers_what_runs_and_refuses_what_comes(
    terminal: Terminal, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    answers: list[httpx.Response] = []
    with served(terminal, tmp_path, program=program("stop_seconds=20", 1.5)) as running:
        asking = threading.Thread(target=lambda: answers.append(get(running, "/slow")))
        with httpx.Client(base_url=running.base, timeout=20) as client, client.stream("GET", "/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "data: here"
            asking.start()
            time.sleep(0.4)
            os.kill(running.pid, number)
            time.sleep(0.3)
            refused = get(running)
            assert refused.status_code == 503
            assert "stops" in refused.json()["error"]
            list(lines)  # the stream ends by itself
        asking.join()
        assert answers[0].json() == {"slow": True}
        assert terminal.wait(running.pid) == code
        assert running.printed.read_text().endswith("Stopped.\n")
        with pytest.raises(httpx.ConnectError):
            get(running)


def test_what_takes_too_long_is_cut_off_within_the_time(terminal: Terminal, tmp_path: Path) -> None:
    with served(terminal, tmp_path, program=program("stop_seconds=0.5", 60)) as running, running.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        began = time.monotonic()
        os.kill(running.pid, signal.SIGTERM)
        assert terminal.wait(running.pid) == 143
        assert time.monotonic() - began < 10
        assert "Stopped; 1 request took too long and got no answer." in running.printed.read_text()


def test_told_twice_it_ends_at_once(terminal: Terminal, tmp_path: Path) -> None:
    with served(terminal, tmp_path, program=program("stop_seconds=100", 60)) as running, running.connect() as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: localhost\r\n\r\n")
        time.sleep(0.3)
        began = time.monotonic()
        os.kill(running.pid, signal.SIGINT)
        time.sleep(0.3)
        os.kill(running.pid, signal.SIGINT)
        assert terminal.wait(running.pid) == 130
        assert time.monotonic() - began < 10


def test_the_next_free_port_is_taken_unless_one_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(server, "DEFAULT_PORT", port)
        with server._listening(Where()) as (listener, found):
            assert found in range(port + 1, port + 101)
            assert listener.getsockname()[0] == "127.0.0.1"
        with (
            pytest.raises(StorageError, match=rf"cannot listen at 127\.0\.0\.1, port {port}: .*give another `port`"),
            server._listening(Where(port=port)),
        ):
            pass
    with pytest.raises(StorageError, match="no such name is known here"), server._listening(Where("no.such.invalid")):
        pass
    with pytest.raises(StorageError, match="cannot listen at 192"), server._listening(Where("192.0.2.1")):
        pass
    with pytest.raises(StudyError, match="`port` is 70000; it must be 0 to 65535"):
        Where(port=70_000)


def test_others_reach_it_only_with_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert Where().make_access().token is None
    open_to_all = Where("0.0.0.0")
    made, other = open_to_all.make_access(), open_to_all.make_access()
    assert made.token != other.token
    assert len(made.token or "") >= 32
    assert made.hosts is None
    assert Where("0.0.0.0", token="sixteen letters!").make_access() == Access(None, "sixteen letters!")
    monkeypatch.setenv(TOKEN_VARIABLE, "from the environment")
    assert Where().make_access().token == "from the environment"


def test_the_address_is_one_that_a_browser_takes() -> None:
    assert address_of("127.0.0.1", 8000) == "http://127.0.0.1:8000/"
    assert address_of("::1", 80, "a&b=c #") == "http://[::1]:80/?token=a%26b%3Dc%20%23"
    assert address_of("0.0.0.0", 1) == f"http://{socket.gethostname()}:1/"


def test_a_notebook_is_told_what_to_do() -> None:
    async def in_a_loop() -> None:
        with pytest.raises(StudyError, match="an event loop that runs already, as in a notebook"):
            run(lambda *_: None)  # type: ignore[arg-type, return-value]

    asyncio.run(in_a_loop())


def test_a_missing_extra_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(StudyError, match=r"needs uvicorn.*pip install 'stepladder\[serve\]'"):
        require_serve()


def test_importing_it_needs_no_extra() -> None:
    lacking = "import sys; sys.modules.update(fastapi=None, uvicorn=None, starlette=None, prometheus_client=None)"
    told = "import stepladder, stepladder.web.server, stepladder.web.guard; stepladder.serve; stepladder.web.Where"
    subprocess.run([sys.executable, "-c", f"{lacking}; {told}; assert 'torch' not in sys.modules"], check=True)


@pytest.mark.soak
def test_a_thousand_connections_at_the_same_time(terminal: Terminal, tmp_path: Path) -> None:
    with served(terminal, tmp_path, program=program("header_seconds=60")) as running:
        held = [running.connect(60) for _ in range(1000)]
        try:
            for one in held:
                one.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\n")
            assert get(running).status_code == 200
            for one in held:
                one.sendall(b"four")
            answers = [one.recv(65_536) for one in held]
            assert all(answer.startswith(b"HTTP/1.1 200") or b" 429 " in answer for answer in answers)
            assert sum(answer.startswith(b"HTTP/1.1 200") for answer in answers) > 900
        finally:
            for one in held:
                one.close()
        wait_until(lambda: len(_sockets(running.pid)) <= 1, running.printed)
        assert get(running).status_code == 200
