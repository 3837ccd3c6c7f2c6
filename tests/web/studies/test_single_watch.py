"""What is no study is listed and shown by its own files: range tests, judged scores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.web.studies.folders import Found
from stepladder.web.studies.owners import Locks
from stepladder.web.studies.single_watch import SingleWatch
from tests.web.studies.made_up import MACHINE, replace
from tests.web.studies.test_viewer import viewing

RANGE = {
    "suggested": 0.25,
    "summary": ["A rate of 0.25 is suggested.", "Two seeds alone."],
    "tests": [{}, {}],
    "data": "digits",
    "training_images": 900,
    "recipe": {"name": "small"},
    "low": 1e-5,
    "high": 10.0,
    "steps": 100,
    "machine": MACHINE.model_dump(mode="json"),
    "versions": {"torch": "2.13.0"},
}


def told(watch: SingleWatch) -> dict[str, Any]:
    watch.poll(Locks())
    return watch.board.changes_since(-1)[1]


def test_a_range_test_says_what_it_suggests_and_believes_no_stranger(tmp_path: Path) -> None:
    path = tmp_path / "lr-range.json"
    watch = SingleWatch(Found("0" * 16, "rate", tmp_path, "lr-range"))
    assert told(watch)["head"]["state"] == "removed"
    replace(path, json.dumps(RANGE))
    values = told(watch)
    assert values["head"]["title"] == "Learning-rate range test: rate"
    assert values["head"]["sentence"] == "It suggests a learning rate of 0.25."
    assert values["verdict"]["sentences"] == RANGE["summary"]
    assert values["head"]["facts"] == [
        ["Images", "digits, 900 training images"],
        ["Recipe", "small"],
        ["Rates", "1e-05 to 10 in 100 steps, 2 seeds"],
        ["Machine", "Xeon, 2 cores, 7.5 GB, Linux 6.1"],
        ["Versions", "torch 2.13.0"],
    ]
    reads = watch.read.number
    told(watch)
    assert watch.read.number == reads
    long = {"summary": ["x" * 10_000] * 1_000, "data": "x" * 10_000, "versions": {"x" * 10_000: 1}}
    for strange in ("[]", '{"suggested": "x", "summary": 3, "low": [], "machine": 3}', json.dumps(long)):
        replace(path, strange)
        values = told(watch)
        assert values["head"]["sentence"] == "No rate is suggested."
        assert len(json.dumps(values)) < 30_000
    replace(path, "{")
    assert told(watch)["head"]["state"] == "damaged"
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert "link" in told(watch)["head"]["sentence"]


def test_verdicts_of_a_stranger_are_words_of_ours(tmp_path: Path) -> None:
    watch = SingleWatch(Found("0" * 16, "judged", tmp_path, "judged"))
    document: dict[str, Any] = {"limits": {"edited": "its plan is not the one that was hashed"}, "rungs": 3}
    document["effects"] = [{"name": "x" * 10_000, "verdict": "splendid", "n": "many"}, 3] * 1_000
    replace(tmp_path / "verdicts.json", json.dumps(document))
    values = told(watch)
    assert {one["word"] for one in values["verdict"]["marks"]} == {"no verdict"}
    assert values["verdict"]["sentences"] == ["Do not trust these verdicts: its plan is not the one that was hashed."]
    assert len(json.dumps(values)) < 30_000


@pytest.mark.long
def test_those_that_commands_write_are_listed_with_their_pages(tmp_path: Path, stepladder: Callable[..., Any]) -> None:
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
        (mark,) = values["verdict"]["marks"]
        assert mark == {"kind": "helped", "symbol": "▲", "name": "b", "word": "helped", "figures": "n = 4", "needs": ""}
        assert values["head"]["facts"] == [["Rungs", "a: mean 0.715 (n = 4); b: mean 0.765 (n = 4)"]]
        assert values["head"]["sentence"] == "1 verdict on scores of val_score."
