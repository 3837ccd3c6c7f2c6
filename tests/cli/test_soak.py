from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]


def test_without_proc_it_says_so(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stepladder.bench.soak_records.can_be_watched", lambda: False)
    outcome = stepladder("bench", "soak")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: a soak reads memory and open files from /proc, which this system lacks")
