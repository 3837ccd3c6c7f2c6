import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import simulate
from benchmarks.simulate import CORRELATIONS, NOISES, SEEDS, SimulatedRates, simulate_verdicts

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def rates() -> list[SimulatedRates]:
    return list(simulate_verdicts(studies=4000))


def test_every_setting_is_simulated(rates: list[SimulatedRates]) -> None:
    assert [(one.noise, one.correlation, one.n) for one in rates] == [
        (noise, correlation, n) for noise in NOISES for correlation in CORRELATIONS for n in SEEDS
    ]


def test_the_promises_hold(rates: list[SimulatedRates]) -> None:
    # 4,000 studies have a standard error of 0.35 points at 5 %, hence four of them instead of the 0.6 of 10,000.
    for one in rates:
        assert max(one.false_effect, one.auto_false_effect) < 0.064 or one.noise == "half skewed"
        assert max(one.false_equivalent, one.auto_false_equivalent) < 0.064
        if one.noise == "normal":
            assert one.coverage == pytest.approx(0.95, abs=0.01)
            assert one.power == pytest.approx(0.8, abs=0.03)


def test_a_broken_promise_is_named(rates: list[SimulatedRates]) -> None:
    broken = replace(rates[0], coverage=0.75, false_effect=0.2, power=0.6, auto_false_equivalent=0.3).broken()
    assert broken == [
        "coverage 0.750",
        "power 0.600",
        "false helped or hurt 0.200",
        "auto: false equivalent 0.300",
    ]


def test_intervals_that_are_not_adjusted_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "ALPHA", 0.25)
    unadjusted = next(iter(simulate_verdicts(studies=2000)))
    assert unadjusted.false_effect > 0.15


def test_the_simulation_prints_a_table_and_whether_the_promises_hold(measure: Call) -> None:
    outcome = measure("simulate", "--studies", "2000", "--json")
    rows = json.loads(outcome.out)
    assert len(rows) == 24
    assert outcome.err.count("\n| ") == 25
    assert (outcome.code == 0) == ("Every promise holds." in outcome.err)
    assert "Percent of 2,000 studies a setting, each of 5 comparisons" in outcome.err


def test_no_study_is_refused(measure: Call) -> None:
    outcome = measure("simulate", "--studies", "0")
    assert outcome.code == 2
    assert "--studies is 0; it must be at least 1" in outcome.err
