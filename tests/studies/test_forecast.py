"""What a study could find, held against statsmodels; nothing is trained."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median, stdev
from typing import Any

import numpy as np
import pytest
from statsmodels.stats.power import TTestPower

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.studies import forecast as module
from stepladder.studies import study as planning
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.rules import Rules, Seeds
from stepladder.studies.files.records import ContrastRecord, SavedStudy
from stepladder.studies.forecast import Forecast, Spread, choose_spread, forecast_study, usual_spread
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.studies.running.timing import Estimate
from stepladder.studies.study import plan_study
from stepladder.training.metrics import find_metric

MadeUp = Callable[..., SavedStudy]
SECONDS = {"baseline": 1.0, "standardize": 2.0, "augment": 3.0}


@pytest.fixture
def forecast(digits: ImageSet, two_rungs: Recipe, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Forecast]:
    """Three rungs, two comparisons, whose trials take 1, 2 and 3 seconds."""
    monkeypatch.setattr(
        planning,
        "estimate_seconds",
        lambda work, *_, **__: Estimate({name: SECONDS[name] for name in work}, {}, busy=1e-9),
    )

    def make(seeds: Seeds, spread: Spread, workers: int = 1, **rules: Any) -> Forecast:
        design = make_design("ladder", two_rungs)
        execution = Execution("cpu", "float32", workers=workers)
        planned = plan_study(digits, design, seeds=seeds, rules=Rules(**rules), execution=execution)
        return forecast_study(planned, spread, execution, Callbacks())

    return make


def chance(effect: float, sd: float, seeds: int, level: float) -> float:
    """The chance that a true effect is found on its own side, by statsmodels' noncentral t."""
    return float(TTestPower().power(effect / sd, np.array([seeds]), level / 2, alternative="larger")[0])


def test_a_detectable_difference_is_found_four_times_of_five(forecast: Callable[..., Forecast]) -> None:
    found = forecast(3, Spread(0.004), alpha=0.1)
    assert (found.fewest, found.most, found.comparisons) == (9, 9, 2)
    assert found.detectable.keys() == {3}
    assert chance(found.detectable[3] or 0, 0.004, 3, 0.1 / 2 * 0.5) == pytest.approx(0.8, abs=1e-4)
    final = forecast(3, Spread(0.004), alpha=0.1, final=True)
    assert chance(final.detectable[3] or 0, 0.004, 3, 0.1 / 2) == pytest.approx(0.8, abs=1e-4)
    # It grows with the spread, in the unit of the spread.
    twice = forecast(3, Spread(0.008), alpha=0.1)
    assert twice.detectable[3] == pytest.approx(2 * (found.detectable[3] or 0))


def test_each_look_has_its_share_of_the_error(forecast: Callable[..., Forecast]) -> None:
    found = forecast("auto", Spread(0.004))
    assert (found.fewest, found.most) == (9, 30)
    assert [look.seeds for look in found.looks] == list(found.detectable) == [3, 5, 7, 10]
    for look in found.looks:
        effect = found.detectable[look.seeds]
        assert effect is not None
        assert chance(effect, 0.004, look.seeds, 0.05 / 2 * look.share) == pytest.approx(0.8, abs=1e-4)
    assert sorted(found.detectable.values(), reverse=True) == list(found.detectable.values())  # type: ignore[type-var]


def test_one_seed_finds_nothing(forecast: Callable[..., Forecast]) -> None:
    assert forecast(1, Spread(0.004)).detectable == {1: None}


def test_the_time_is_that_of_all_trials_one_after_another(forecast: Callable[..., Forecast]) -> None:
    found = forecast("auto", Spread(0.004, usual=True))
    assert found.seconds == SECONDS
    assert (found.shortest.middle, found.longest.middle) == pytest.approx((18.0, 60.0))
    assert repr(found) == "<Forecast ladder on digits: 9 to 30 trials, 14 to 78 s>"
    document = json.loads(json.dumps(found.to_document()))
    assert document["trials"] == {"fewest": 9, "most": 30}
    assert document["seconds_a_trial"] == SECONDS
    assert document["seconds"]["fewest"] == pytest.approx({"low": 18 / 1.3, "high": 18 * 1.3})
    assert document["seconds"]["most"] == pytest.approx({"low": 60 / 1.3, "high": 60 * 1.3})
    assert document["trials_at_a_time"] == 1
    assert document["sd"] == 0.004
    assert document["study"]["plan_hash"] == found.record.plan_hash
    assert document["detectable"] == {str(seeds): effect for seeds, effect in found.detectable.items()}


def test_two_processes_take_half_as_long(forecast: Callable[..., Forecast]) -> None:
    found = forecast(2, Spread(0.004), workers=2)
    # 1, 2, 3, 1, 2 and 3 seconds, each begun by whoever is free first: 1 + 3 + 3 and 2 + 1 + 2.
    assert found.shortest.middle == pytest.approx(7.0)
    assert found.at_a_time == (2, 2)


def test_a_spread_is_stated_or_a_usual_one_in_the_unit_of_the_metric() -> None:
    assert choose_spread(0.02, "accuracy") == Spread(0.02)
    assert choose_spread(None, "accuracy") is None
    assert usual_spread(find_metric("nll"), 100) == usual_spread(find_metric("nll"), 10_000) == Spread(0.01, usual=True)
    for sd in (0.0, -0.1, float("inf"), float("nan")):
        with pytest.raises(StudyError, match=r"`spread` is .*; it must be above 0"):
            choose_spread(sd, "accuracy")


def test_few_test_images_spread_a_share_more_than_many() -> None:
    # Of 100 studies of two networks with the same accuracy that differ on 4 % of the images, coin by coin.
    random = np.random.default_rng(0)
    for images in (72, 360, 10_000):
        found = usual_spread(find_metric("accuracy"), images)
        assert found.usual
        assert found == usual_spread(find_metric("ece"), images)
        differ = random.binomial(images, 0.04, 4000)
        by_chance = (2 * random.binomial(differ, 0.5) - differ) / images
        assert found.sd == pytest.approx(np.hypot(by_chance.std(), 0.003), rel=0.05)
    assert usual_spread(find_metric("accuracy"), 72).sd > 2 * usual_spread(find_metric("accuracy"), 360).sd


def test_a_forecast_without_a_stated_spread_goes_by_its_test_images(forecast: Callable[..., Forecast]) -> None:
    found = forecast(5, None)
    assert found.spread == usual_spread(find_metric("accuracy"), found.record.data.counts["test"])


def test_a_pilot_gives_the_median_of_its_comparisons_and_no_interaction(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores: dict[str, list[float | None]] = {
        "a": [0.70, 0.71, 0.72],
        "b": [0.75, 0.77, 0.76],
        "c": [0.80, 0.70, 0.90],
        "d": [0.80, 0.71, 0.90],
    }
    pilot = made_up(scores)
    weights = {"a": 9.0, "b": -9.0, "c": -9.0, "d": 9.0}
    cross = ContrastRecord.model_validate({"name": "c × d", "design": "interaction", "weights": weights})
    record = pilot.record.model_copy(update={"contrasts": (*pilot.record.contrasts, cross)})
    monkeypatch.setattr(module, "load_study", lambda _: replace(pilot, record=record))
    differences = [np.subtract(scores[rung], scores[below]) for rung, below in ("ba", "cb", "dc")]
    found = choose_spread(Path("pilot"), "accuracy")
    assert found is not None
    assert found.sd == pytest.approx(median(stdev(each) for each in differences))
    assert (found.pilot, found.comparisons, found.usual) == (Path("pilot"), 3, False)
    with pytest.raises(StudyError, match="the pilot pilot was judged by accuracy, not by nll; give `spread` a number"):
        choose_spread(Path("pilot"), "nll")
    monkeypatch.setattr(module, "load_study", lambda _: made_up({"a": [0.7], "b": [0.8]}))
    with pytest.raises(StudyError, match="the pilot pilot has no comparison with two seeds; give `spread`"):
        choose_spread(Path("pilot"), "accuracy")
