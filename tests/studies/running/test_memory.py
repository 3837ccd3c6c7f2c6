import ctypes
import sys
from pathlib import Path

import numpy as np
import pytest

from stepladder.studies.running.memory import give_back


def held() -> float:
    """Megabytes that this process holds, without files."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("Anonymous:"))


def has_glibc() -> bool:
    return sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "malloc_trim")


@pytest.mark.skipif(not has_glibc(), reason="this C library gives freed memory back by itself")
def test_what_was_freed_in_small_pieces_is_given_back() -> None:
    pieces = [np.ones(4_000) for _ in range(4_000)]  # 128 MB, each too small to be mapped by itself
    kept = pieces[-1]
    before = held()
    del pieces
    give_back()
    assert before - held() > 60
    assert kept.sum() == 4_000


def test_another_system_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ctypes, "CDLL", None)
    give_back()
