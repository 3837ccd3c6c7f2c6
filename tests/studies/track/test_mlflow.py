"""MLflow, the real library: its database, read back by its own client."""

from __future__ import annotations

import json
import sqlite3
import sys
from pathlib import Path

import pytest

from stepladder.errors import RecipeError
from stepladder.studies.files.store import load_study
from stepladder.studies.track import make_trackers
from tests.studies.track.conftest import STUDY, run_alone

pytest.importorskip("mlflow", reason="the extra 'track' is not installed")


def table(database: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(database) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # SQLAlchemy's, of how MLflow uses it; studies hear nothing
def test_what_it_is_told_is_in_its_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        monkeypatch.setenv(name, "true")  # which it sets for its process, and this is that of all tests
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (callbacks,) = make_trackers(["mlflow"], tmp_path / "my study", print)
    tracker = callbacks.tracker
    settings = {"rung": "it's", "batch_size": 32, "network": "conv3-4 " * 1000}
    tracker.start("it-s-seed0", settings, 0)
    tracker.log(0, {"val/accuracy": 0.25})
    tracker.end(finished=True)
    tracker.start("it-s-seed0", settings, 1)  # another process goes on with it
    tracker.log(1, {"val/accuracy": 0.5})
    tracker.end(finished=True)
    tracker.start("it-s-seed1", settings, 0)
    tracker.end(finished=False)
    tracker.add("it-s-seed0", settings, 1, {"result/test_accuracy": 0.75})
    for verdict in ("undecided", "helped"):  # seeds were added
        tracker.summarize({"it's/verdict": verdict, "it's/mean": 0.5})
    database = tmp_path / "my study" / "tracking" / "mlflow" / "mlflow.db"
    runs = {
        str(name): (str(uuid), status)
        for uuid, name, status in table(database, "select run_uuid, name, status from runs")
    }
    assert {name: status for name, (_, status) in runs.items()} == {
        "it’s": "FINISHED",
        "it-s-seed0": "FINISHED",
        "it-s-seed1": "FAILED",
        "verdicts": "FINISHED",
    }
    tags = {(uuid, key): value for key, value, uuid in table(database, "select key, value, run_uuid from tags")}
    assert tags[runs["it-s-seed1"][0], "mlflow.parentRunId"] == runs["it’s"][0]
    assert tags[runs["verdicts"][0], "it-s/verdict"] == "helped"
    rows = table(database, f"select key, step, value from metrics where run_uuid = '{runs['it-s-seed0'][0]}'")
    assert sorted(rows) == [("result/test_accuracy", 1, 0.75), ("val/accuracy", 0, 0.25), ("val/accuracy", 1, 0.5)]


@pytest.mark.soak
def test_a_study_is_an_experiment_with_a_run_a_trial_below_its_rung(tmp_path: Path) -> None:
    done = run_alone(tmp_path, "study", "digits", *STUDY, "--out", "my study", "--track", "mlflow", "--json")
    assert done.returncode == 0, done.stderr
    assert "CONNECTS" not in done.stderr
    assert "The tracker" not in done.stderr
    assert json.loads(done.stdout)["folder"] == "my study"
    database = tmp_path / "my study" / "tracking" / "mlflow" / "mlflow.db"
    (name,) = table(database, "select name from experiments where name != 'Default'")[0]
    assert name == "my study"
    runs = {
        str(name): (str(uuid), status)
        for uuid, name, status in table(database, "select run_uuid, name, status from runs")
    }
    assert set(runs) == {"base", "base-seed0", "mix", "mix-seed0", "verdicts"}
    assert {status for _, status in runs.values()} == {"FINISHED"}
    tags = {(uuid, key): value for key, value, uuid in table(database, "select key, value, run_uuid from tags")}
    for trial in load_study(tmp_path / "my study").trials:
        uuid, _ = runs[f"{trial.rung}-seed0"]
        assert tags[uuid, "mlflow.parentRunId"] == runs[trial.rung][0]
        rows = table(database, f"select key, step, value from metrics where run_uuid = '{uuid}' order by step")
        curve = [(step, value) for key, step, value in rows if key == "val/accuracy"]
        assert curve == [(record.epoch, record.val_accuracy) for record in trial.history]
        assert ("result/test_accuracy", 2, trial.result.test_accuracy) in rows
        settings = dict(table(database, f"select key, value from params where run_uuid = '{uuid}'"))
        assert (settings["batch_size"], settings["rung"]) == ("32", trial.rung)
    verdicts, _ = runs["verdicts"]
    assert tags[verdicts, "mix/verdict"] == "no verdict"
    assert (1.0,) in table(database, f"select value from metrics where run_uuid = '{verdicts}' and key = 'rung/mix/n'")
    assert not (tmp_path / "mlruns").exists()  # nothing beside the study's folder
    private = [row for row in tags.values() if str(tmp_path) in str(row)]
    assert private == []


@pytest.mark.soak
def test_the_same_call_again_adds_to_what_is_there(tmp_path: Path) -> None:
    command = ("study", "digits", *STUDY, "--out", "out", "--track", "mlflow")
    assert run_alone(tmp_path, *command).returncode == 0
    more = [word if word != "1" else "2" for word in command]
    done = run_alone(tmp_path, *more)
    assert done.returncode == 0, done.stderr
    assert "The tracker" not in done.stdout + done.stderr
    database = tmp_path / "out" / "tracking" / "mlflow" / "mlflow.db"
    names = sorted(str(name) for (name,) in table(database, "select name from runs"))
    assert names == ["base", "base-seed0", "base-seed1", "mix", "mix-seed0", "mix-seed1", "verdicts"]


@pytest.mark.soak
def test_a_store_of_the_users_own_is_taken(tmp_path: Path) -> None:
    place = f"sqlite:///{tmp_path / 'ours.db'}"
    command = ("train", "digits", "--limit", "20", "--epochs", "1", "--out", "out", "--track", "mlflow")
    done = run_alone(tmp_path, *command, MLFLOW_TRACKING_URI=place)
    assert done.returncode == 0, done.stderr
    assert table(tmp_path / "ours.db", "select count(*) from runs where name like '%seed0'") == [(1,)]
    assert not (tmp_path / "out" / "tracking" / "mlflow" / "mlflow.db").exists()


def test_without_the_library_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for missing in ("mlflow", "sqlalchemy"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            with pytest.raises(RecipeError, match=rf"needs {missing}, .*pip install 'stepladder\[track\]'"):
                make_trackers(["mlflow"], tmp_path, print)
