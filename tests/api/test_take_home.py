"""A model of every image, by the recipe of a study, whose card says what the study measured."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import load_image_set, make_splits
from stepladder.datasets.splits import join_all
from stepladder.model import load_model
from stepladder.studies.files.store import load_study

Call = Callable[..., Any]
STUDY = ("study", "digits", "--recipe", "small", "--limit", "30", "--epochs", "2", "--workers", "1", "--seeds", "2")
RUNGS = ("--rung", "base:standardize", "--rung", "+mix:mixup", "--set", "optimizer.lr=0.05")


def test_every_image_trains_once() -> None:
    splits = make_splits(load_image_set("digits"), 0.1)
    assert splits.validation is not None
    joined = join_all(splits)
    parts = [part.images for part in (splits.train, splits.validation, splits.test)]
    assert (joined.train.images == np.concatenate(parts)).all()
    assert joined.validation is None
    assert joined.fingerprint != splits.fingerprint


@pytest.mark.long
def test_the_command_that_a_study_ends_with_trains_on_every_image(stepladder: Call) -> None:
    outcome = stepladder(*STUDY, *RUNGS, "--out", "one")
    assert outcome.code == 0, outcome.err
    study = load_study(Path("one"))
    command = next((line.strip() for line in outcome.out.splitlines() if line.strip().endswith("--all-data")), None)
    if command is None:  # two epochs need not be enough for a recommendation; then a rung is named
        command = "stepladder train digits --recipe one --limit 30 --all-data --rung mix"
    assert "--limit 30" in command
    trained = stepladder(*shlex.split(command)[1:], "--out", "whole", "--json")
    assert trained.code == 0, trained.err
    result = json.loads(trained.out)
    counts = study.record.data.counts
    assert "of every image there is, after 2 epochs" in trained.err
    assert "Test is unread" not in trained.err
    assert "Leak check" not in trained.err
    assert result["test_accuracy"] is result["val_accuracy"] is None
    assert "val_loss" in Path("whole/history.csv").read_text().splitlines()[0]
    assert load_model(Path("whole/model")).class_names == study.record.data.class_names
    rung = "mix" if "--rung" in command else json.loads(Path("one/verdicts.json").read_text())["choice"]["rung"]
    scores = [trial.result.test_accuracy or 0 for trial in study.of_rung(rung)]
    card = Path("whole/model/README.md").read_text()
    assert f"digits ({sum(counts.values()):,} train images; " in card
    assert "not measured: every image trained, and none is left to test" in card
    assert f"trained on {counts['train']:,} of these images, measured {100 * np.mean(scores):.2f}" in card
    assert f"sd over 2 seeds, on {counts['test']:,} others" in card
    again = stepladder(*shlex.split(command)[1:], "--out", "whole")
    assert "This was trained before; nothing to do." in again.out


@pytest.mark.long
def test_a_rung_may_be_named_and_settings_go_on_top(stepladder: Call) -> None:
    assert stepladder(*STUDY, *RUNGS, "--out", "one").code == 0
    train = ("train", "digits", "--limit", "30", "--recipe", "one")
    outcome = stepladder(*train, "--rung", "base", "--epochs", "1", "--out", "out", "--json")
    result = json.loads(outcome.out)
    assert result["techniques"] == ["standardize"]
    assert result["epochs"] == 1
    assert result["test_accuracy"] is not None, "without all data it is a training like any other"
    unknown = stepladder(*train, "--rung", "none")
    assert unknown.code == 2
    assert "one has no rung 'none'; name one with --rung: base, mix" in unknown.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--validation", "0.2"), "--validation is the share that is held out, and with --all-data every image trains"),
        (("--select", "best-val"), "--select chooses an epoch by validation images"),
        (("--metric", "macro_f1"), "--metric measures validation and test images"),
        (("--drop-leaks",), "--drop-leaks takes copies of test images out of training"),
        (("--technique", "reduce_on_plateau"), "reduce_on_plateau"),
    ],
)
def test_what_needs_other_images_is_refused(stepladder: Call, options: tuple[str, ...], said: str) -> None:
    outcome = stepladder("train", "digits", "--recipe", "small", "--limit", "20", "--all-data", *options)
    assert outcome.code == 2, outcome.out
    assert said in outcome.err


def test_no_study_is_judged_without_images(digits: Any) -> None:
    import stepladder as sl

    with pytest.raises(sl.StepladderError, match="`all_data` leaves no image to judge by"):
        sl.study(digits, "small", rules=sl.Rules(all_data=True), progress=False)
