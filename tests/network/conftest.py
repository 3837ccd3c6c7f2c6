"""Networks of a user's own for several files of tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.network import own

WriteNetwork = Callable[..., str]


@pytest.fixture
def unnamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget which files were named in this process, as another process would not know."""
    monkeypatch.setattr(own, "_NAMED", {})
    monkeypatch.setattr(own, "_MODULES", {})


@pytest.fixture
def write(tmp_path: Path, unnamed: None) -> WriteNetwork:
    """Write a file of Python; return its path with ``:build``."""

    def make(text: str, name: str = "net.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return f"{path}:build"

    return make
