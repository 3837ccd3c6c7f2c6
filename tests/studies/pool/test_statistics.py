"""Pooled effects: against statsmodels and metafor's published figures, against closed forms, and against the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects

from stepladder.studies.pool.statistics import (
    PooledEffect,
    ends_of,
    mean_of_sets,
    pool_effects,
    predict_set,
    spread_between,
)

#: The BCG vaccine against tuberculosis, 13 trials (Colditz et al., JAMA 1994), the example of metafor's documentation:
#: cases and others, vaccinated and not.
BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    dtype=np.float64,
)


def log_risk_ratios() -> tuple[np.ndarray, np.ndarray]:
    """The effects of metafor's example and their variances."""
    cases, others, cases_without, others_without = BCG.T
    with_it, without = cases + others, cases_without + others_without
    effects = np.log(cases / with_it / (cases_without / without))
    return effects, 1 / cases - 1 / with_it + 1 / cases_without - 1 / without


def test_the_vaccine_example_has_the_figures_that_metafor_publishes() -> None:
    effects, variances = log_risk_ratios()
    found = pool_effects(effects.tolist(), np.sqrt(variances).tolist())
    assert found.tau is not None
    assert found.q is not None
    # rma(yi, vi, method="PM"): tau^2 (estimated amount of total heterogeneity): 0.3181; Q(df = 12) = 152.2330.
    assert round(found.tau**2, 4) == 0.3181
    assert round(found.q, 4) == 152.2330
    same_as_statsmodels(found, effects, variances)


def same_as_statsmodels(found: PooledEffect, effects: np.ndarray, variances: np.ndarray) -> None:
    # By default statsmodels ends its steps at 1e-5 of Q, too early for this; and where rounding takes Q a hair below
    # its goal, as it may at 1e-11, it returns 0.
    other = combine_effects(effects, variances, method_re="iterated", use_t=True, atol=1e-8, maxiter=500)
    assert found.tau is not None
    assert found.tau**2 == pytest.approx(other.tau2, abs=1e-6)
    assert found.mean == pytest.approx(other.mean_effect_re, abs=1e-6)
    assert found.error == pytest.approx(np.sqrt(other.var_hksj_re), abs=1e-6)
    reach = stats.t.ppf(0.975, len(effects) - 1) * np.sqrt(other.var_hksj_re)
    assert found.interval == pytest.approx((other.mean_effect_re - reach, other.mean_effect_re + reach), abs=1e-6)


@pytest.mark.parametrize("k", [2, 3, 9, 20])
def test_mean_and_spread_are_those_of_statsmodels(k: int) -> None:
    random = np.random.default_rng(k)
    variances = np.exp(random.standard_normal(k))
    effects = 4.0 * np.arange(k) + random.standard_normal(k)
    found = pool_effects(effects.tolist(), np.sqrt(variances).tolist())
    assert found.tau
    same_as_statsmodels(found, effects, variances)


def test_sets_that_agree_by_luck_get_no_shorter_interval_than_their_errors_allow() -> None:
    found = pool_effects([1.0, 1.0, 1.0, 1.0], [0.5] * 4)
    assert (found.mean, found.tau, found.q) == (1.0, 0.0, 0.0)
    assert found.error == pytest.approx(0.5 / np.sqrt(4))


def test_where_errors_are_nothing_a_new_set_is_predicted_as_a_new_value() -> None:
    """Normal values with unknown mean and spread: mean ± t s √(1 + 1/k), exactly."""
    for k in (3, 5, 20):
        values = np.random.default_rng(k).standard_normal(k)
        found = pool_effects(values.tolist(), [1e-7] * k)
        spread = values.std(ddof=1) * np.sqrt(1 + 1 / k)
        reach = stats.t.ppf(0.975, k - 1) * spread
        assert found.prediction == pytest.approx((values.mean() - reach, values.mean() + reach), rel=3e-3)
        assert found.above_zero == pytest.approx(stats.t.sf(-values.mean() / spread, k - 1), abs=1e-3)


def test_a_prediction_moves_and_scales_with_the_effects() -> None:
    effects, errors = np.array([0.4, 1.9, -0.3, 1.0]), np.array([0.2, 0.5, 0.3, 0.4])
    first = pool_effects(effects.tolist(), errors.tolist())
    moved = pool_effects((100 * effects + 7).tolist(), (100 * errors).tolist())
    assert first.prediction is not None
    assert moved.prediction == pytest.approx(tuple(100 * end + 7 for end in first.prediction))


def test_few_sets_say_what_they_can_and_no_more() -> None:
    assert pool_effects([], []) == PooledEffect(0)
    assert pool_effects([0.3], [0.1]) == PooledEffect(1, 0.3)
    two = pool_effects([0.3, 0.5], [0.1, 0.1])
    assert (two.prediction, two.above_zero) == (None, None)
    assert two.interval is not None
    three = pool_effects([0.3, 0.5, 0.4], [0.1, 0.1, 0.1])
    assert three.prediction is not None
    assert three.interval is not None
    assert three.prediction[0] < three.interval[0] < three.interval[1] < three.prediction[1]


@pytest.mark.long
def test_a_prediction_holds_a_new_set_as_often_as_it_says_where_the_usual_one_does_not() -> None:
    """Five sets that are apart as much as their errors, of five seeds each: 95 %, and 90 % by Higgins' formula."""
    random, k, pools = np.random.default_rng(1), 5, 800
    errors = np.exp(0.5 * random.standard_normal((pools, k)))
    effects = random.standard_normal((pools, k)) + errors * random.standard_normal((pools, k))
    variances = errors**2 * random.chisquare(4, (pools, k)) / 4

    def held(low: np.ndarray, high: np.ndarray) -> float:
        return float((stats.norm.cdf(high) - stats.norm.cdf(low)).mean())  # of a new set, which is around 0 by 1

    assert 0.93 < held(*ends_of(*predict_set(effects, variances))) < 0.97
    tau_squared, mean, _ = mean_of_sets(effects, variances)
    own = 1 / (1 / (variances + tau_squared[:, None])).sum(axis=1)
    reach = stats.t.ppf(0.975, k - 2) * np.sqrt(tau_squared + own)
    assert held(mean - reach, mean + reach) < 0.93


def test_many_pools_at_the_same_time_are_each_what_it_is_alone() -> None:
    random = np.random.default_rng(2)
    effects, variances = random.standard_normal((4, 6)), np.exp(random.standard_normal((4, 6)))
    together = spread_between(effects, variances, np.asarray(5.0))
    alone = [float(spread_between(*pair, np.asarray(5.0))) for pair in zip(effects, variances, strict=True)]
    assert together.tolist() == pytest.approx(alone)
    low, _ = ends_of(*predict_set(effects, variances))
    single = [pool_effects(y.tolist(), np.sqrt(v).tolist()) for y, v in zip(effects, variances, strict=True)]
    assert low.tolist() == pytest.approx([one.prediction[0] for one in single if one.prediction])
