"""Estimates held against whole studies; what the commands say is made up, and nothing is timed."""

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks import estimates
from benchmarks.estimates import Estimated, measure_estimates
from stepladder.errors import StudyError
from stepladder.studies.running.timing import Range

PLAN = {
    "seconds": {"fewest": {"low": 40.0, "high": 90.0}, "most": {"low": 40.0, "high": 90.0}},
    "measurement": {"seconds": 1.5, "busy": 2.0, "processor_seconds": 80.0},
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Every command that was run; a study takes 90 s, and 60 s of two processors."""
    commands: list[list[str]] = []
    clock = {"wall": 0.0, "processor": 0.0}

    def run(arguments: list[str], _: str) -> str:
        commands.append(arguments)
        if arguments[0] == "study":
            clock["wall"] += 90
            clock["processor"] += 60
        return json.dumps(PLAN)

    monkeypatch.setattr(estimates, "_output", run)
    monkeypatch.setattr(estimates, "perf_counter", lambda: clock["wall"])
    monkeypatch.setattr(estimates, "_processor_seconds", lambda: clock["processor"])
    return commands


def test_each_study_is_planned_and_then_run(asked: list[list[str]]) -> None:
    parts: list[str] = []
    found = measure_estimates("digits", ["--seeds", "1"], 2, parts.append)
    assert found == [Estimated(Range(40, 90), 1.5, 2.0, 80.0, 90, 60)] * 2
    assert [command[:2] for command in asked] == [["plan", "digits"], ["study", "digits"]] * 2
    assert len(parts) == 4
    # 90 s of a middle of 60, and 60 s of processor time of 80.
    assert (found[0].ratio, found[0].processor_ratio) == pytest.approx((1.5, 0.75))


def test_it_says_whether_the_promise_is_kept(
    measure: Callable[..., Any], asked: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = measure("estimates", "--limit", "5", "--rounds", "2", "--json")
    assert outcome.code == 0
    assert asked[1][:6] == ["study", "digits", "--limit", "5", "--seeds", "3"]
    assert json.loads(outcome.out)["kept"] is True
    assert "40 to 90 s" in outcome.err
    assert "within a factor of 1.5" in outcome.err
    monkeypatch.setattr(estimates, "PROMISE", 1.4)
    outcome = measure("estimates")
    assert outcome.code == 1
    assert "not within a factor of 1.4" in outcome.out


def test_a_command_that_fails_is_named_with_the_end_of_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = subprocess.CompletedProcess(
        [], 2, "", "much\nbefore\nError: unknown data name\nSee: stepladder plan --help"
    )
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    said = r"stepladder plan nowhere --json failed with exit code 2: before Error: unknown data name See: "
    with pytest.raises(StudyError, match=said):
        measure_estimates("nowhere", [], 1)
