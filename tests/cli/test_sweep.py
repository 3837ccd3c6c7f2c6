import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.terminal import Terminal, wait_until

Call = Callable[..., Any]
SMALL = ("--epochs", "1", "--limit", "20", "--set", "batch_size=16", "--seeds", "1", "--rung", "standardize")
RATES = ("--over", "optimizer.lr=0.1,0.01")


def test_a_sweep_in_one_command_and_again(stepladder: Call) -> None:
    outcome = stepladder("sweep", "digits", *RATES, "--over", "dropout.p=0,0.5", *SMALL)
    assert outcome.code == 0, outcome.err
    assert "Measuring the speed of 2 recipes" in outcome.out  # rates alone take no longer
    assert "Sweep of 4 points × 1 seed = 4 trials of 1 epoch; " in outcome.out
    assert "[4/4] optimizer.lr=0.1, dropout.p=0.5, seed 0: val " in outcome.out
    assert "Test was not read: a sweep chooses by validation images alone" in outcome.out
    folder = Path("studies/digits-sweep-standardize-optimizer.lr-dropout.p")
    page = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    again = stepladder("sweep", "digits", *RATES, "--over", "dropout.p=0,0.5", *SMALL)
    assert "All of it was trained before; nothing to do but the report." in again.out
    assert (folder / "report.html").read_bytes() == page

    (folder / "report.html").unlink()
    (folder / "results.csv").unlink()
    rebuilt = stepladder("report", str(folder), "--json")
    assert rebuilt.code == 0, rebuilt.err
    assert (folder / "report.html").read_bytes() == page
    assert len(json.loads(rebuilt.out)["points"]) == 4
    assert (folder / "results.csv").read_text().count("\n") == 5


@pytest.mark.long
def test_json_is_the_only_thing_on_stdout(stepladder: Call) -> None:
    outcome = stepladder("sweep", "digits", *RATES, *SMALL, "--out", "out", "--json")
    document = json.loads(outcome.out)
    assert document["keys"] == [
        {"key": "optimizer.lr", "values": [0.01, 0.1], "low": None, "high": None, "log": False, "whole": False}
    ]
    assert [trial["test_accuracy"] for trial in document["trials"]] == [None, None]
    assert "[2/2] optimizer.lr=0.1, seed 0" in outcome.err


@pytest.mark.long
def test_a_failed_trial_is_exit_code_1(stepladder: Call) -> None:
    outcome = stepladder("sweep", "digits", "--over", "optimizer.lr=0.1,1e30", *SMALL)
    assert outcome.code == 1
    assert "Diverged (the loss was not finite): optimizer.lr=1e+30." in outcome.out


def test_a_search_in_one_command(stepladder: Call) -> None:
    arguments = ("sweep", "digits", "--over", "optimizer.lr=0.001..0.3", "--search", "optuna", "--trials", "2", *SMALL)
    outcome = stepladder(*arguments, "--json")
    assert outcome.code == 0, outcome.err
    assert "Search over 2 points × 1 seed; " in outcome.err
    assert "[2/2] optimizer.lr=" in outcome.err
    folder = Path("studies/digits-search-standardize-optimizer.lr")
    assert (folder / "search.db").exists()
    document = json.loads(outcome.out)
    again = stepladder(*arguments, "--json")
    assert json.loads(again.out)["points"] == document["points"]
    assert "All of it was trained before" in again.err


@pytest.mark.long
def test_a_search_of_points_together(stepladder: Call) -> None:
    arguments = ("sweep", "digits", "--over", "optimizer.lr=0.001..0.3", "--search", "optuna", "--trials", "3", *SMALL)
    outcome = stepladder(*arguments, "--together", "2", "--workers", "1", "--json")
    assert outcome.code == 0, outcome.err
    assert "Search over 3 points × 1 seed, 2 points together; " in outcome.err
    # Each trial is called by its point, whichever was begun last.
    assert [words in outcome.err for words in ("[1/3] optim", "[2/3] optim", "[3/3] optim")] == [True] * 3
    names = [point["name"] for point in json.loads(outcome.out)["points"]]
    assert all(f"[{number}/3] {name}, seed 0: val " in outcome.err for number, name in enumerate(names, 1))
    other = stepladder(*arguments)
    assert other.code == 2
    assert "holds another study: together is 2 there and 1 here. Choose another folder with --out" in other.err
    alone = stepladder(*arguments, "--workers", "2", "--out", "alone")
    assert alone.code == 2
    assert "as each proposal waits for the one before; leave it out, or add --together 2, or more" in alone.err
    assert "--together 4 --workers 4" in " ".join(stepladder("sweep", "--help").out.replace("│", " ").split())


@pytest.mark.long
def test_a_technique_of_the_users_own_can_be_swept(stepladder: Call, tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "from typing import Annotated\nfrom pydantic import Field\nfrom stepladder import Technique\n\n\n"
        "class Dim(Technique):\n    share: Annotated[float, Field(ge=0, le=1)] = 0.5\n\n"
        "    def augment(self, images, targets, rng):\n"
        "        return (images.float() * (1 - self.share)).to(images.dtype), targets\n"
    )
    outcome = stepladder("sweep", "digits", "--over", "dim.share=0,0.3", "--technique", f"{own}:Dim", *SMALL[:-2])
    assert outcome.code == 0, outcome.err
    assert "[2/2] dim.share=0.3, seed 0" in outcome.out


@pytest.mark.soak
def test_ctrl_c_keeps_what_is_finished_and_the_command_goes_on(terminal: Terminal, tmp_path: Path) -> None:
    over = ("--over", "optimizer.lr=0.1,0.05,0.01", "--seeds", "6", "--epochs", "8", "--limit", "40")
    pid = terminal.start(tmp_path, "sweep", "digits", *over, "--rung", "standardize", "--workers", "2", "--out", "out")
    wait_until(lambda: list(tmp_path.glob("out/trials/*/result.json")), tmp_path / "printed")
    os.kill(pid, signal.SIGINT)
    assert terminal.wait(pid) == 130
    out = (tmp_path / "printed").read_text()
    assert "under way have a checkpoint, in out; continue with:\n  stepladder sweep digits --over" in out
    assert (tmp_path / "out" / "report.html").exists()
    kept = {path.parent.name for path in tmp_path.glob("out/trials/*/result.json")}
    assert 1 <= len(kept) < 18


def test_the_command_that_goes_on_shows_no_password(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("stepladder.api.verbs.run_search", stop)
    storage = "postgresql://me:secret@host/points"
    over = ("--over", "optimizer.lr=0.01..0.1", "--search", "optuna", "--storage", storage)
    Path("out").mkdir()
    Path("out/checkpoint").mkdir()
    outcome = stepladder("sweep", "digits", *over, *SMALL, "--out", "out")
    assert outcome.code == 130
    assert "--storage 'postgresql://me:***@host/points'" in outcome.out
    assert "secret" not in outcome.out + outcome.err


@pytest.mark.long
def test_its_trials_can_be_watched(stepladder: Call) -> None:
    pytest.importorskip("tensorboard", reason="the extra 'track' is not installed")
    assert stepladder("sweep", "digits", *RATES, *SMALL, "--out", "out", "--track", "tensorboard").code == 0
    runs = sorted(path.name for path in Path("out/tracking/tensorboard").iterdir())
    assert runs == ["optimizer.lr-0.01-seed0", "optimizer.lr-0.1-seed0", "verdicts"]


def test_trials_at_once_want_a_gpu_in_a_search_as_well(stepladder: Call) -> None:
    for search in ((), ("--search", "optuna", "--trials", "2")):
        over = "optimizer.lr=0.01..0.1" if search else "optimizer.lr=0.01,0.1"
        outcome = stepladder("sweep", "digits", "--over", over, *search, *SMALL, "--device", "cpu", "--streams", "2")
        assert outcome.code == 2
        assert "--streams is for trials that share a CUDA GPU, and these run on cpu; use --workers" in outcome.err
