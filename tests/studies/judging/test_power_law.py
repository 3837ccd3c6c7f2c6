"""A power law through a few sizes, and what would be measured with twice the images."""

import math

import numpy as np
import pytest
from scipy.stats import norm

from stepladder.studies.judging import power_law
from stepladder.studies.judging.power_law import Measured, fit_power_law, is_above_guessing

SIZES = (125, 250, 500, 1000)


def made(errors: list[float], spread: float = 0.0) -> list[Measured]:
    """Two seeds a size, so far apart."""
    return [Measured(images, (one - spread, one + spread)) for images, one in zip(SIZES, errors, strict=True)]


def error_of(log_z: float, guess: float) -> float:
    return guess / (1 + guess * math.exp(-log_z))


def test_a_clean_law_goes_on_and_a_clean_floor_is_seen() -> None:
    clean = [0.3 * (images / 125) ** -0.5 for images in SIZES]
    law = fit_power_law(made(clean), 1_000_000, 1.0)
    assert law.interval[0] < 0.3 * 16**-0.5 < law.interval[1]
    assert law.predicted == pytest.approx(0.3 * 16**-0.5, rel=0.1)
    assert (law.images, law.error) == (1000, pytest.approx(clean[-1]))
    assert law.gain == pytest.approx(law.error - law.predicted)
    assert law.gain_interval == pytest.approx((law.error - law.interval[1], law.error - law.interval[0]))
    assert law.off == ()
    flat = fit_power_law(made([0.1 + 0.2 * (images / 125) ** -1.5 for images in SIZES]), 1_000_000, 1.0)
    assert law.floor_weight < 0.5 < 0.8 < flat.floor_weight
    assert flat.predicted == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("drift", [0.0, 0.3])
def test_one_law_is_that_of_conditional_normal_distributions(monkeypatch: pytest.MonkeyPatch, drift: float) -> None:
    """The level with a prior so wide that it is flat, and everything else joint: nothing of the closed form."""
    guess, test_images, departs, exponent = 0.9, 500, 0.1, 0.6
    for name, value in {
        "_EXPONENTS": np.array([exponent]),
        "_FLOORS": np.array([0.0]),
        "_FLOOR_WEIGHTS": np.array([1.0]),
        "_DEPARTURES": (departs,),
        "_DRIFTS": (drift,),
        "_SEEDS_PRIOR": 0.0,
    }.items():
        monkeypatch.setattr(power_law, name, value)
    errors = np.array([0.5, 0.41, 0.2, 0.15])
    law = fit_power_law([Measured(n, (one,)) for n, one in zip(SIZES, errors, strict=True)], test_images, 1 - 0.1, 0.9)

    steep = 1 / (errors * (1 - errors / guess))
    seen = errors * (1 - errors) / test_images * steep**2
    log_z, doublings = np.log(errors / (1 - errors / guess)), np.array([-3, -2, -1, 0, 1])
    mean = -exponent * math.log(2) * doublings
    since = doublings - doublings[0]
    path = np.array([[min(a, b) ** 2 * max(a, b) / 2 - min(a, b) ** 3 / 6 for a in since] for b in since])
    joint = 1e6 + departs**2 * np.eye(5) + drift**2 * path
    among = joint[:4, :4] + np.diag(seen)
    gain = np.linalg.solve(among, joint[:4, 4])
    middle = mean[4] + gain @ (log_z - mean[:4])
    spread = joint[4, 4] - gain @ joint[:4, 4]
    then = error_of(middle, guess)
    spread += then * (1 - then) / test_images / (then * (1 - then / guess)) ** 2
    low, high = (error_of(middle + norm.ppf(end) * math.sqrt(spread), guess) for end in (0.05, 0.95))
    assert law.predicted == pytest.approx(then, rel=1e-3)
    assert law.interval == pytest.approx((low, high), rel=2e-3)


def test_seeds_test_images_and_a_bend_each_make_the_interval_wider() -> None:
    errors = [0.4, 0.3, 0.22, 0.16]

    def width(spread: float = 0.002, test_images: int = 10_000, errors: list[float] = errors) -> float:
        low, high = fit_power_law(made(errors, spread), test_images, 0.9).interval
        return high - low

    plain = width()
    assert width(spread=0.04) > 1.1 * plain
    assert width(test_images=200) > 1.1 * plain
    assert width(errors=[0.4, 0.24, 0.28, 0.16]) > 1.1 * plain


def test_a_size_that_the_law_misses_is_named() -> None:
    law = fit_power_law(made([0.42, 0.36, 0.20, 0.19], 0.001), 100_000, 0.9)
    off = {size.images: (size.measured, size.fitted) for size in law.off}
    assert 500 in off
    measured, fitted = off[500]
    assert fitted - measured > 0.02
    assert [size.images for size in law.sizes] == list(SIZES)
    assert law.line[0][0] == pytest.approx(125)
    assert law.line[-1] == pytest.approx((1000, law.sizes[-1].fitted))


def test_what_is_near_guessing_and_what_has_no_error_are_fitted_as_well() -> None:
    near = fit_power_law(made([0.895, 0.89, 0.86, 0.7]), 1000, 0.9)
    assert 0 < near.interval[0] < near.predicted < near.interval[1] < 0.9
    none = fit_power_law(made([0.1, 0.03, 0.01, 0.0]), 1000, 0.9)
    assert 0 < none.interval[0] < none.interval[1] < 0.1
    two = fit_power_law(made([0.5, 0.4, 0.3, 0.2])[2:], 1000, 0.9)
    more = fit_power_law(made([0.5, 0.4, 0.3, 0.2]), 1000, 0.9)
    assert two.interval[1] - two.interval[0] > more.interval[1] - more.interval[0]


def test_order_does_not_matter_and_a_wider_confidence_is_wider() -> None:
    sizes = made([0.4, 0.3, 0.22, 0.16], 0.01)
    assert fit_power_law(sizes[::-1], 500, 0.9) == fit_power_law(sizes, 500, 0.9)
    wide, narrow = fit_power_law(sizes, 500, 0.9, 0.95).interval, fit_power_law(sizes, 500, 0.9, 0.9).interval
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_above_guessing_takes_more_than_chance_adds() -> None:
    assert not is_above_guessing(0.115, 0.1, 1000)  # binomial: 1.645 · 0.0095 = 0.0156
    assert is_above_guessing(0.116, 0.1, 1000)
    assert not is_above_guessing(0.64, 0.61, 300)
