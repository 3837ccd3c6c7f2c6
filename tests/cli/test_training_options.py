"""What the options of a command become in the library."""

from dataclasses import replace

import pytest

from stepladder.cli.training_options import (
    DEFAULTS,
    DecidingOptions,
    ExecutionOptions,
    PauseOptions,
    RuleOptions,
    parse_duration,
)
from stepladder.errors import StudyError
from stepladder.studies.design.rules import Rules
from stepladder.studies.running.execution import Execution


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("45m", 2700),
        ("45 min", 2700),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1d", 86400),
        ("0.5h", 1800),
    ],
)
def test_durations(text, seconds):
    assert parse_duration("--max-time", text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "2 weeks", "h2", "-5m", "1h x", "0", "0s"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(StudyError, match=r"--max-time is .*; (write it as 90s|it must be more than 0)"):
        parse_duration("--max-time", text)


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5", ""])
def test_a_number_of_workers_that_is_none_is_refused(workers):
    with pytest.raises(StudyError, match=f"--workers is {workers}; it must be auto, or a whole number of at least 1"):
        ExecutionOptions(workers=workers).execution(DEFAULTS)


def test_the_options_in_the_units_of_the_library():
    execution = ExecutionOptions(workers="2", max_time="1h", trial_timeout="30m").execution(DEFAULTS)
    assert (execution.workers, execution.trial_timeout) == (2, 1800)
    assert not execution.stop.wanted()


def test_what_nobody_asked_for_is_the_library_s_own_default(monkeypatch):
    monkeypatch.setattr("sys.argv", ["stepladder", "train", "my images"])
    # A study takes one thread a trial in Python too; None says that it was not asked for.
    assert replace(ExecutionOptions().execution(DEFAULTS), threads=None, command="") == Execution()
    trained = PauseOptions().execution(DEFAULTS, None)
    assert trained.command == "stepladder train 'my images'"
    assert replace(trained, command="") == Execution()
    assert RuleOptions().rules(DEFAULTS, DecidingOptions()) == Rules()


@pytest.mark.parametrize(
    ("metric", "smallest"), [("accuracy", 0.02), ("macro_f1", 0.02), ("recall:cat", 0.02), ("nll", 2.0), ("cost", 2.0)]
)
def test_the_smallest_effect_is_in_points_here_and_in_the_metrics_unit_there(metric, smallest):
    rules = RuleOptions(smallest_effect=2.0).rules(DEFAULTS, DecidingOptions(metric=metric))
    assert (rules.smallest_effect, rules.metric) == (smallest, metric)
