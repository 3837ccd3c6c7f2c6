from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.__main__ import run


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def measure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """``python -m benchmarks`` in this process, in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    # In bfloat16 the product of 2048² takes minutes on a processor that has no such instructions.
    monkeypatch.setattr("stepladder.bench.engine._MATRIX", 64)

    def call(*arguments: str) -> Outcome:
        code = run(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call
