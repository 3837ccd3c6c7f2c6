"""What a page was told: plain values by key, and which of them changed since it last heard.

A page that listens keeps one number, the version that it has, and gets what changed after it. So a slow one costs no
memory and holds up nobody: when it listens again it gets the newest of everything, once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from threading import Lock
from typing import Any

from stepladder.errors import printable

#: Texts that are kept for pages which ask for the same changes.
_KEPT = 64


class Board:
    """Values by key, each with the version at which it last changed; a writer in a thread, readers in a loop.

    Attributes:
        version: of the newest change.
        readers: how many listen.
    """

    def __init__(self) -> None:
        self.version = 0
        self.readers = 0
        self._lock = Lock()
        #: In the order of their last change; None for a key that is gone.
        self._values: dict[str, tuple[int, Any]] = {}
        self._texts: dict[tuple[int, int], str] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._news = asyncio.Event()

    def put(self, values: Mapping[str, Any], *, whole: bool = False) -> int:
        """Note values, and tell who listens where any differs from before; return how many do.

        Args:
            whole: whether every key that is not among them is gone.
        """
        with self._lock:
            changes = {key: value for key, value in values.items() if self._of(key) != value}
            if whole:
                old = [key for key, (_, value) in self._values.items() if value is not None and key not in values]
                changes |= dict.fromkeys(old)
            if not changes:
                return 0
            self.version += 1
            for key, value in changes.items():
                self._values.pop(key, None)  # so that it comes last
                self._values[key] = (self.version, value)
            self._texts.clear()
        self._tell()
        return len(changes)

    def _of(self, key: str) -> Any:
        found = self._values.get(key)
        return None if found is None else found[1]

    def get(self, key: str) -> Any:
        """Return a value; None where there is none."""
        with self._lock:
            return self._of(key)

    def changes_since(self, version: int) -> tuple[int, dict[str, Any]]:
        """Return the newest version and all values that changed after ``version``; None for keys that are gone.

        Args:
            version: -1 for all that there is.
        """
        with self._lock:
            changed: dict[str, Any] = {}
            for key, (at, value) in reversed(self._values.items()):
                if at <= version:
                    break
                if version >= 0 or value is not None:
                    changed[key] = value
            return self.version, changed

    def text_since(self, version: int) -> tuple[int, str]:
        """Return the same as JSON on one line, made once for all pages that ask for it; empty where nothing changed."""
        with self._lock:
            found = self._texts.get((version, self.version))
            now = self.version
        if found is not None:
            return now, found
        now, changed = self.changes_since(version)
        text = ""
        if changed:
            text = json.dumps({"version": now, "changed": changed}, ensure_ascii=False, separators=(",", ":"))
            text = printable(text, as_json=True)
        with self._lock:
            if len(self._texts) < _KEPT:
                self._texts[version, now] = text
        return now, text

    async def wait(self, version: int, seconds: float) -> None:
        """Return when there is something newer than ``version``, or after so many seconds."""
        self._loop = asyncio.get_running_loop()
        news = self._news
        if self.version > version:
            return
        try:
            await asyncio.wait_for(news.wait(), seconds)
        except TimeoutError:
            return

    def _tell(self) -> None:
        loop = self._loop
        if loop is not None and not loop.is_closed():
            try:
                loop.call_soon_threadsafe(self.wake)
            except RuntimeError:  # it was closed just now
                return

    def wake(self) -> None:
        """Wake everyone who waits; called in the loop."""
        news, self._news = self._news, asyncio.Event()
        news.set()
