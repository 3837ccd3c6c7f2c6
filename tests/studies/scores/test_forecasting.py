"""What a study of a command would run, and what it could find."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.report.command_forecast import describe_command_forecast
from stepladder.studies.design.rules import Rules, Seeds
from stepladder.studies.files.records import Machine
from stepladder.studies.forecast import Spread, choose_spread
from stepladder.studies.judging.verdicts import detectable_difference
from stepladder.studies.scores.command_record import Origin, make_record
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.forecasting import CommandForecast, forecast_commands
from stepladder.studies.scores.running import CommandExecution, run_commands

ORIGIN = Origin("n", Machine(processor="p", cores=1, memory_gb=1.0, accelerator=None, system="s"), "c", "2026")
PLAN = CommandPlan("t --seed {seed} {options} {read_test}", ("base:", "+mix:--mix 0.2", "+big:--big 'a b'"))


def forecast(seeds: Seeds, spread: Spread | None, rules: Rules | None = None) -> CommandForecast:
    rules = rules or Rules()
    return forecast_commands(make_record(PLAN, seeds, rules, ORIGIN), seeds, rules, spread, workers=2)


def test_every_command_is_shown_as_it_would_be_run() -> None:
    found = forecast(5, None)
    assert found.lines == (
        ("base", "t --seed 0"),
        ("mix", "t --seed 0 --mix 0.2"),
        ("big", "t --seed 0 --mix 0.2 --big 'a b'"),
    )
    assert (found.fewest, found.most, found.detectable) == (15, 15, {})
    text = "\n".join(describe_command_forecast(found))
    assert "15 runs (5 seeds a rung). How long that takes nobody knows before a run has ended." in text
    assert "each is called again with --read-test" in text
    assert "state the standard deviation" in text


def test_the_smallest_difference_is_that_of_the_level_of_one_comparison() -> None:
    found = forecast(5, Spread(0.004), Rules(final=True))
    assert found.detectable == {5: detectable_difference(0.004, 5, 0.025, 0.0)}
    assert "the smallest difference that it would probably find is" in "\n".join(describe_command_forecast(found))


def test_looks_of_auto_are_all_told() -> None:
    found = forecast("auto", Spread(0.004))
    assert [look.seeds for look in found.looks] == [3, 5, 7, 10]
    assert (found.fewest, found.most) == (9, 30)
    assert "Looks at 3, 5, 7 and 10 seeds: 9 to 30 runs." in "\n".join(describe_command_forecast(found))


def test_a_pilot_tells_spread_and_time(tmp_path: Path) -> None:
    run = """/bin/sh -c 'echo {{\\"test\\": 0.{options}{seed}}}'"""
    pilot = CommandPlan(run, ("base:", "more:5"))
    run_commands(make_record(pilot, 2, Rules(), ORIGIN), tmp_path, Rules(), CommandExecution())
    spread = choose_spread(tmp_path, "accuracy")
    assert spread is not None
    assert spread.sd == pytest.approx(0.09 / 2**0.5)  # 0.5 and 0.41
    found = forecast(2, spread)
    assert found.seconds is not None
    assert "By the runs of the pilot, that takes about" in "\n".join(describe_command_forecast(found))
