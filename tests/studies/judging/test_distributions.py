"""To the bit what scipy.stats and statsmodels give: what older studies recorded must still follow."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from stepladder.studies.judging import distributions as ours

RANDOM = np.random.default_rng(0)
PROBABILITIES = np.concatenate(
    [RANDOM.random(50), 10.0 ** -RANDOM.uniform(1, 12, 50), 1 - 10.0 ** -RANDOM.uniform(1, 9, 50)]
)
FREEDOMS = np.concatenate([np.arange(1, 60), RANDOM.uniform(0.5, 40, 41)])
SHARES = [(0, 1), (1, 1), (0, 360), (355, 360), (360, 360), (7, 20), (5123, 10_000), (9999, 10_000)]


def test_t() -> None:
    p, freedom = PROBABILITIES[:, None], FREEDOMS[None, :]
    np.testing.assert_array_equal(ours.t_quantile(p, freedom), stats.t.ppf(p, freedom))
    values = np.concatenate([[0.0, np.inf, 1e-300, 1e300], RANDOM.normal(size=96) * 9])[:, None]
    np.testing.assert_array_equal(ours.t_tail(values, freedom), stats.t.sf(values, freedom))
    assert ours.t_quantile(0.975, 2) == stats.t.ppf(0.975, 2)


@pytest.mark.parametrize(("successes", "trials"), SHARES)
def test_intervals_of_a_share(successes: int, trials: int) -> None:
    assert ours.exact_interval(successes, trials, 0.95) == proportion_confint(successes, trials, 1 - 0.95, "beta")
    assert ours.wilson_interval(successes, trials, 0.95) == proportion_confint(successes, trials, 1 - 0.95, "wilson")


def test_mcnemar() -> None:
    for one in range(60):
        for other in (*range(max(0, one - 5), one + 6), 3 * one, 775):
            expected = min(1.0, float(mcnemar([[9, one], [other, 3]], exact=True).pvalue))
            assert ours.mcnemar_p_value(one, other) == expected, (one, other)


def test_correlation_and_slope() -> None:
    for length in (3, 4, 5, 12, 40):
        one = RANDOM.integers(80, 100, length) / 360
        one[0] += 1 / 360  # never constant
        other = one + RANDOM.normal(size=length) / 20
        assert ours.correlation(list(one), list(other)) == stats.pearsonr(one, other).statistic
        fit = stats.linregress(range(length), other, alternative="less")
        assert ours.falling_slope(list(other)) == (fit.slope, fit.pvalue)
    line = [0.9, 0.6, 0.3]
    fit = stats.linregress(range(3), line, alternative="less")
    assert ours.falling_slope(line) == (fit.slope, fit.pvalue)
