"""What is no study is listed and shown by its own files: trainings, range tests, judged scores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.studies.running.locks import try_lock
from stepladder.web.studies import cells
from stepladder.web.studies.folders import Found, find_studies
from stepladder.web.studies.owners import Locks
from stepladder.web.studies.single_watch import SingleWatch
from tests.web.studies.made_up import TEST_FIGURE, ladder, replace, write_checkpoint, write_record, write_trial
from tests.web.studies.test_owners import needs_locks
from tests.web.studies.test_viewer import viewing

RANGE = {"suggested": 0.25, "summary": ["A rate of 0.25 is suggested.", "One seed alone."], "tests": []}


def told(watch: SingleWatch) -> dict[str, Any]:
    watch.poll(Locks())
    return watch.board.changes_since(-1)[1]


@pytest.fixture
def training(tmp_path: Path) -> SingleWatch:
    """A training that has begun: what is made up is a trial's folder, which is the same."""
    study = tmp_path / "study"
    trial = write_record(study, ladder(rungs=1, seeds=1, first=1))[0]
    write_checkpoint(study, trial, 2)
    folder = study / "trials" / trial.id
    replace(folder / "recipe.toml", trial.recipe.to_toml())
    shutil.move(folder, tmp_path / "mine")
    (found,) = (one for one in find_studies(tmp_path).found if one.place == "mine")
    assert found.kind == "training"
    return SingleWatch(found)


@needs_locks
def test_a_training_is_followed_to_its_end(training: SingleWatch, tmp_path: Path) -> None:
    folder = training.found.folder
    values = told(training)
    assert values["head"]["state"] == "unfinished"
    assert values["head"]["sentence"] == "Nobody runs it now. 2 epochs are done. The same command goes on."
    with try_lock(folder):
        values = told(training)
        assert (values["head"]["state"], values["head"]["sentence"]) == ("running", "2 epochs are done.")
        assert values["trial.0.0"][:3] == ["r", 0, 2]
        assert len(training.owners) == 1
    trial = write_record(tmp_path / "study", ladder(rungs=1, seeds=1, first=1))[0]
    ended = write_trial(tmp_path / "study", trial, read=True)
    shutil.copy(ended / "result.json", folder)
    values = told(training)
    assert values["head"]["state"] == "finished"
    assert values["head"]["sentence"].endswith(f" in 10 s. Test accuracy: {100 * TEST_FIGURE:.2f} % (one seed).")
    assert values["rung.0"]["validation"] == "50.00"
    assert values["trial.0.0"][0] == "f"
    (folder / "recipe.toml").unlink()
    assert told(training)["head"]["state"] == "removed"


def test_one_that_failed_says_why_and_a_damaged_one_too(
    training: SingleWatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = write_record(tmp_path / "study", ladder(rungs=1, seeds=1, first=1))[0]
    ended = write_trial(tmp_path / "study", trial, failure="the training loss was not finite")
    shutil.copy(ended / "result.json", training.found.folder)
    values = told(training)
    assert values["head"]["sentence"] == "It failed: the training loss was not finite"
    assert values["failures"] == [["", "the training loss was not finite"]]
    monkeypatch.setattr(cells, "SETTLING", 0.0)
    replace(training.found.folder / "result.json", "{")
    assert "is not valid JSON" in told(training)["head"]["sentence"]
    assert training.standing.state == "damaged"


def test_a_range_test_says_what_it_suggests_and_believes_no_stranger(tmp_path: Path) -> None:
    path = tmp_path / "lr-range.json"
    watch = SingleWatch(Found("0" * 16, "rate", tmp_path, "lr-range"))
    assert told(watch)["head"]["state"] == "removed"
    replace(path, json.dumps(RANGE))
    values = told(watch)
    assert values["head"]["title"] == "Learning-rate range test: rate"
    assert values["head"]["sentence"] == "It suggests a learning rate of 0.25."
    assert values["verdict"]["sentences"] == RANGE["summary"]
    reads = watch.read.number
    told(watch)
    assert watch.read.number == reads
    for strange in ("[]", '{"suggested": "x", "summary": 3}', json.dumps({"summary": ["x" * 10_000] * 1_000})):
        replace(path, strange)
        values = told(watch)
        assert values["head"]["sentence"] == "No rate is suggested."
        assert len(json.dumps(values)) < 30_000
    replace(path, "{")
    assert told(watch)["head"]["state"] == "damaged"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "link" in told(watch)["head"]["sentence"]


def test_those_that_commands_write_are_listed_with_their_pages(
    tmp_path: Path, stepladder: Callable[..., Any], pictures_as_dots: None
) -> None:
    few = ("digits", "--limit", "20", "--network", "conv3-2 pool2 fc", "--batch-size", "16")
    assert stepladder("train", *few, "--epochs", "1", "--out", "trained").code == 0
    assert stepladder("lr-range", *few, "--steps", "100", "--seeds", "1", "--out", "rate").code in (0, 1)
    rows = [f"{rung},{seed},0.{70 + seed + 5 * (rung == 'b')}" for rung in "ab" for seed in range(4)]
    (tmp_path / "scores.csv").write_text("\n".join(["rung,seed,val_score", *rows]))
    assert stepladder("judge", "scores.csv", "--out", "judged").code == 0
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "result.json").write_text("{}")  # of another program
    with viewing(tmp_path) as viewer:
        viewer.look()
        told = viewer.board.changes_since(-1)[1]
        listed = {one["place"]: (one["kind"], one["state"]) for one in told.values() if "kind" in one}
        assert listed == {
            "trained": ("training", "finished"),
            "rate": ("learning-rate range test", "finished"),
            "judged": ("judged scores", "finished"),
        }
        (judged,) = (one for one in viewer._watches.values() if one.found.place == "judged")
        values = judged.board.changes_since(-1)[1]
        assert values["head"]["report"]
        assert values["verdict"]["title"] == "What it says"
        assert values["verdict"]["sentences"] == ["b: helped."]
        assert values["head"]["sentence"] == "1 verdict on scores of val_score."
