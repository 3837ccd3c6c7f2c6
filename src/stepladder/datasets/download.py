"""Published files, fetched when asked for: resumable, one process at a time, checked before anything reads them."""

from __future__ import annotations

import hashlib
import http
import http.client
import os
import re
import shutil
import stat
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from filelock import FileLock

from stepladder.datasets.cache import cache_folder, private_folder
from stepladder.errors import DataError, StorageError
from stepladder.files import sync_folder

#: Called with (file name, bytes done, bytes in all).
DownloadProgress = Callable[[str, int, int], None]

#: How often in a row a connection may break without a single new byte before the next address is tried.
MAX_FRUITLESS = 3

#: A connection that says nothing for so long is broken, seconds.
TIMEOUT_SECONDS = 30.0

_PIECE = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Published:
    """A file that its authors publish.

    Attributes:
        name: its name in the cache; the sets' files must not share one.
        urls: where it is, http or https, the first one first.
        size: bytes.
        sha256: of the content, hex.
    """

    name: str
    urls: tuple[str, ...]
    size: int
    sha256: str

    @property
    def host(self) -> str:
        """Where it comes from, for messages."""
        return self.urls[0].split("/")[2]


def downloads() -> Path:
    """Return the folder of what was fetched, a part of the cache; it need not exist."""
    return cache_folder() / "downloads"


def kept(published: Published) -> Path | None:
    """Return the path of ``published`` in the cache, or None; a file that is there has been checked again.

    Raises:
        DataError: what is there is not the published file. It is removed.
    """
    path = downloads() / published.name
    if not path.is_file():
        return None
    if path.stat().st_size == published.size and sha256_of(path) == published.sha256:
        return path
    path.unlink(missing_ok=True)
    raise DataError(
        f"{path} was damaged (its SHA-256 is not the published one) and has been removed; fetch it again with "
        "`download=True`"
    )


def fetch(published: Published, on_progress: DownloadProgress | None = None) -> Path:
    """Return the path of ``published`` in the cache; fetch it first if it is not there.

    What is on its way lies beside it as ``.part``. A connection that breaks goes on from there (RFC 9110, section 14),
    now or at the next call; the file takes its name when its SHA-256 is right, so that a kill at any moment leaves none
    or a whole one. Other processes that want it wait.

    Raises:
        DataError: no address answers, or what they give is not the published file (it is removed).
        StorageError: the cache cannot be written or has too little space.
    """
    folder = downloads()
    try:
        private_folder(folder)
        with FileLock(folder / f"{published.name}.lock"):
            path = kept(published)
            return _fetch_into(folder, published, on_progress) if path is None else path
    except OSError as error:
        raise StorageError(
            f"cannot write {error.filename or folder}: {error.strerror or error}; set STEPLADDER_CACHE to a folder "
            "with permission and space"
        ) from error


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at ``path``, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _BrokenError(Exception):
    """An attempt that failed, with the reason; another one may not."""


class _NoOtherSchemes(urllib.request.HTTPRedirectHandler):
    """Redirects stay on http and https: ftp or a file of this computer is no mirror."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith(("http://", "https://")):
            raise _BrokenError(f"it redirects to {newurl}, which is neither http nor https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _fetch_into(folder: Path, published: Published, on_progress: DownloadProgress | None) -> Path:
    part = folder / f"{published.name}.part"
    with suppress(FileNotFoundError):
        there = part.lstat()
        if not stat.S_ISREG(there.st_mode) or there.st_nlink > 1:  # to go on with it would write somewhere else
            part.unlink()
    have = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(folder).free
    if free < published.size - have:
        raise StorageError(
            f"{published.name} takes {published.size / 1e6:,.0f} MB and {folder} has {free / 1e6:,.0f} MB free; make "
            "space, or set STEPLADDER_CACHE to another folder"
        )
    reasons = []
    for url in published.urls:
        resumed = part.exists() and part.stat().st_size > 0
        reason = _fetch_from(url, part, published, on_progress)
        if reason is None and sha256_of(part) != published.sha256 and resumed:
            # The start may come from another place or time than the end: once more, whole.
            part.unlink()
            reason = _fetch_from(url, part, published, on_progress)
        if reason is None:
            found = sha256_of(part)
            if found == published.sha256:
                part.replace(folder / published.name)
                sync_folder(folder)
                return folder / published.name
            part.unlink()
            reason = f"it gave a file with SHA-256 {found} instead of {published.sha256}, which was removed"
        reasons.append(f"{url}: {reason}")
    raise DataError(
        f"{published.name} could not be fetched ({'; '.join(reasons)}); try again later, which goes on from what is "
        "there, or get the file another way and give `data_dir`"
    )


def _fetch_from(url: str, part: Path, published: Published, on_progress: DownloadProgress | None) -> str | None:
    """Fill ``part`` from one address, going on when the connection breaks; return why not, or None."""
    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        if before == published.size:
            return None
        if before > published.size:
            part.unlink()
            before = 0
        try:
            _attempt(url, part, before, published, on_progress)
            reason = "the connection broke"
        except urllib.error.HTTPError as error:
            reason = f"it answers {error.code} {error.reason}"
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                part.unlink(missing_ok=True)
            elif error.code < 500:
                return reason
        except (_BrokenError, http.client.HTTPException, urllib.error.URLError, TimeoutError, ConnectionError) as error:
            reason = str(getattr(error, "reason", "") or error) or type(error).__name__
        have = part.stat().st_size if part.exists() else 0
        if have == published.size:
            return None
        fruitless = 0 if have > before else fruitless + 1
        if fruitless >= MAX_FRUITLESS:
            return f"{reason} ({have:,} of {published.size:,} bytes)"


def _attempt(url: str, part: Path, have: int, published: Published, on_progress: DownloadProgress | None) -> None:
    """Read one answer to its end, or until the file has its published size: a server cannot fill the disk."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "stepladder"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with _opened(url, headers) as answer:
        start = _start_of(answer, have)
        # Made here or left by an earlier attempt; never a link.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(part, flags, 0o666), "r+b") as file:
            file.seek(start)
            file.truncate()
            done = start
            while done < published.size:
                piece = _read(answer, min(_PIECE, published.size - done))
                if not piece:
                    break
                file.write(piece)
                done += len(piece)
                if on_progress is not None:
                    on_progress(published.name, done, published.size)
            file.flush()
            os.fsync(file.fileno())
        if done == published.size and _read(answer, 1):
            part.unlink()
            raise _BrokenError(f"it gives more than the published {published.size:,} bytes")


def _read(answer: http.client.HTTPResponse, most: int) -> bytes:
    # Here and not around the whole attempt: an OSError of the disk must not look like one of the network.
    try:
        return answer.read(most)
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(str(error) or type(error).__name__) from error


@contextmanager
def _opened(url: str, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
    opener = urllib.request.build_opener(_NoOtherSchemes)
    with opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS) as answer:
        yield answer


def _start_of(answer: http.client.HTTPResponse, have: int) -> int:
    """Return where in the file the answer starts: 0 where the server ignores ranges."""
    if answer.status != http.HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        raise _BrokenError(f"it gives the part '{answer.headers.get('Content-Range')}', not the one from byte {have}")
    return have
