"""What runs of a command show: lines, bars, and how long is left."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from stepladder.api.command_progress import CommandBars, CommandLines, make_command_progress
from stepladder.api.time_left import CommandTimeLeft
from stepladder.studies.design.rules import Rules
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.records import Machine, TrialResult
from stepladder.studies.files.store import command_trials
from stepladder.studies.scores.command_record import Origin, make_record
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandSchedule

MACHINE = Machine(processor="p", cores=1, memory_gb=1.0, accelerator=None, system="s")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def schedule(workers: int = 1, seeds: int = 3) -> CommandSchedule:
    plan = CommandPlan("t {seed} {options}", ("base:", "slow:--slow"))
    record = make_record(plan, seeds, Rules(), Origin("n", MACHINE))
    return CommandSchedule(record, command_trials(record), 0, workers)


def result(trial: CommandTrial, seconds: float, failure: str | None = None) -> TrialResult:
    return TrialResult(
        trial=trial.id, seed=trial.seed, techniques=(), status="failed" if failure else "finished", epochs=0,
        val_score=None if failure else 0.5, seconds=seconds, images_per_second=None, failure=failure, versions={},
        machine=MACHINE, finished="2026",
    )  # fmt: skip


def test_time_left_is_unknown_and_then_that_of_each_rung() -> None:
    clock, plan = Clock(), schedule()
    time = CommandTimeLeft(plan, clock)
    base, slow = plan.trials[0], plan.trials[1]
    assert time.left is None
    assert time.fraction("base", 0) is None
    assert list(time.running) == [("base", 0)]
    clock.now = 10.0
    time.end(base, 10.0)
    assert list(time.running) == [("slow", 0)]
    assert time.left is not None
    assert round(time.left.middle) == 50  # five as long as the first
    clock.now = 40.0
    time.end(slow, 30.0)
    assert time.left is not None
    assert round(time.left.middle) == 80  # two of ten, two of thirty
    clock.now = 45.0
    assert time.fraction("base", 1) == 0.5
    assert time.left is not None
    assert round(time.left.middle) == 75


def test_several_at_a_time_share_what_is_left_and_failures_teach_nothing() -> None:
    clock, plan = Clock(), schedule(workers=2)
    time = CommandTimeLeft(plan, clock)
    assert list(time.running) == [("base", 0), ("slow", 0)]
    clock.now = 1.0
    time.end(plan.trials[0], 1.0, failed=True)
    assert time.left is None
    clock.now = 10.0
    time.end(plan.trials[1], 10.0)
    assert time.left is not None
    assert time.left.low < 20 <= time.left.high  # one has run for 9 s; three more of 10 s, two at a time


def test_a_terminal_gets_bars_and_anything_else_a_line_a_run() -> None:
    assert isinstance(make_command_progress(Console(file=io.StringIO(), force_terminal=True)), CommandBars)
    assert type(make_command_progress(Console(file=io.StringIO()))) is CommandLines


def test_lines_name_the_run_its_scores_and_what_is_left() -> None:
    clock, plan, screen = Clock(), schedule(), io.StringIO()
    lines = CommandLines(Console(file=screen, width=100), clock=clock)
    lines.planned(plan)
    clock.now = 60.0
    lines.ended(plan.trials[0], result(plan.trials[0], 60.0))
    lines.ended(plan.trials[1], result(plan.trials[1], 1.0, "it broke"))
    shown = screen.getvalue().splitlines()
    assert shown[0] == "2 rungs, 3 seeds: 6 runs to do."
    assert shown[1].startswith("[1/6] base, seed 0: val 0.5 (60.0 s, ")
    assert shown[1].endswith(" left)")
    assert shown[2].startswith("[2/6] slow, seed 0: failed: it broke (1.0 s")


def test_bars_show_what_runs_and_how_long_is_left(tmp_path: Path) -> None:
    clock, plan, screen = Clock(), schedule(workers=2), io.StringIO()
    bars = CommandBars(Console(file=screen, force_terminal=True, width=100), clock=clock)
    bars.planned(plan)
    bars.bars.refresh()
    clock.now = 60.0
    bars.ended(plan.trials[0], result(plan.trials[0], 60.0))
    bars.bars.refresh()
    bars.stop()
    shown = screen.getvalue()
    for words in ("all runs", "base · seed 0", "slow · seed 0", "base · seed 1", "1 of 6 runs done, ", " left"):
        assert words in shown
