"""A technique of the user's own that goes wrong costs its own trials and nothing else."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.studies.files.bits import without_times
from stepladder.studies.files.records import Ending
from stepladder.studies.files.store import load_study

OWN = Path(__file__).with_name("own.py")
RUNGS = ("--rung", "base:", "--rung", "+plain:standardize")
SMALL = ("digits", "--limit", "12", "--seeds", "1", "--epochs", "3", "--batch-size", "8", "--out", "study")
Stepladder = Callable[..., object]


def study_with(stepladder, technique: str, *more: str):
    """A study of three rungs, the last of which has the technique; one process unless ``more`` says otherwise.

    Several, with spaces between, are a rung each, which has those before it too.
    """
    how = () if "--workers" in more else ("--workers", "1")
    own = [part for name in technique.split() for part in ("--technique", f"{OWN}:{name}")]
    return stepladder("study", *SMALL, *RUNGS, *own, *how, *more)


def curves(study: Path) -> dict[str, object]:
    """The curve and the weights of every rung."""
    return {
        trial.rung: (
            without_times((trial.folder / "history.csv").read_text()),
            (trial.folder / "model" / "model.safetensors").read_bytes(),
        )
        for trial in load_study(study).trials
    }


@pytest.fixture(scope="module")
def kept() -> dict[str, object]:
    return {}


@pytest.fixture
def plain(stepladder, tmp_path: Path, kept: dict[str, object]) -> dict[str, object]:
    """The curves of the rungs without a technique of the user's own, trained once for all tests."""
    if not kept:
        assert stepladder("study", *SMALL[:-1], "plain", *RUNGS, "--workers", "1").code == 0
        kept |= curves(tmp_path / "plain")
    return kept


@pytest.mark.long
@pytest.mark.parametrize(
    ("technique", "reason"),
    [
        ("Raises", r"raises\.after_step raised ValueError: seven is too much \(own\.py, line \d+\) in epoch 1"),
        (
            "NoMemory",
            r"out of memory in epoch 1; the batch size was not changed, .* smaller batch size or a smaller network",
        ),
    ],
)
def test_one_that_raises_is_recorded_and_only_it_runs_again(
    stepladder, plain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, technique: str, reason: str
) -> None:
    name = {"Raises": "raises", "NoMemory": "no_memory"}[technique]
    done = study_with(stepladder, technique)
    assert done.code == 1
    study = load_study(tmp_path / "study")
    trials = {trial.rung: trial for trial in study.trials}
    failed = trials[name]
    assert failed.result.status == "failed"
    assert re.fullmatch(reason, failed.result.failure or "")
    assert failed.result.epochs == 0  # the last that was finished
    assert "own.py" in (failed.folder / "failure.txt").read_text()
    assert (failed.folder / "failure.txt").read_text().startswith("Traceback")
    assert next(rung for rung in study.record.rungs if rung.name == name).recipe["batch_size"] == 8
    assert f"{name} (seed 0)" in done.out.replace(f"{name}, seed 0", f"{name} (seed 0)")
    assert failed.result.failure in done.out.replace("\n", " ")
    others = {rung: trial for rung, trial in trials.items() if rung != name}
    assert {trial.result.status for trial in others.values()} == {"finished"}

    # Without being told to, the same command leaves it.
    assert study_with(stepladder, technique).code == 1
    monkeypatch.setenv("MENDED", str(tmp_path))
    before = {trial.folder: (trial.folder / "history.csv").stat().st_mtime_ns for trial in others.values()}
    again = study_with(stepladder, technique, "--retry-failed")
    assert again.code == 0
    assert again.out.count(", seed 0: val ") == 1
    assert {folder: (folder / "history.csv").stat().st_mtime_ns for folder in before} == before
    assert (failed.folder / "result-failed.json").exists()
    now = curves(tmp_path / "study")
    assert now[name] == now["plain"] == plain["plain"]


@pytest.mark.long
@pytest.mark.parametrize("step", [1, 12])
def test_a_loss_that_is_not_finite_is_a_failure_with_its_epoch(
    stepladder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setenv("NOT_FINITE_AT", str(step))
    done = study_with(stepladder, "NotFinite", "--select", "best-val")
    assert done.code == 1
    trials = {trial.rung: trial for trial in load_study(tmp_path / "study").trials}
    result = trials["not_finite"].result
    epoch = 1 if step == 1 else 2
    assert re.search(rf"not finite (in|after) epoch {epoch}", result.failure or "")
    assert result.selected_epoch is None
    assert not (trials["not_finite"].folder / "model").exists()
    assert trials["plain"].result.status == "finished"


@pytest.mark.soak
def test_one_that_hangs_fails_by_its_time_and_the_others_go_on(stepladder, tmp_path: Path) -> None:
    started = time.monotonic()
    done = study_with(stepladder, "Hangs", "--trial-timeout", "10s")
    assert time.monotonic() - started < 500, "it hangs for 600"
    assert done.code == 1
    trials = {trial.rung: trial.result for trial in load_study(tmp_path / "study").trials}
    assert trials["hangs"].failure == "it took longer than the 10 seconds of `trial_timeout`"
    assert trials["hangs"].ending is Ending.TIMEOUT
    assert trials["base"].status == trials["plain"].status == "finished"
    assert "it took longer than the 10 seconds" in done.out.replace("\n", " ")


def test_one_that_hangs_before_the_first_trial_ends_in_a_sentence(stepladder, tmp_path: Path) -> None:
    started = time.monotonic()
    done = study_with(stepladder, "HangsWhenTried", "--trial-timeout", "1s")
    assert time.monotonic() - started < 500, "it hangs for 600"
    assert done.code == 2
    assert "rung hangs_when_tried hangs in hangs_when_tried.rewrite: before the first trial it took longer" in done.err
    assert not (tmp_path / "study" / "study.json").exists()
    # The alarm is off again, and whoever had it before has it back.
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) == signal.SIG_DFL


@pytest.mark.soak
def test_one_that_takes_its_process_along_fails_after_three_times(stepladder, tmp_path: Path) -> None:
    # One process, apart from this: whoever is replaced has to load torch.
    done = study_with(stepladder, "Dies", "--workers", "1", "--trial-timeout", "10m")
    assert done.code == 1
    trials = {trial.rung: trial.result for trial in load_study(tmp_path / "study").trials}
    assert trials["dies"].failure == "the process that ran it ended 3 times (signal SIGKILL); memory may be short"
    assert trials["dies"].ending is Ending.MACHINE
    assert trials["base"].status == trials["plain"].status == "finished"


@pytest.mark.long
def test_what_one_prints_stays_out_of_the_json_document(stepladder, plain, tmp_path: Path) -> None:
    done = study_with(stepladder, "Prints", "--json")
    assert done.code == 0
    assert {trial["rung"] for trial in json.loads(done.out)["trials"]} == {"base", "plain", "prints"}
    assert '{"not": "a document"}' in done.err
    assert curves(tmp_path / "study")["prints"] == plain["plain"]


def test_a_training_that_prints_stays_out_of_the_json_document_too(stepladder) -> None:
    command = ("train", "digits", "--limit", "12", "--epochs", "1", "--technique", f"{OWN}:Prints", "--json")
    assert json.loads(stepladder(*command).out)["status"] == "finished"


@pytest.mark.long
@pytest.mark.parametrize(
    ("command", "key"),
    [
        (("sweep", "--over", "optimizer.lr=0.1,0.01", "--seeds", "1", "--epochs", "1", "--workers", "1"), "trials"),
        (("curve", "--seeds", "1", "--epochs", "1"), "sizes"),
        (("lr-range", "--seeds", "1", "--steps", "100", "--set", "batch_size=16"), "tests"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_nor_does_it_get_into_the_document_of_any_other_command(stepladder, command, key: str) -> None:
    name, *options = command
    done = stepladder(name, "digits", "--limit", "12", *options, "--technique", f"{OWN}:Prints", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)[key]
    assert '{"not": "a document"}' in done.err


@pytest.mark.soak
def test_in_other_processes_too_they_change_no_bit(stepladder, plain, tmp_path: Path) -> None:
    # All in one study: what takes the time here is that every process has to load torch.
    here, names = os.getpid(), ("Prints", "Moves", "Seeds", "Forks", "Lingers")
    done = study_with(stepladder, " ".join(names), "--json", "--workers", "2")
    assert os.getpid() == here, "the copy must not come back to the tests"
    assert done.code == 0
    assert Path.cwd() == tmp_path
    rungs = ["base", "plain", *(name.lower() for name in names)]
    assert [trial["rung"] for trial in json.loads(done.out)["trials"]] == rungs
    assert curves(tmp_path / "study") == {rung: plain["base" if rung == "base" else "plain"] for rung in rungs}
    assert [done.err.count(f"{rung}, seed 0: val ") for rung in rungs] == [1] * len(rungs)
    assert (tmp_path / "study" / "report.html").exists()


@pytest.mark.long
@pytest.mark.parametrize("technique", ["Moves", "Seeds"])
def test_one_that_moves_or_seeds_changes_no_bit_and_no_place(stepladder, plain, tmp_path: Path, technique: str) -> None:
    assert study_with(stepladder, technique).code == 0
    assert Path.cwd() == tmp_path
    found = curves(tmp_path / "study")
    assert found[technique.lower()] == plain["plain"]
    assert found["base"] == plain["base"]
    assert (tmp_path / "study" / "report.html").exists()


def test_a_training_whose_technique_moves_stays_in_its_folder(stepladder, tmp_path: Path) -> None:
    command = ("train", "digits", "--limit", "12", "--epochs", "1", "--technique", f"{OWN}:Moves", "--out", "one")
    assert stepladder(*command).code == 0
    assert Path.cwd() == tmp_path
    assert (tmp_path / "one" / "result.json").exists()


@pytest.mark.long
@pytest.mark.parametrize("technique", ["Forks", "Lingers"])
def test_one_that_forks_is_trained_once(stepladder, plain, tmp_path: Path, technique: str) -> None:
    here = os.getpid()
    done = study_with(stepladder, technique)
    assert os.getpid() == here, "the copy must not come back to the tests"
    assert done.code == 0
    assert done.out.count(f"{technique.lower()}, seed 0: val ") == 1
    assert curves(tmp_path / "study")[technique.lower()] == plain["plain"]
