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

#: More seeds than this are not looked for: an effect that small is not worth them.
MOST_SEEDS_SOUGHT = 1000


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


def weigh(differences: np.ndarray, level: float, floor: float = 0.0) -> Evidence:
    """Return mean, t-interval and p-value of paired differences.

    mean ± t(1 - level/2, n - 1) · sd / √n (Student, Biometrika 1908).

    Args:
        differences: float (..., n), one a seed, n at least 2; leading axes are separate comparisons.
        level: error of one interval, α/m for m comparisons.
        floor: smallest standard deviation that is believed. Accuracies come in steps of one test image, so that a few
            seeds can agree to the digit; without a floor they would prove anything.
    """
    n = differences.shape[-1]
    mean = differences.mean(axis=-1)
    sd = np.maximum(differences.std(axis=-1, ddof=1), floor)
    error = sd / math.sqrt(n)
    reach = t_quantile(1 - level / 2, n - 1) * error
    with np.errstate(divide="ignore", invalid="ignore"):
        # No spread at all: a mean of zero says nothing against zero, any other everything.
        statistic = np.where(error > 0, np.abs(mean) / error, np.where(mean == 0, 0.0, np.inf))
    return Evidence(mean, sd, mean - reach, mean + reach, 2 * t_tail(statistic, n - 1))


def judge(low: np.ndarray, high: np.ndarray, smallest_effect: float) -> np.ndarray:
    """Return the verdict of each interval as its position in :data:`VERDICTS`."""
    within = (low >= -smallest_effect) & (high <= smallest_effect)
    return np.select([low > 0, high < 0, within], [0, 1, 2], 3)


def settle(
    differences: np.ndarray, looks: Sequence[Look], level: float, smallest_effect: float, floor: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the verdict of the first look that decides, as its position in :data:`VERDICTS`, and that look's own.

    A comparison that no look decides has the last look and "undecided".

    Args:
        differences: float (..., n), one a seed in the order in which they were added; looks beyond n are left out.
        level: error of one comparison over all looks, α/m for m comparisons.
    """
    verdict = np.full(differences.shape[:-1], VERDICTS.index("undecided"))
    at = np.zeros(differences.shape[:-1], dtype=np.int64)
    for position, look in enumerate(looks):
        if not 2 <= look.seeds <= differences.shape[-1]:
            continue
        evidence = weigh(differences[..., : look.seeds], level * look.share, floor)
        still = verdict == VERDICTS.index("undecided")
        at = np.where(still, position, at)
        verdict = np.where(still, judge(evidence.low, evidence.high, smallest_effect), verdict)
    return verdict, at


def rounding_sd(images: int, weights: Sequence[float] = (1.0, -1.0)) -> float:
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


def equivalence_power(effect: float, sd: float, n: np.ndarray, level: float, smallest_effect: float) -> np.ndarray:
    """Return a lower bound of the chance, for each number of seeds, that the interval lies within ± smallest_effect.

    Each of the two one-sided tests has its own power; they fail together at most as often as their failures add up.
    """
    if abs(effect) >= smallest_effect:
        return np.zeros(len(n))
    if sd == 0:
        return np.ones(len(n))
    one, other = (
        _one_sided_power(room / sd, n, level) for room in (smallest_effect - effect, smallest_effect + effect)
    )
    both: np.ndarray = one + other - 1
    return both.clip(0.0, 1.0)


def seeds_to_decide(effect: float, sd: float, n: int, level: float, smallest_effect: float) -> int | None:
    """Return the fewest seeds beyond ``n`` that would decide with :data:`POWER`, were the figures so far the truth.

    None where even :data:`MOST_SEEDS_SOUGHT` would not.
    """
    sizes = np.arange(max(n + 1, 2), MOST_SEEDS_SOUGHT + 1)
    enough = (power(effect, sd, sizes, level) >= POWER) | (
        equivalence_power(effect, sd, sizes, level, smallest_effect) >= POWER
    )
    return int(sizes[enough.argmax()]) if enough.any() else None


def detectable_difference(sd: float, n: int, level: float) -> float | None:
    """Return the smallest true difference that ``n`` seeds find with :data:`POWER`; None below two seeds.

    Args:
        sd: standard deviation of the paired differences, in the unit of the answer.
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
    return sd * float(optimize.brentq(short, 0.0, top, xtol=1e-6))


def _one_sided_power(effect_size: float, n: np.ndarray, level: float) -> np.ndarray:
    """The side of the effect alone: the far side of a two-sided test would be the wrong verdict."""
    # scipy's noncentral t gives NaN here and there where hardly anything is left to be missed.
    critical = -t_quantile(level / 2, n - 1)
    chances = np.asarray(1 - special.nctdtr(n - 1, effect_size * np.sqrt(n), critical), dtype=np.float64)
    return np.where(np.isnan(chances), 1.0, chances)
