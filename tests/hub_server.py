"""A server that speaks the Hugging Face Hub's protocol as far as its client needs it here: list, fetch, make, commit.

Repositories are kept in memory: by kind and name, by revision, by file. Every request is noted.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Files = dict[str, bytes]


class Hub(ThreadingHTTPServer):
    """The server.

    Attributes:
        repos: by (``models`` or ``datasets``, ``user/name``): by revision: files.
        asked: method and path of every request, and whether it brought a token.
        private: of repositories that were made so.
        token: without it nothing is written.
        listed: files that a list tells of beside those that there are, with their bytes: what a hostile one would.
    """

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], dict[str, Files]] = {}
        self.asked: list[tuple[str, str, bool]] = []
        self.private: set[str] = set()
        self.token = "hf_made_up"
        self.listed: dict[str, int] = {}
        self.messages: list[str] = []
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, kind: str, name: str, files: Files, revision: str = "main") -> None:
        self.repos.setdefault((kind, name), {})[revision] = files

    def paths(self) -> list[str]:
        return [path for _, path, _ in self.asked]


@contextmanager
def hub_server() -> Iterator[Hub]:
    with Hub() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def commit_of(files: Files) -> str:
    return hashlib.sha1(repr(sorted((name, len(content)) for name, content in files.items())).encode()).hexdigest()


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self._note()
        if path == "/api/whoami-v2":
            return self._json(
                {"type": "user", "name": "somebody", "auth": {}} if self._token else {}, 200 if self._token else 401
            )
        if found := re.fullmatch(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            return self._list(found[1], found[2], found[3] or "main")
        if found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/(refs/convert/parquet|[^/]+)/(.+)", path):
            return self._file("datasets" if found[1] else "models", found[2], found[3], found[4])
        return self._json({"error": "no such page"}, 404)

    def do_POST(self) -> None:
        path = self._note()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "/api/validate-yaml":  # of a card; the real one knows more
            head = json.loads(body)["content"].split("---")[1]
            known = re.search(r"^license: [a-z0-9.-]+$", head, re.MULTILINE) and "license: unknown" not in head
            return self._json({"errors": [] if known else [{"message": "license"}], "warnings": []})
        if not self._token:
            return self._json({"error": "Unauthorized"}, 401)
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
            if asked.get("private") or asked.get("visibility") == "private":
                self.server.private.add(name)
            self.server.repos.setdefault(("models", name), {"main": {}})
            return self._json({"url": f"{self.server.address}/{name}"})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/branch/(.+)", path):
            self.server.repos["models", found[1]].setdefault(found[2], {})
            return self._json({})
        if re.fullmatch(r"/api/models/([^/]+/[^/]+)/preupload/(.+)", path):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for one in json.loads(body)["files"]
            ]
            return self._json({"files": files})
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+)/commit/(.+)", path):
            return self._commit(found[1], found[2], body)
        return self._json({"error": "no such page"}, 404)

    def _commit(self, name: str, revision: str, body: bytes) -> None:
        files = self.server.repos["models", name].setdefault(revision, {})
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "header":
                self.server.messages.append(entry["value"]["summary"])
        oid = commit_of(files)
        self._json({"success": True, "commitOid": oid, "commitUrl": f"{self.server.address}/{name}/commit/{oid}"})

    def _find(self, kind: str, name: str, revision: str) -> Files | None:
        by_revision = self.server.repos.get((kind, name))
        if by_revision is None:
            self._json({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return None
        for known, files in by_revision.items():
            if revision in (known, commit_of(files)):
                return files
        self._json({"error": "Revision not found"}, 404, {"X-Error-Code": "RevisionNotFound"})
        return None

    def _list(self, kind: str, name: str, revision: str) -> None:
        files = self._find(kind, name, revision)
        if files is None:
            return
        sizes = {each: len(content) for each, content in files.items()} | self.server.listed
        siblings = [{"rfilename": each, "size": size, "blobId": "0" * 40} for each, size in sizes.items()]
        self._json(
            {
                "id": name,
                "sha": commit_of(files),
                "siblings": siblings,
                "private": False,
                "tags": [],
                "downloads": 0,
                "likes": 0,
            }
        )

    def _file(self, kind: str, name: str, revision: str, file: str) -> None:
        files = self._find(kind, name, revision)
        if files is None:
            return
        if file not in files:
            self._json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            return
        content = files[file]
        headers = {"X-Repo-Commit": commit_of(files), "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        self._send(content, 200, {**headers, "Content-Type": "application/octet-stream", "Accept-Ranges": "none"})

    @property
    def _token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.server.token}"

    def _note(self) -> str:
        path = unquote(urlsplit(self.path).path)
        parse_qs(urlsplit(self.path).query)
        self.server.asked.append((self.command, path, "Authorization" in self.headers))
        return path

    def _json(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(document).encode(), status, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, content: bytes, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def hub_for_this_process(folder: Any, token: str | None = "hf_made_up") -> Iterator[Hub]:
    """Point the real client at a server of ours, with caches in ``folder``; its variables it read on import."""
    import huggingface_hub.constants as constants
    import pytest

    with hub_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", server.address)
        patch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.address + "/{repo_id}/resolve/{revision}/{filename}"
        )
        patch.setattr(constants, "HF_HUB_CACHE", str(folder / "hub"))
        patch.setattr(constants, "HF_TOKEN_PATH", str(folder / "token"))
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patch.setattr(constants, "HF_HUB_OFFLINE", False)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
            patch.delenv(name, raising=False)
        if token is not None:
            patch.setenv("HF_TOKEN", token)
        yield server
