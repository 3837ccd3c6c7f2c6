import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_a_range_test_in_one_command(stepladder: Call) -> None:
    outcome = stepladder(
        "lr-range", "digits", "--limit", "60", "--steps", "200", "--low", "0.001", "--seeds", "1", "--json"
    )
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document["left_out"] == ["exponential_lr"]
    assert len(document["tests"]) == 1
    assert f"Suggested: optimizer.lr={document['suggested']:g} (" in outcome.err
    folder = Path("studies/digits-lr-range")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.*")} == {
        "checksums.txt",
        "lr-range.md",
        "lr-range.json",
        "lr-range.csv",
        "figures/lr-range.png",
        "figures/lr-range.svg",
        "recipe.toml",
    }
    rows = (folder / "lr-range.csv").read_text().splitlines()
    assert len(rows) == 1 + sum(test["steps"] for test in document["tests"])
    assert "stepladder lr-range digits" in (folder / "lr-range.md").read_text()


def test_a_folder_with_a_study_is_left_alone(stepladder: Call, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "study.json").write_text("{}")
    outcome = stepladder("lr-range", "digits", "--out", "out")
    assert outcome.code == 2
    assert "--out is out, which holds a study; choose another folder" in outcome.err
    assert "Leak check" not in outcome.out  # before anything runs


def test_it_has_no_trials_to_watch(stepladder: Call) -> None:
    outcome = stepladder("lr-range", "digits", "--track", "tensorboard")
    assert outcome.code == 2
    assert "--track is for trials, and this test trains no trial to its end; leave it out" in outcome.err
