from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.test_set import (
    accuracy_interval,
    bootstrap_mean,
    compare_models,
    correct_by_seed,
    difference_interval,
    judge_test_set,
)

RANDOM = np.random.default_rng(0)


def test_one_model_has_the_exact_binomial_interval() -> None:
    right = np.arange(360) < 355
    expected = stats.binomtest(355, 360).proportion_ci(0.95, method="exact")
    assert accuracy_interval([right]) == pytest.approx((expected.low, expected.high))
    assert accuracy_interval([]) is None


def test_the_bootstrap_is_that_of_scipy() -> None:
    values = RANDOM.integers(0, 4, 500) / 3
    result = stats.bootstrap((values,), np.mean, method="percentile", rng=np.random.default_rng(1))
    expected = result.confidence_interval
    assert bootstrap_mean(values) == pytest.approx((expected.low, expected.high), abs=0.003)


def test_models_that_are_wrong_on_the_same_images_count_those_once() -> None:
    right = RANDOM.random(1000) < 0.8
    one, several = accuracy_interval([right]), accuracy_interval([right] * 5)
    assert one is not None
    assert several is not None
    assert several[1] - several[0] == pytest.approx(one[1] - one[0], rel=0.1)


def test_a_difference_is_paired_by_image() -> None:
    below = RANDOM.random(1000) < 0.8
    better = below.copy()
    better[np.flatnonzero(~below)[:20]] = True
    bounds = difference_interval({0: better, 1: better}, {0: below, 2: below})
    assert bounds is not None
    assert 0.01 < bounds[0] < 0.02 < bounds[1] < 0.03
    assert difference_interval({0: better}, {1: below}) is None


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
    found = judge_test_set(study)
    exact = stats.binomtest(24, 40).proportion_ci(0.95, method="exact")
    assert found.rungs["high"] == pytest.approx((exact.low, exact.high))
    assert found.rungs["unsaved"] is None
    assert found.effects[0] is not None
    assert found.effects[0][0] < 0.1 < found.effects[0][1]
    assert found.effects[1] is None
    assert [(pair.rung, pair.only_first, pair.only_second) for pair in found.pairs] == [("high", 4, 0)]
