"""Downloads from a server that breaks, lies, ignores ranges and sends elsewhere: the right bytes or none."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import download
from stepladder.datasets.download import Published, downloads, fetch, kept
from stepladder.errors import DataError, StorageError

CONTENT = np.random.default_rng(0).integers(0, 256, 700_000, dtype=np.uint8).tobytes()


class Server(ThreadingHTTPServer):
    """Answers with CONTENT, spoiled as its fields say; remembers the ranges that were asked for."""

    daemon_threads = True
    ranges: list[str | None]
    break_after: list[int]
    ignore_ranges = False
    wrong_range = False
    claim = 0
    content = CONTENT
    status = 200
    redirect = ""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if self.path == "/moved" or server.redirect:
            self.send_response(302)
            self.send_header("Location", server.redirect or "/file")
            self.end_headers()
            return
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and not server.ignore_ranges else 0
        body = server.content[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start + 7 if server.wrong_range else start
            self.send_header("Content-Range", f"bytes {first}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(body) + server.claim))
        self.end_headers()
        if server.break_after:
            body = body[: server.break_after.pop(0)]
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server(("127.0.0.1", 0), Handler)
    running.ranges, running.break_after = [], []
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def published(server: Server, path: str = "/file", **changes: object) -> Published:
    values = {
        "name": "file.gz",
        "urls": (f"http://127.0.0.1:{server.server_port}{path}",),
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
    }
    return Published(**{**values, **changes})


def left() -> set[str]:
    return {path.name for path in downloads().iterdir()} - {"file.gz.lock"}


def test_the_whole_file_with_progress(server, own_cache):
    seen = []
    assert kept(published(server)) is None
    path = fetch(published(server), lambda name, done, total: seen.append((name, done, total)))
    assert path == own_cache / "downloads" / "file.gz" == kept(published(server))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("file.gz", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert left() == {"file.gz"}
    fetch(published(server))
    assert len(server.ranges) == 1  # the second time from the cache


def test_a_broken_connection_goes_on(server):
    server.break_after = [100_000, 250_000]
    assert fetch(published(server)).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-", "bytes=350000-"]


def test_a_later_call_goes_on(server):
    server.break_after = [300_000, 0, 0, 0]
    with pytest.raises(DataError, match=r"300,000 of 700,000 bytes.*try again later, which goes on from what is there"):
        fetch(published(server))
    assert left() == {"file.gz.part"}
    assert fetch(published(server)).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=300000-"
    assert left() == {"file.gz"}


def test_a_server_without_ranges_starts_again(server):
    server.ignore_ranges, server.break_after = True, [300_000]
    assert fetch(published(server)).read_bytes() == CONTENT


def test_another_part_than_was_asked_for_is_not_taken(server):
    server.wrong_range, server.break_after = True, [300_000]
    with pytest.raises(DataError, match="not the one from byte 300000"):
        fetch(published(server))


def test_a_wrong_file_is_removed_and_named(server):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(DataError, match=r"file\.gz could not be fetched .*SHA-256 \w{64} instead of \w{64}, .*removed"):
        fetch(published(server))
    assert left() == set()


def test_a_start_from_elsewhere_is_fetched_again_whole(server):
    downloads().mkdir(parents=True)
    (downloads() / "file.gz.part").write_bytes(b"x" * 1000)
    assert fetch(published(server)).read_bytes() == CONTENT
    assert server.ranges == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [len(CONTENT), len(CONTENT) + 5])
def test_a_full_but_wrong_start_is_fetched_again(server, size):
    downloads().mkdir(parents=True)
    (downloads() / "file.gz.part").write_bytes(b"x" * size)
    assert fetch(published(server)).read_bytes() == CONTENT


def test_more_than_was_published_never_fills_the_disk(server):
    server.content = CONTENT + b"more" * 1_000_000
    with pytest.raises(DataError, match="more than the published 700,000 bytes"):
        fetch(published(server))
    assert left() == set()


def test_a_length_that_lies(server):
    server.claim = 1_000_000
    assert fetch(published(server)).read_bytes() == CONTENT
    (downloads() / "file.gz").unlink()
    server.claim, server.content = 0, CONTENT[:-10]
    with pytest.raises(DataError, match="699,990 of 700,000 bytes"):
        fetch(published(server))


def test_redirects_are_followed_on_http_alone(server):
    assert fetch(published(server, "/moved")).read_bytes() == CONTENT
    (downloads() / "file.gz").unlink()
    for elsewhere in ("ftp://127.0.0.1/file", "file:///etc/passwd"):
        server.redirect = elsewhere
        with pytest.raises(DataError, match=r"neither http nor https|not allowed"):
            fetch(published(server))


def test_the_next_address_is_tried(server):
    good = published(server).urls[0]
    dead = "http://127.0.0.1:1/file"
    assert fetch(published(server, urls=(dead, good))).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [404, 503])
def test_answers_that_are_no_file(server, status):
    server.status = status
    with pytest.raises(DataError, match=f"it answers {status}"):
        fetch(published(server))
    assert len(server.ranges) == (1 if status == 404 else download.MAX_FRUITLESS)


def test_no_server_at_all(server):
    with pytest.raises(DataError, match=r"file\.gz could not be fetched .*refused.*`data_dir`"):
        fetch(published(server, urls=("http://127.0.0.1:1/file",)))


def test_too_little_space(server, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(StorageError, match=r"takes 1 MB and .* has 0 MB free; make space, or set STEPLADDER_CACHE"):
        fetch(published(server))
    assert server.ranges == []


def test_a_cache_that_cannot_be_written(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError, match=r"cannot write .*; set STEPLADDER_CACHE"):
        fetch(published(server))


def _fetch_in_process(known: Published, cache: str, results) -> None:
    os.environ["STEPLADDER_CACHE"] = cache
    results.put(Path(fetch(known)).read_bytes() == CONTENT)


def test_two_processes_fetch_one_file(server, own_cache):
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    arguments = (published(server), str(own_cache), results)
    processes = [context.Process(target=_fetch_in_process, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    assert [results.get(timeout=120) for _ in processes] == [True] * 3
    for process in processes:
        process.join()
    assert len(server.ranges) == 1


@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_planted_link_is_not_written_through(server, own_cache, tmp_path, link):
    precious = tmp_path / "precious"
    precious.write_bytes(b"7 bytes")
    (own_cache / "downloads").mkdir(parents=True)
    getattr(own_cache / "downloads" / "file.gz.part", link)(precious)
    assert fetch(published(server)).read_bytes() == CONTENT
    assert precious.read_bytes() == b"7 bytes"
    assert left() == {"file.gz"}


def test_a_link_in_place_of_the_folder_is_a_sentence(server, own_cache, tmp_path):
    (tmp_path / "foreign").mkdir()
    own_cache.mkdir(exist_ok=True)
    (own_cache / "downloads").symlink_to(tmp_path / "foreign")
    with pytest.raises(StorageError, match=r"cannot write .*downloads: it is a link or no folder; set"):
        fetch(published(server))
    assert list((tmp_path / "foreign").iterdir()) == []
