"""SIGKILL at a hundred random moments, half of them inside writes: at the end the bits of an undisturbed run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from stepladder.studies.check import check_study
from stepladder.studies.files.bits import bits

from .small import run_small


@pytest.mark.soak
def test_killed_a_hundred_times_it_ends_with_the_same_bits(tmp_path: Path) -> None:
    run_small(tmp_path / "whole")
    whole = bits(tmp_path / "whole")
    assert (
        sum(name.endswith(".safetensors") for name in whole) == 18
    )  # six models, and what they predict on test and on validation
    command = [sys.executable, str(Path(__file__).with_name("hammer.py")), str(tmp_path), "100", "7"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["in a write"] + told["at a moment"] >= 100
    assert min(told["in a write"], told["at a moment"]) >= 30
    for number in range(told["studies"]):
        study = tmp_path / str(number)
        assert bits(study) == whole
        assert not list(study.rglob("checkpoint")), "trials that have ended need none"
        assert not list(study.glob("trials/**/.*.part")), "what was half written was removed"
        assert not [fault for fault in check_study(study) if fault.is_fault]
