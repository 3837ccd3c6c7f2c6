"""Trackio's database, read back; in a process of its own, because its folder is settled when it is imported."""

from __future__ import annotations

import importlib.util
import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from stepladder.errors import RecipeError
from stepladder.studies.files.store import load_study
from stepladder.studies.track import make_trackers
from tests.studies.track.conftest import run_alone

#: Trackio needs pillow < 13, and constraints.txt pins 13, so it has an environment of its own: make trackio makes it.
OWN = Path(__file__).parents[3] / ".trackio/bin/python"
PYTHON = sys.executable if importlib.util.find_spec("trackio") else str(OWN)
# It ends the process that several tests share (pytest-xdist), and make trackio runs it alone.
installed = pytest.mark.skipif(
    not Path(PYTHON).exists() or "PYTEST_XDIST_WORKER" in os.environ,
    reason="trackio needs pillow < 13, and constraints.txt pins 13; make trackio tests it",
)


@installed
def test_a_study_is_a_project_with_a_run_a_trial(tmp_path: Path) -> None:
    command = ["study", "digits", "--limit", "20", "--epochs", "2", "--seeds", "1", "--rung", "base:"]
    command += ["--rung", "+mix:mixup", "--out", "my study", "--track", "trackio", "--json"]
    elsewhere = {"TRACKIO_SPACE_ID": "somebody/space", "TRACKIO_WEBHOOK_URL": "http://localhost:9", "HF_TOKEN": "hf_x"}
    done = run_alone(tmp_path, *command, python=PYTHON, **elsewhere)
    assert done.returncode == 0, done.stderr
    assert "CONNECTS" not in done.stderr
    assert "The tracker" not in done.stderr
    assert json.loads(done.stdout)["folder"] == "my study"
    (database,) = (tmp_path / "my study" / "tracking" / "trackio").glob("*.db")
    assert database.stem == "my-study"
    with sqlite3.connect(database) as connection:
        rows = connection.execute("select run_name, step, metrics from metrics order by id").fetchall()
        configs = dict(connection.execute("select run_name, config from configs").fetchall())
    assert json.loads(configs["mix-seed0"])["techniques"] == "mixup"
    assert json.loads(configs["mix-seed0"])["_Group"] == "mix"
    assert json.loads(configs["verdicts"])["mix/verdict"] == "no verdict"
    for trial in load_study(tmp_path / "my study").trials:
        mine = [(step, json.loads(metrics)) for name, step, metrics in rows if name == f"{trial.rung}-seed0"]
        curve = [(step, figures["val/accuracy"]) for step, figures in mine if "val/accuracy" in figures]
        assert curve == [(record.epoch, record.val_accuracy) for record in trial.history]
        assert mine[-1][0] == 2
        assert mine[-1][1]["result/test_accuracy"] == trial.result.test_accuracy


def test_without_the_library_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRACKIO_DIR", "HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "1")  # which it sets for its process, and this is that of all tests
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(RecipeError, match=r"needs trackio, .*pip install 'stepladder\[track\]'"):
        make_trackers(["trackio"], tmp_path, print)
