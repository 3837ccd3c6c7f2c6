import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import simulate
from benchmarks.simulate import (
    CORRELATIONS,
    NOISES,
    SEEDS,
    Promises,
    SimulatedRates,
    simulate_new_images,
    simulate_promises,
    simulate_verdicts,
)

Call = Callable[..., Any]

#: 1,000 studies have a standard error of 0.7 points at 5 %: four of them above it.
MOST_OF_1000 = 0.078


@pytest.fixture(scope="module")
def rates() -> list[SimulatedRates]:
    return list(simulate_verdicts(studies=1000))


@pytest.mark.soak
def test_every_setting_is_simulated(rates: list[SimulatedRates]) -> None:
    assert [(one.noise, one.correlation, one.n) for one in rates] == [
        (noise.name, correlation, n) for noise in NOISES for correlation in CORRELATIONS for n in SEEDS
    ]
    assert sum(noise.promised for noise in NOISES) * len(CORRELATIONS) * len(SEEDS) == 64


@pytest.mark.long
def test_the_promises_hold_however_seeds_are_added(rates: list[SimulatedRates]) -> None:
    promised = [one for one in rates if not one.noise.endswith("skewed")]
    assert len(promised) > 40
    for one in promised:
        assert max(one.once, one.estimate, one.on, one.equivalent) < MOST_OF_1000, one
    normal = [one for one in rates if one.noise == "normal"]
    assert len(normal) == len(CORRELATIONS) * len(SEEDS)
    for one in normal:
        assert one.coverage == pytest.approx(0.95, abs=0.02)
        assert one.power == pytest.approx(0.8, abs=0.04)


@pytest.mark.long
def test_power_and_forecasts_are_as_promised() -> None:
    promises = simulate_promises(studies=4000)
    assert promises.at_five > 0.61
    assert promises.at_ten > 0.94
    assert all(0.68 < share < 0.92 for share in promises.decided.values())


@pytest.mark.long
def test_intervals_on_new_images_hold_the_truth_where_those_over_seeds_do_not() -> None:
    found = [one for one in simulate_new_images(studies=400) if one.images == 360]
    assert len(found) == 24
    for one in found:
        assert one.coverage > 0.91
        assert one.broken(0.03) == []
    apart = [one for one in found if one.difficulty == "each rung its own hard images" and one.seeds == 10]
    assert max(one.on_these for one in apart) < 0.9
    wrong = replace(found[0], coverage=0.8)
    assert wrong.broken(0.003) == ["coverage on new images 0.800"]
    assert replace(wrong, accuracy=0.995).broken(0.003) == [], "of two wrong images nothing is promised"


def test_a_broken_promise_is_named(rates: list[SimulatedRates]) -> None:
    broken = replace(rates[0], coverage=0.75, on=0.2, power=0.6, equivalent=0.3).broken(0.003)
    assert broken == [
        "coverage 0.750",
        "power 0.600",
        "false helped or hurt after adding seeds on and on 0.2000",
        "false equivalent 0.3000",
    ]
    assert Promises(0.5, 0.7, 0.9, {3: 0.4, 5: 0.8}, {3: 9, 5: 9}).broken() == [
        "power at five seeds 0.500",
        "power extended to ten seeds 0.900",
        "from 3 seeds, what is said to be decided with 80 % is in 0.400",
    ]


@pytest.mark.long
def test_intervals_that_are_not_adjusted_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_LEVEL", 0.05)
    unadjusted = next(iter(simulate_verdicts(studies=2000)))
    assert min(unadjusted.once, unadjusted.on) > 0.15


def test_looks_that_each_take_all_of_alpha_would_be_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    greedy = dict.fromkeys((5, 7, 10, 14, 20, 28, 40), simulate._LEVEL)
    monkeypatch.setattr(
        simulate, "nominal_levels", lambda n, most, level: {k: v for k, v in greedy.items() if k <= most}
    )
    found = next(one for one in simulate_verdicts(studies=2000) if one.n == 5)
    assert found.on > 0.1


@pytest.mark.long
def test_the_simulation_prints_a_table_and_whether_the_promises_hold(measure: Call) -> None:
    outcome = measure("simulate", "--studies", "500", "--json")
    document = json.loads(outcome.out)
    assert len(document["settings"]) == 72
    assert len(document["new_images"]) == 48
    assert outcome.err.count("\n| ") == 73 + 50
    assert (outcome.code == 0) == ("Every promise holds." in outcome.err)
    assert "Percent of 500 studies a setting, each of 5 comparisons" in outcome.err
    assert "found in" in outcome.err


@pytest.mark.long
def test_the_command_fails_where_a_promise_is_broken(measure: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "_LEVEL", 0.05)  # no adjustment for five comparisons
    outcome = measure("simulate", "--studies", "50")
    assert outcome.code == 1
    assert "Every promise holds." not in outcome.out + outcome.err
    assert "Broken: normal, correlation 0, n = 5: " in outcome.out + outcome.err


def test_no_study_is_refused(measure: Call) -> None:
    outcome = measure("simulate", "--studies", "0")
    assert outcome.code == 2
    assert "--studies is 0; it must be at least 1" in outcome.err


@pytest.mark.parametrize(("seeds", "share"), [(3, 0.022), (5, 0.001)])
def test_seeds_that_agree_are_too_rare_for_a_lower_coverage(seeds: int, share: float) -> None:
    """Where coverage is above 97: leaving zero out whenever all seeds agree would lower it to this share at most."""
    noise = next(one for one in NOISES if one.name == "360 images at 99.5 %")
    differences = np.diff(noise.draw(np.random.default_rng(1), 20_000, 0.8), axis=1)[..., :seeds]
    agree = ((differences > 0).all(axis=-1) | (differences < 0).all(axis=-1)).mean()
    assert agree == pytest.approx(share, abs=0.0005)
