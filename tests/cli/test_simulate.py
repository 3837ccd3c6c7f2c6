import json
from collections.abc import Callable
from typing import Any

Call = Callable[..., Any]


def test_the_simulation_prints_a_table_and_whether_the_promises_hold(stepladder: Call) -> None:
    outcome = stepladder("bench", "simulate", "--studies", "2000", "--json")
    rows = json.loads(outcome.out)
    assert len(rows) == 24
    assert outcome.err.count("\n| ") == 25
    assert (outcome.code == 0) == ("Every promise holds." in outcome.err)
    assert "Percent of 2,000 studies a setting, each of 5 comparisons" in outcome.err


def test_no_study_is_refused(stepladder: Call) -> None:
    outcome = stepladder("bench", "simulate", "--studies", "0")
    assert outcome.code == 2
    assert "--studies is 0; it must be at least 1" in outcome.err
