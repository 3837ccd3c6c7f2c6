"""``stepladder study --run``: a program of the user's own, and what it does not go with."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

RUN = """/bin/sh -c 'echo {{\\"val\\": 0.8{seed}1{options}, \\"test\\": 0.8{seed}2{options}}}'"""
RUNGS = ("--rung", "base:", "--rung", "+more:5")
#: More images, a higher score: 0.25 gives 0.7251, 0.7252 and so on, and 1 gives 0.81.
CURVE = """/bin/sh -c 'case {fraction} in 1) a=81;; *) a=725;; esac; echo {{\\"test\\": 0.${{a}}{seed}}}'"""


@pytest.mark.long
def test_a_command_is_run_for_every_rung_and_seed(stepladder: Call) -> None:
    outcome = stepladder("study", "--run", RUN, *RUNGS, "--seeds", "2", "--out", "s", "--workers", "2", "--json")
    assert outcome.code == 0, outcome.err
    assert "2 rungs, 2 seeds: 4 runs to do." in outcome.err
    assert "[4/4] more, seed 1: val 0.8115, test 0.8125" in outcome.err
    document = json.loads(outcome.out)
    assert [one["name"] for one in document["effects"]] == ["more"]
    assert Path("s/report.html").is_file()
    again = stepladder("study", "--run", RUN, *RUNGS, "--seeds", "3", "--out", "s")
    assert "2 runs to do, 4 ended before." in again.out
    assert "+ 5" in again.out
    rebuilt = stepladder("report", "s")
    assert rebuilt.code == 0, rebuilt.err


def test_failed_runs_are_counted_by_the_exit_code(stepladder: Call) -> None:
    outcome = stepladder("study", "--run", "/bin/sh -c 'exit 4' {seed} {options}", *RUNGS, "--seeds", "2", "--out", "s")
    assert outcome.code == 1
    assert "failed: the command ended with exit code 4" in outcome.out
    assert "No trial has finished" in outcome.out


def test_sizes_are_in_points_and_scores_in_their_unit(stepladder: Call) -> None:
    run = """/bin/sh -c 'echo {{\\"test\\": 8{seed}.{options}1}}'"""
    more = ("--unit", "percent", "--smallest-effect", "2", "--diverged", "10", "--seeds", "2", "--out", "s")
    assert stepladder("study", "--run", run, *RUNGS, *more).code == 0
    saved = json.loads(Path("s/study.json").read_text())
    assert saved["smallest_effect"] == 0.02
    assert saved["scores"]["diverged"] == 0.1


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("digits", "--gpus", "0"), "--gpus is for a program of your own; name it with --run"),
        (("digits", "--shell"), "--shell is for a program of your own; name it with --run"),
        (("photos/", "--run", RUN, *RUNGS), "DATA is for images that are trained on here, and --run brings a program"),
        (("--run", RUN, *RUNGS, "--epochs", "3"), "--epochs is for images that are trained on here"),
        (("--run", RUN, *RUNGS, "--set", "epochs=3"), "--set is for images that are trained on here"),
        (("--run", RUN, *RUNGS, "--resplit"), "--resplit is for images that are trained on here"),
        (("--run", RUN, *RUNGS, "--threads", "2"), "--threads is for images that are trained on here"),
        (("--run", RUN, *RUNGS, "--with-bag-of-words"), "--with-bag-of-words is for images"),
        (("--run", RUN, *RUNGS, "--workers", "many"), "--workers is many"),
        (("--run", "train {options}", *RUNGS), "--run has no place for the seed"),
    ],
)
def test_what_does_not_go_with_it_is_refused(stepladder: Call, arguments: tuple[str, ...], words: str) -> None:
    outcome = stepladder("study", *arguments)
    assert outcome.code == 2
    assert words in outcome.err


def test_a_sweep_of_a_command(stepladder: Call) -> None:
    run = """/bin/sh -c 'echo {{\\"val\\": 0.{a}{seed}1}}'"""
    outcome = stepladder("sweep", "--run", run, "--over", "a=2,5", "--out", "s", "--json")
    assert outcome.code == 0, outcome.err
    assert "2 points, 2 seeds: 4 runs to do." in outcome.err
    assert json.loads(outcome.out)["best"]["points"] == ["a=5"]
    assert stepladder("report", "s").code == 0
    assert stepladder("check", "s").code == 0


@pytest.mark.long
def test_a_curve_of_a_command(stepladder: Call) -> None:
    arguments = ("--fractions", "1,0.25", "--seeds", "2", "--workers", "2", "--out", "c")
    outcome = stepladder("curve", "--run", CURVE, *arguments, "--json")
    assert outcome.code == 0, outcome.err
    assert "2 sizes, 2 seeds: 4 runs to do." in outcome.err
    assert [size["share"] for size in json.loads(outcome.out)["sizes"]] == [0.25, 1.0]
    again = stepladder("curve", "--run", CURVE, "--fractions", "1,0.25", "--seeds", "3", "--out", "c")
    assert "2 runs to do, 4 ended before." in again.out
    assert "With twice the training images, accuracy would change by about" in again.out
    assert stepladder("report", "c", "--csv", "tables").code == 0
    assert Path("tables/sizes.csv").read_text().startswith("share,mean,sd,n\n0.25,")
    assert stepladder("check", "c").code == 0
    other = stepladder("curve", "--run", CURVE, "--fractions", "1,0.5", "--out", "c")
    assert other.code == 2
    assert "c holds another study" in other.err


def test_what_a_study_of_a_command_would_run(stepladder: Call) -> None:
    outcome = stepladder("plan", "--run", RUN, *RUNGS, "--sd", "0.4", "--seeds", "3")
    assert outcome.code == 0, outcome.err
    assert "6 runs (3 seeds a rung)." in outcome.out
    assert "the smallest difference that it would probably find is" in outcome.out
    assert "a standard deviation of the paired differences of 0.4 points, as stated" in outcome.out
    assert not Path("studies").exists()


def test_auto_adds_seeds_up_to_a_number(stepladder: Call) -> None:
    run = """/bin/sh -c 'echo {{\\"test\\": 0.5$((({seed} % 2) * {options}))}}'"""
    arguments = ("--rung", "base:1", "--rung", "more:9", "--seeds", "auto", "--max-seeds", "5", "--out", "s")
    outcome = stepladder("study", "--run", run, *arguments)
    assert outcome.code == 0, outcome.err
    assert "Not all is decided: the look at 5 seeds takes 4 runs, 6 ended before." in outcome.out


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sweep", "photos/", "--run", RUN, "--over", "a=1,2"), "DATA is for images that are trained on here"),
        (("sweep", "--run", RUN, "--over", "a=1,2", "--rung", "x"), "--rung is for images that are trained on here"),
        (("sweep", "--run", "t {seed}", "--over", "a=1,2"), "--over has the key a, and --run has no place for it"),
        (("curve", "--fractions", "0.5,1"), "--fractions is for a program of your own; name it with --run"),
        (("curve", "--run", CURVE, "--fractions", "x"), "--fractions is x; write numbers, as 0.1,0.3,1"),
        (("curve", "--run", CURVE, "--fractions", "0.5,2"), "--fractions has 2; a fraction is above 0"),
        (("curve", "--run", RUN), "--run has no place for the fraction of the training images"),
        (("curve", "--run", CURVE, "--budget", "steps"), "--budget is for images that are trained on here"),
        (("curve", "photos/", "--run", CURVE), "DATA is for images that are trained on here"),
        (("curve", "--gpus", "0"), "--gpus is for a program of your own"),
        (("study", "--run", CURVE, *RUNGS), "--run has {fraction}, which a curve over the training images fills"),
        (("sweep", "--over", "optimizer.lr=1,2", "--gpus", "0"), "--gpus is for a program of your own"),
        (("plan", "--run", RUN, *RUNGS, "--sd", "1", "--pilot", "p"), "--sd and --pilot both give"),
        (("plan", "--run", RUN, *RUNGS, "--cluster", "auto"), "--cluster is for images that are trained on here"),
        (("plan", "--unit", "percent"), "--unit is for a program of your own; name it with --run"),
    ],
)
def test_other_verbs_refuse_what_does_not_go_with_it(stepladder: Call, arguments: tuple[str, ...], words: str) -> None:
    outcome = stepladder(*arguments)
    assert outcome.code == 2
    assert words in outcome.err
