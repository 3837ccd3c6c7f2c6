"""From paired differences to a verdict: adjusted t-intervals, how they are read, and what more seeds would bring.

Everything is for the mean of paired differences, one a seed. With m comparisons in the plan, each gets the two-sided
t-interval of level 1 - α/m (Bonferroni; Dunn, JASA 1961), so that all of them are right at once with probability
1 - α, even where comparisons depend on one another: neighbors on a ladder share a rung. One interval serves every
verdict:

- it excludes zero: **helped** or **hurt**; the same as the Bonferroni-adjusted p-value being below α;
- it lies within ± the smallest effect of interest: **equivalent**; this is two one-sided tests at α/2m each
  (Schuirmann, J. Pharmacokinetics and Biopharmaceutics 1987);
- else **undecided**. An effect that is real and yet smaller than what is of interest counts as helped or hurt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import optimize, special

from stepladder.studies.design.rules import Look
from stepladder.studies.judging.distributions import t_quantile, t_tail

Verdict = Literal["helped", "hurt", "equivalent", "undecided"]
VERDICTS: tuple[Verdict, ...] = ("helped", "hurt", "equivalent", "undecided")

#: The chance at which a difference counts as detectable, and a number of seeds as probably enough.
POWER = 0.8

#: The chance at which more seeds may or may not decide.
EVEN = 0.5

#: More seeds than this are not looked for: an effect that small is not worth them.
MOST_SEEDS_SOUGHT = 40

#: Futures that are drawn for a forecast: chances to within 2 points.
_FUTURES = 2000


@dataclass(frozen=True)
class Evidence:
    """What the differences of one comparison say, or of many at once: each figure is a number or an array of them.

    Attributes:
        mean: of the differences.
        sd: their sample standard deviation (n - 1), at least the floor that was given.
        low, high: ends of the two-sided t-interval at the level asked for.
        p_value: two-sided, of the t-test that the mean is zero; not adjusted.
    """

    mean: np.ndarray
    sd: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray


def weigh(differences: np.ndarray, level: float, floor: float = 0.0, overlap: float = 0.0) -> Evidence:
    """Return mean, t-interval and p-value of paired differences.

    mean ± t(1 - level/2, n - 1) · sd / √n (Student, Biometrika 1908). Where each seed draws its own training and test
    images out of the same ones, seeds share most of their training images, and √(1/n + overlap) stands for √(1/n)
    (Nadeau and Bengio, Machine Learning 2003: the corrected resampled t-test).

    Args:
        differences: float (..., n), one a seed, n at least 2; leading axes are separate comparisons.
        level: error of one interval, α/m for m comparisons.
        floor: smallest standard deviation that is believed. Accuracies come in steps of one test image, so that a few
            seeds can agree to the digit; without a floor they would prove anything.
        overlap: test images over training images where each seed draws its own; 0 where all have the same.
    """
    n = differences.shape[-1]
    mean = differences.mean(axis=-1)
    sd = np.maximum(differences.std(axis=-1, ddof=1), floor)
    error = sd * math.sqrt(1 / n + overlap) if overlap else sd / math.sqrt(n)
    reach = t_quantile(1 - level / 2, n - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        # No spread at all: a mean of zero says nothing against zero, any other everything.
        statistic = np.where(error > 0, np.abs(mean) / error, np.where(mean == 0, 0.0, np.inf))
    return Evidence(mean, sd, mean - reach, mean + reach, 2 * t_tail(statistic, n - 1))


def weigh_unpaired(first: np.ndarray, second: np.ndarray, level: float, floor: float = 0.0) -> Evidence:
    """Return the difference of two means whose seeds have nothing in common, its t-interval and its p-value.

    Welch, Biometrika 1947: each mean has its own standard error, and the degrees of freedom are those of
    Satterthwaite.

    Args:
        first, second: float (n,), each at least 2; the difference is the mean of the first less that of the second.
        level: error of the interval, α/m for m comparisons.
        floor: smallest standard deviation of the difference that is believed, as in :func:`weigh`.
    """
    parts = [max(float(values.var(ddof=1)), floor**2 / 2) / len(values) for values in (first, second)]
    squared = math.fsum(parts)
    freedom = len(first) + len(second) - 2.0
    if squared > 0:
        freedom = squared**2 / math.fsum(
            part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
        )
    error, mean = math.sqrt(squared), np.asarray(first.mean() - second.mean())
    reach = t_quantile(1 - level / 2, freedom) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(error > 0, np.abs(mean) / error, np.where(mean == 0, 0.0, np.inf))
    sd = np.asarray(error * math.sqrt(min(len(first), len(second))))
    return Evidence(mean, sd, mean - reach, mean + reach, 2 * t_tail(statistic, freedom))


def judge(low: np.ndarray, high: np.ndarray, smallest_effect: float) -> np.ndarray:
    """Return the verdict of each interval as its position in :data:`VERDICTS`."""
    within = (low >= -smallest_effect) & (high <= smallest_effect)
    return np.select([low > 0, high < 0, within], [0, 1, 2], 3)


def settle(
    differences: np.ndarray,
    looks: Sequence[Look],
    level: float,
    smallest_effect: float,
    floor: float = 0.0,
    overlap: float = 0.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the verdict of the first look that decides, as its position in :data:`VERDICTS`, and that look's own.

    A comparison that no look decides has the last look and "undecided".

    Args:
        differences: float (..., n), one a seed in the order in which they were added; looks beyond n are left out.
        level: error of one comparison over all looks, α/m for m comparisons.
        floor, overlap: see :func:`weigh`.
    """
    verdict = np.full(differences.shape[:-1], VERDICTS.index("undecided"))
    at = np.zeros(differences.shape[:-1], dtype=np.int64)
    for position, look in enumerate(looks):
        if not 2 <= look.seeds <= differences.shape[-1]:
            continue
        evidence = weigh(differences[..., : look.seeds], level * look.share, floor, overlap)
        still = verdict == VERDICTS.index("undecided")
        at = np.where(still, position, at)
        verdict = np.where(still, judge(evidence.low, evidence.high, smallest_effect), verdict)
    return verdict, at


def rounding_sd(images: float, weights: Sequence[float] = (1.0, -1.0)) -> float:
    """Return the standard deviation that rounding to whole test images alone gives a weighted sum of accuracies.

    A share of N images is rounded to steps of 1/N, which has a standard deviation of 1/(N √12); a difference has two.
    """
    return math.sqrt(math.fsum(weight**2 for weight in weights) / 12) / images


def power(effect: float, sd: float, n: np.ndarray, level: float) -> np.ndarray:
    """Return the chance, for each number of seeds, that the interval excludes zero on the side of a true effect.

    From the noncentral t-distribution, so it holds at few seeds too; to the bit what statsmodels' ``TTestPower`` gives,
    whose import takes longer than all of a study's judging.
    """
    if sd == 0:
        return np.full(len(n), float(effect != 0))
    return _one_sided_power(abs(effect) / sd, n, level)


def chances_to_decide(
    so_far: tuple[float, float, int],
    looks: Sequence[Look],
    level: float,
    smallest_effect: float,
    overlap: float = 0.0,
) -> dict[int, float]:
    """Return the chance that an undecided comparison is decided by each later look, by that look's seeds.

    Neither the effect nor its spread is known, so both are drawn as the seeds so far leave them open, with a prior that
    is worth one seed and expects no effect (unit information: Kass and Wasserman, JASA 1995), as what a few seeds show
    is on average larger than what is there. For each draw more seeds are drawn, and judged as they will be; this is
    the predictive power of Spiegelhalter, Freedman and Blackburn (Controlled Clinical Trials 1986). The same figures
    give the same chances.

    Args:
        so_far: mean, standard deviation and number n of the differences so far, n at least 2.
        looks: the later ones, with their shares of ``level``.
        overlap: see :func:`weigh`.
    """
    if not looks:
        return {}
    mean, sd, n = so_far
    random, most = np.random.default_rng(n), looks[-1].seeds
    # Normal-inverse-χ²: Gelman et al., Bayesian Data Analysis, 2013, section 3.3, with κ₀ = 1, μ₀ = 0, ν₀ = 0.
    squares = (n - 1) * sd**2 + n / (n + 1) * mean**2
    sigma = np.sqrt(squares / random.chisquare(n, _FUTURES))
    effect = n / (n + 1) * mean + sigma / math.sqrt(n + 1) * random.standard_normal(_FUTURES)
    added = effect[:, None] + sigma[:, None] * random.standard_normal((_FUTURES, most - n))
    # Any n differences of this mean and deviation stand for those so far.
    known = mean + sd * _of_unit_spread(n)
    futures = np.concatenate([np.broadcast_to(known, (_FUTURES, n)), added], axis=1)
    verdicts, at = settle(futures, looks, level, smallest_effect, overlap=overlap)
    decided = verdicts != VERDICTS.index("undecided")
    return {look.seeds: float((decided & (at <= position)).mean()) for position, look in enumerate(looks)}


def _of_unit_spread(n: int) -> np.ndarray:
    values: np.ndarray = np.arange(n) - (n - 1) / 2
    return np.asarray(values / values.std(ddof=1))


def detectable_difference(sd: float, n: int, level: float, overlap: float = 0.0) -> float | None:
    """Return the smallest true difference that ``n`` seeds find with :data:`POWER`; None below two seeds.

    Args:
        sd: standard deviation of the paired differences, in the unit of the answer.
        overlap: see :func:`weigh`.
    """
    if n < 2:
        return None
    if sd == 0:
        return 0.0

    def short(effect: float) -> float:
        return float(power(effect, 1.0, np.array([n]), level)[0]) - POWER

    # Two seeds at a level of 0.001 need an effect of some 1,600 standard deviations; ten of them less than three.
    top = 10.0
    while short(top) < 0:
        top *= 10
    # As of a spread without overlap whose mean is known as badly.
    return sd * math.sqrt(1 + n * overlap) * float(optimize.brentq(short, 0.0, top, xtol=1e-6))


def _one_sided_power(effect_size: float, n: np.ndarray, level: float) -> np.ndarray:
    """The side of the effect alone: the far side of a two-sided test would be the wrong verdict."""
    # scipy's noncentral t gives NaN here and there where hardly anything is left to be missed.
    critical = -t_quantile(level / 2, n - 1)
    chances = np.asarray(1 - special.nctdtr(n - 1, effect_size * np.sqrt(n), critical), dtype=np.float64)
    return np.where(np.isnan(chances), 1.0, chances)
