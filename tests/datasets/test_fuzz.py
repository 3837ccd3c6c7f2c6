"""Every format, damaged at random: images or a sentence, never a traceback, a hang, or more than a gigabyte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


@settings(
    max_examples=2, deadline=None, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32 - 1))
def test_damaged_files_of_every_format(tmp_path_factory, seed):
    root = tmp_path_factory.mktemp("fuzz")
    command = [sys.executable, str(Path(__file__).with_name("fuzzing.py")), str(root), "30", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout)
    assert found["loaded"] > 20
    assert found["refused"] > 100
    assert found["slowest"] < 20
    assert found["grown"] < 1e9
