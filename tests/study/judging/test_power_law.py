import numpy as np
import pytest
from scipy import stats

from stepladder.study.judging.power_law import fit_power_law

IMAGES = [100, 100, 200, 200, 500, 500, 1000, 1000]


def test_an_exact_law_is_found_again() -> None:
    law = fit_power_law(IMAGES, [0.9 * images**-0.35 for images in IMAGES], 10_000)
    assert (law.scale, law.exponent) == pytest.approx((0.9, 0.35))
    assert law.error == pytest.approx(0.9 * 1000**-0.35)
    assert law.gain == pytest.approx(law.error - 0.9 * 2000**-0.35)
    assert law.at(2000) == pytest.approx(law.error - law.gain)
    assert law.exponent_interval == pytest.approx((0.35, 0.35))


def test_the_interval_is_that_of_scipys_regression() -> None:
    errors = [0.30, 0.28, 0.24, 0.22, 0.15, 0.17, 0.13, 0.12]
    law = fit_power_law(IMAGES, errors, 10_000)
    expected = stats.linregress(np.log(IMAGES), np.log(errors))
    reach = stats.t.ppf(0.975, len(IMAGES) - 2) * expected.stderr
    assert law.exponent == pytest.approx(-expected.slope)
    assert law.exponent_interval == pytest.approx((-expected.slope - reach, -expected.slope + reach))
    low, high = law.exponent_interval
    assert law.gain_interval == pytest.approx((law.error * (1 - 2**-low), law.error * (1 - 2**-high)))
    assert law.gain_interval[0] < law.gain < law.gain_interval[1]


def test_a_trial_without_error_counts_as_half_an_image() -> None:
    law = fit_power_law([100, 200, 500], [0.1, 0.05, 0.0], 1000)
    assert np.isfinite(law.exponent)
    assert law == fit_power_law([100, 200, 500], [0.1, 0.05, 0.0005], 1000)
