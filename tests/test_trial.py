"""The module for scripts: what a study tells them, what they leave, and that it costs nothing."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from stepladder import trial


def test_by_hand_the_seed_is_0_and_test_may_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (trial.SEED, trial.OUT, trial.READ_TEST, trial.FRACTION):
        monkeypatch.delenv(name, raising=False)
    run = trial.start()
    assert (run.seed, run.out, run.read_test, run.fraction, run.in_study) == (0, Path(), True, 1.0, False)


def test_in_a_study_it_is_as_the_study_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(trial.SEED, "7")
    monkeypatch.setenv(trial.OUT, str(tmp_path))
    monkeypatch.setenv(trial.READ_TEST, "0")
    monkeypatch.setenv(trial.FRACTION, "0.3")
    run = trial.start()
    assert (run.seed, run.out, run.read_test, run.fraction, run.in_study) == (7, tmp_path, False, 0.3, True)
    assert run.checkpoint == tmp_path / "checkpoint"
    path = run.finish(val=0.5, test=None, loss=1, history=[{"epoch": 1, "loss": 2.0}, {"epoch": 2, "acc": 0.5}])
    assert json.loads(path.read_text()) == {"loss": 1.0, "val": 0.5, "history": "history.csv"}
    assert (tmp_path / "history.csv").read_text() == "epoch,loss,acc\n1,2.0,\n2,,0.5\n"
    assert not list(tmp_path.glob(".result*"))


def test_a_score_that_is_no_number_is_written_as_such(tmp_path: Path) -> None:
    run = trial.TrialRun(0, tmp_path, tmp_path, read_test=True, fraction=1.0, in_study=False)
    assert math.isnan(json.loads(run.finish(test=math.nan).read_text())["test"])


def test_it_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from stepladder import trial; trial.start(); print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
