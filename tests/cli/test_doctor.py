"""``stepladder doctor``: the machine, its arithmetic and why, as a table and for programs."""

from __future__ import annotations

import json
import platform

import pytest

from stepladder.bench import doctor as examination
from stepladder.datasets.cache import cache_folder
from stepladder.training.arithmetic import Arithmetic, precision_by_features


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    """Products and steps that take no time: what they measure is tested where they are."""
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(examination, "matrix_rates", lambda compute, products: {"float32": 91e9})
    chosen = Arithmetic("float32", "only")
    monkeypatch.setattr(examination, "choose_arithmetic", lambda *_: chosen)
    monkeypatch.setattr(examination, "measure_arithmetic", lambda *_: chosen)


def test_it_says_what_is_used_here_and_why(quick, stepladder):
    printed = " ".join(stepladder("doctor").out.split())
    assert "91 GFLOP/s on all cores" in printed
    assert "float32; this device does not multiply bfloat16 natively" in printed
    assert f"By the features alone {precision_by_features()}" in printed


def test_programs_read_the_same(quick, stepladder):
    found = json.loads(stepladder("doctor", "--json").out)
    assert found["machine"]["cores"] >= 1
    assert found["versions"]["python"] == platform.python_version()
    assert found["chosen"]["precision"] == "float32"
    assert found["cache"] == str(cache_folder())
    assert found["extras"]["pandas"]["pandas"]
    assert set(found["products"]) <= {"float32", "bfloat16"}
