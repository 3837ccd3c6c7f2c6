"""A suggested rate beside a sweep."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.lr_range import Tried, hold_against, rates_between
from stepladder.errors import DataError

TRIED = [
    Tried(0.05, [0.5, 0.52]),
    Tried(0.1, [0.9, 0.92]),
    Tried(0.2, [0.91, 0.93]),
    Tried(0.4, [0.7, 0.74]),
    Tried(0.8, [0.915, 0.92]),
]


@pytest.mark.parametrize(
    ("suggested", "verdict"),
    [(0.2, "holds"), (0.1, "holds"), (0.41, "holds"), (0.022, "misses"), (0.45, "misses"), (None, "cannot tell")],
)
def test_a_factor_of_two_of_the_best_rate(suggested: float | None, verdict: str) -> None:
    held = hold_against(suggested, TRIED)
    assert (held.best, held.verdict) == (0.2, verdict)
    assert held.ratio == (None if suggested is None else suggested / 0.2)
    # As good is what lies in a row with the best: not the rate beyond one that is worse.
    assert held.as_good == [0.1, 0.2]


def test_rates_double() -> None:
    assert rates_between(0.0125, 1.6) == pytest.approx([0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6])


@pytest.mark.soak
def test_one_set_in_one_command(measure: Callable[..., Any]) -> None:
    outcome = measure(
        "lr_range", "digits", "--limit", "30", "--rung", "standardize", "--set", "epochs=2", "--low", "0.1", "--high",
        "0.4", "--seeds", "1", "--tests", "2", "--json",
    )  # fmt: skip
    document = json.loads(outcome.out)
    assert [one["rate"] for one in document["tried"]] == [0.1, 0.2, 0.4]
    assert outcome.code == (1 if document["verdict"] == "misses" else 0)
    assert f"Verdict: {document['verdict']}." in " ".join(outcome.err.split())
    assert "`low` is 1" in measure("lr_range", "digits", "--low", "1", "--high", "0.5").err or DataError
