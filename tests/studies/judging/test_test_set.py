from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.statistics import summarize_rungs, weigh_effects
from stepladder.studies.judging.test_set import (
    accuracy_interval,
    compare_models,
    correct_by_seed,
    crossed_interval,
    judge_test_set,
)

RANDOM = np.random.default_rng(0)


def test_one_model_has_the_exact_binomial_interval() -> None:
    right = np.arange(360) < 355
    expected = stats.binomtest(355, 360).proportion_ci(0.95, method="exact")
    assert accuracy_interval([right]) == pytest.approx((expected.low, expected.high))
    assert accuracy_interval([]) is None


def test_models_that_are_wrong_on_the_same_images_count_those_once() -> None:
    right = RANDOM.random(1000) < 0.8
    one, several = accuracy_interval([right]), accuracy_interval([right] * 5)
    assert one is not None
    assert several is not None
    assert several[1] - several[0] == pytest.approx(one[1] - one[0], rel=0.1)


def test_without_an_effect_of_images_the_interval_is_that_over_seeds() -> None:
    by_seed = np.array([0.1, 0.3, 0.2, 0.5, 0.4])
    low, high = crossed_interval(np.repeat(by_seed[:, None], 50, axis=1), 0.05)
    expected = stats.t.interval(0.95, 4, by_seed.mean(), stats.sem(by_seed))
    assert (low, high) == pytest.approx(expected)


def test_without_an_effect_of_seeds_the_interval_is_that_over_images() -> None:
    values = RANDOM.normal(size=400)
    low, high = crossed_interval(np.tile(values, (6, 1)), 0.05)
    expected = stats.t.interval(0.95, 399, values.mean(), stats.sem(values))
    assert (low, high) == pytest.approx(expected)


def test_the_variance_of_a_mean_over_seeds_and_images_is_told_without_bias() -> None:
    sd_seed, sd_image, sd_left, seeds, images = 0.05, 0.6, 0.8, 40, 200
    made_up = (
        RANDOM.normal(0, sd_seed, (300, seeds, 1))
        + RANDOM.normal(0, sd_image, (300, 1, images))
        + RANDOM.normal(0, sd_left, (300, seeds, images))
    )
    reach = [(high - low) / 2 for low, high in (crossed_interval(each, 0.05) for each in made_up)]
    sd = np.sqrt(sd_seed**2 / seeds + sd_image**2 / images + sd_left**2 / (seeds * images))
    assert np.mean(np.square(reach)) == pytest.approx((1.96 * sd) ** 2, rel=0.05)


@settings(max_examples=60)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 6), st.integers(2, 30)), elements=st.sampled_from([-1.0, 0.0, 1.0])),
    st.sampled_from([0.2, 0.05, 0.002]),
)
def test_an_interval_for_new_images_holds_that_for_these(values: np.ndarray, level: float) -> None:
    low, high = crossed_interval(values, level)
    means = values.mean(axis=1)
    reach = stats.t.ppf(1 - level / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    assert low <= means.mean() - reach + 1e-9
    assert high >= means.mean() + reach - 1e-9
    assert np.isfinite([low, high]).all()


def test_mcnemars_test_is_the_binomial_test_of_the_images_that_differ(
    made_up: Callable[..., SavedStudy], tmp_path: Path
) -> None:
    study = made_up({"low": [0.5, 0.5], "high": [0.6, None]})
    labels = np.zeros(40, dtype=np.int64)
    low, high = np.arange(40) >= 25, np.arange(40) >= 12
    high[30:34] = False
    by_rung = {"low": low, "high": high}
    for trial in study.trials:
        if trial.result.status == "finished":
            write_predictions(trial.folder, np.where(by_rung[trial.rung], 0, 3), labels, 10)
    study = replace(study, folder=tmp_path)
    correct = {rung: correct_by_seed(study, rung) for rung in by_rung}
    assert [list(found) for found in correct.values()] == [[0, 1], [0]]
    (pair,) = compare_models(study, correct)
    assert (pair.rung, pair.below, pair.seed, pair.only_first, pair.only_second) == ("high", "low", 0, 13, 4)
    assert pair.p_value == pytest.approx(stats.binomtest(13, 17).pvalue)


def test_all_that_hangs_on_the_test_images_is_one_value(made_up: Callable[..., SavedStudy]) -> None:
    study = made_up({"low": [0.5], "high": [0.6], "unsaved": [0.7]})
    labels = np.arange(40) % 2
    right = {"low": np.arange(40) < 20, "high": np.arange(40) < 24}
    for trial in study.trials[:2]:
        write_predictions(trial.folder, np.where(right[trial.rung], labels, 1 - labels), labels, 10)
    found = judge_test_set(study, weigh_effects(study, summarize_rungs(study)))
    exact = stats.binomtest(24, 40).proportion_ci(0.95, method="exact")
    assert found.rungs["high"] == pytest.approx((exact.low, exact.high))
    assert found.rungs["unsaved"] is None
    assert found.effects == (None, None)  # one seed shows no spread
    assert [(pair.rung, pair.only_first, pair.only_second) for pair in found.pairs] == [("high", 4, 0)]


def saved(made_up: Callable[..., SavedStudy], differ: int, seeds: int = 3, failed: bool = False) -> SavedStudy:
    """Return a study of two rungs, whose predictions differ on so many of 40 images, the same ones in every seed."""
    high = [0.5 + differ / 40] * (seeds - failed) + [None] * failed
    study = made_up({"low": [0.5] * seeds, "high": high})
    labels = np.arange(40) % 2
    right = {"low": np.arange(40) < 20, "high": np.arange(40) < 20 + differ}
    for trial in study.trials:
        if trial.result.status == "finished":
            write_predictions(trial.folder, np.where(right[trial.rung], labels, 1 - labels), labels, 10)
    return study


def test_seeds_that_agree_say_nothing_of_other_images(made_up: Callable[..., SavedStudy]) -> None:
    study = saved(made_up, differ=2)
    (effect,) = weigh_effects(study, summarize_rungs(study))
    assert effect.verdict == "helped"
    assert effect.interval is not None
    (bounds,) = judge_test_set(study, [effect]).effects
    assert bounds is not None
    assert bounds[0] < 0 < effect.interval[0] < effect.interval[1] < bounds[1]


def test_the_interval_on_new_images_is_of_the_level_of_the_effect(made_up: Callable[..., SavedStudy]) -> None:
    """Two comparisons share the error, so that either is wider than one alone would be."""
    random, labels = np.random.default_rng(1), np.arange(400) % 2
    study = made_up({name: [0.5 + place / 50] * 4 for place, name in enumerate(("low", "high", "top"))})
    for trial in study.trials:
        right = random.random(400) < 0.5 + 0.02 * trial.seed
        write_predictions(trial.folder, np.where(right, labels, 1 - labels), labels, 10)
    effects = weigh_effects(study, summarize_rungs(study))
    correct = {rung.name: correct_by_seed(study, rung.name) for rung in study.record.rungs}
    found = judge_test_set(study, effects).effects
    assert len(found) == len(effects) == 2
    for effect, bounds in zip(effects, found, strict=True):
        assert effect.level < 0.05 / 2 + 1e-12
        assert effect.rung is not None
        assert effect.below is not None
        assert bounds is not None
        values = np.array([correct[effect.rung][s].astype(float) - correct[effect.below][s] for s in range(4)])
        assert bounds == pytest.approx(crossed_interval(values, effect.level))
        plain = crossed_interval(values, 0.05)
        assert bounds[0] < plain[0] - 0.01
        assert plain[1] + 0.01 < bounds[1]


def test_a_failed_seed_counts_as_guessing_on_every_image(made_up: Callable[..., SavedStudy]) -> None:
    study = saved(made_up, differ=12, failed=True)
    (effect,) = weigh_effects(study, summarize_rungs(study))
    (bounds,) = judge_test_set(study, [effect]).effects
    assert bounds is not None
    assert effect.interval is not None
    assert effect.mean is not None
    assert bounds[0] <= effect.interval[0] < effect.mean < effect.interval[1] <= bounds[1]


def test_an_interval_beyond_what_is_possible_is_cut(made_up: Callable[..., SavedStudy]) -> None:
    study = saved(made_up, differ=12, seeds=2, failed=True)
    (effect,) = weigh_effects(study, summarize_rungs(study))
    assert effect.interval == (-1.0, 1.0)
    assert judge_test_set(study, [effect]).effects == ((-1.0, 1.0),)


def test_another_metric_than_accuracy_has_no_interval_for_new_images(made_up: Callable[..., SavedStudy]) -> None:
    study = saved(made_up, differ=2)
    study = replace(study, record=study.record.model_copy(update={"metric": "macro_f1"}))
    effects = weigh_effects(study, summarize_rungs(study))
    assert judge_test_set(study, effects).effects == (None,)


def test_the_interval_on_new_images_is_of_the_seeds_that_the_verdict_rests_on(
    made_up: Callable[..., SavedStudy],
) -> None:
    """Seeds after the look that decided change neither."""
    random, labels = np.random.default_rng(3), np.arange(400) % 2
    scores = {"low": [0.500, 0.501, 0.499, 0.9, 0.9], "high": [0.550, 0.552, 0.548, 0.5, 0.5]}
    study = made_up(scores, looks=(3, 5))
    for trial in study.trials:
        right = random.random(400) < scores[trial.rung][trial.seed]
        write_predictions(trial.folder, np.where(right, labels, 1 - labels), labels, 10)
    (effect,) = weigh_effects(study, summarize_rungs(study))
    assert (effect.verdict, effect.n, len(effect.differences)) == ("helped", 3, 5)
    assert effect.interval is not None
    high, low = (correct_by_seed(study, rung) for rung in ("high", "low"))
    values = np.array([high[seed].astype(float) - low[seed] for seed in range(3)])
    first, last = crossed_interval(values, effect.level)
    (bounds,) = judge_test_set(study, [effect]).effects
    assert bounds == pytest.approx((min(first, effect.interval[0]), max(last, effect.interval[1])))
