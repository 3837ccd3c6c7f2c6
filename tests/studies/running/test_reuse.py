"""Trials of another folder are taken over, without what it read of test."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.studies.check import check_study
from stepladder.studies.files.store import load_study

Call = Callable[..., Any]
SMALL = ("--recipe", "small", "--limit", "30", "--epochs", "1", "--workers", "1", "--seeds", "2")
TWO = ("--rung", "base:standardize", "--rung", "+mix:mixup")
THREE = (*TWO, "--rung", "+smooth:label_smoothing")


def bits(folder: Path) -> bytes:
    return (folder / "model/model.safetensors").read_bytes()


@pytest.mark.long
def test_a_study_takes_over_what_another_trained_and_reads_test_anew(stepladder: Call) -> None:
    assert stepladder("study", "digits", *SMALL, *TWO, "--out", "one").code == 0
    assert stepladder("study", "digits", *SMALL, *THREE, "--out", "fresh").code == 0
    outcome = stepladder("study", "digits", *SMALL, *THREE, "--reuse", "one", "--out", "two")
    assert outcome.code == 0, outcome.err
    assert "4 of 6 trials were taken over from one. Test had been read for some of them" in outcome.out
    taken, fresh = load_study(Path("two")), load_study(Path("fresh"))
    assert [bool(trial.result.reused_from) for trial in taken.trials] == [True] * 4 + [False] * 2
    for ours, theirs in zip(taken.trials, fresh.trials, strict=True):
        assert bits(ours.folder) == bits(theirs.folder)
        assert ours.result.test_accuracy == theirs.result.test_accuracy
        assert ours.result.reading == taken.readings[0].chain
        assert (ours.folder / "model/config.json").read_bytes() == (theirs.folder / "model/config.json").read_bytes()
        assert (ours.folder / "predictions.safetensors").read_bytes() == (
            theirs.folder / "predictions.safetensors"
        ).read_bytes()
    assert set(taken.readings[0].trials) == {trial.result.trial for trial in taken.trials}
    verdicts = [json.loads(Path(name, "verdicts.json").read_text())["effects"] for name in ("two", "fresh")]
    assert verdicts[0] == verdicts[1]
    assert not check_study(Path("two"))
    assert "Taken over" in Path("two/report.md").read_text()
    assert "4 of 6 trials from one" in Path("two/report.md").read_text()


@pytest.mark.soak
def test_what_was_fitted_when_test_was_read_is_left_too(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """The temperature is told when test is read, so that what an earlier reading told may not stay."""
    told = "stepladder.studies.running.reading.calibration.tells_temperature"
    small = (*SMALL[:-1], "1", *TWO)
    monkeypatch.setattr(told, lambda *_: True)
    assert stepladder("study", "digits", *small, "--out", "one").code == 0
    assert {trial.result.model_temperature is None for trial in load_study(Path("one")).trials} == {False}
    monkeypatch.setattr(told, lambda *_: False)
    assert stepladder("study", "digits", *small, "--reuse", "one", "--out", "two").code == 0
    taken = load_study(Path("two")).trials
    assert [bool(trial.result.reused_from) for trial in taken] == [True, True]
    for trial in taken:
        assert trial.result.model_temperature is None
        assert json.loads((trial.folder / "model/config.json").read_text())["temperature"] is None


@pytest.mark.long
def test_a_training_and_a_study_share_their_trial(stepladder: Call) -> None:
    train = ("train", "digits", "--recipe", "small", "--limit", "30", "--epochs", "1", "--threads", "1")
    assert stepladder(*train, "--rung", "standardize", "--out", "alone").code == 0
    trial = json.loads(Path("alone/result.json").read_text())["trial"]
    outcome = stepladder("study", "digits", *SMALL, *TWO, "--reuse", "alone", "--out", "two")
    if trial in {one.result.trial for one in load_study(Path("two")).trials}:
        assert "1 of 4 trials was taken over from alone" in outcome.out
    else:
        assert "alone has none of these trials: another recipe, seed, data, split or precision" in outcome.out


@pytest.mark.long
@pytest.mark.parametrize(
    "what", ["file", pytest.param("version", marks=pytest.mark.soak), pytest.param("processor", marks=pytest.mark.soak)]
)
def test_what_is_not_sure_to_be_the_same_is_trained_again(stepladder: Call, what: str) -> None:
    assert stepladder("study", "digits", *SMALL, *TWO, "--out", "one").code == 0
    folder = load_study(Path("one")).trials[0].folder
    if what == "file":
        path = folder / "history.csv"
        path.write_text(path.read_text() + "\n")
        said = "1 of 6 trials was not taken over from one: history.csv was changed since the trial ended"
    else:
        path = folder / "result.json"
        result = json.loads(path.read_text())
        before = path.read_bytes()
        if what == "version":
            result["versions"]["torch"] = "1.0"
            said = "it was trained with torch 1.0, and this is"
        else:
            result["machine"]["processor"] = "another"
            said = "it was trained on another processor; add --accept-different-bits"
        path.write_text(json.dumps(result))
        _refresh(folder, before, path.read_bytes())
    outcome = stepladder("study", "digits", *SMALL, *THREE, "--reuse", "one", "--out", "two")
    assert outcome.code == 0, outcome.err
    assert said in outcome.out
    assert "3 of 6 trials were taken over" in outcome.out
    assert len(load_study(Path("two")).trials) == 6


def _refresh(folder: Path, before: bytes, after: bytes) -> None:
    from hashlib import sha256

    sums = folder / "checksums.txt"
    sums.write_text(sums.read_text().replace(sha256(before).hexdigest(), sha256(after).hexdigest()))


@pytest.mark.soak
def test_another_metric_needs_a_folder_that_measured_by_it(stepladder: Call) -> None:
    assert stepladder("study", "digits", *SMALL, *TWO, "--out", "one").code == 0
    assert stepladder("study", "digits", *SMALL, *TWO, "--metric", "auc", "--out", "auc").code == 0
    refused = stepladder("study", "digits", *SMALL, *THREE, "--metric", "auc", "--reuse", "one", "--out", "two")
    assert "4 of 6 trials were not taken over from one: it was not measured by auc on validation images" in refused.out
    taken = stepladder("study", "digits", *SMALL, *THREE, "--metric", "auc", "--reuse", "auc", "--out", "three")
    assert "4 of 6 trials were taken over from auc" in taken.out
    by_loss = stepladder("study", "digits", *SMALL, *TWO, "--metric", "nll", "--reuse", "auc", "--out", "four")
    assert "4 of 4 trials were taken over from auc" in by_loss.out


def test_what_is_no_study_is_refused(stepladder: Call) -> None:
    Path("empty").mkdir()
    outcome = stepladder("study", "digits", *SMALL, "--reuse", "empty", "--out", "two")
    assert outcome.code == 2
    assert "--reuse is empty, which is no study, sweep, curve or training; give the folder of one" in outcome.err
    assert not Path("two").exists()


@pytest.mark.soak
def test_a_study_that_has_not_read_test_may_get_rungs(stepladder: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("study", "digits", *SMALL, "--out", "one")
    with monkeypatch.context() as unread:  # as when it is stopped before the last trial
        unread.setattr("stepladder.studies.study.read_study_test", lambda study, *_: study)
        assert stepladder(*command, *TWO).code == 0
    before = load_study(Path("one"))
    assert before.unread
    trained = {trial.result.trial: trial.result.finished for trial in before.trials}

    assert stepladder(*command, "--rung", "base:standardize", "--rung", "+mix:cutmix").code == 2, "a changed rung"
    grown = stepladder(*command, *THREE)
    assert grown.code == 0, grown.err
    assert (
        "one is gone on with a further rung, smooth: test has not been read, so the plan may still grow." in grown.out
    )
    study = load_study(Path("one"))
    assert [rung.name for rung in study.record.rungs] == ["base", "mix", "smooth"]
    assert len(study.record.contrasts) == 2
    assert study.record.created == before.record.created
    assert trained.items() <= {trial.result.trial: trial.result.finished for trial in study.trials}.items()
    assert not check_study(Path("one"))

    read = stepladder(*command, *THREE, "--rung", "+flip:horizontal_flip")
    assert read.code == 2, "test has been read"
    assert "holds another study" in read.err
