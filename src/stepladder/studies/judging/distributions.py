"""Quantiles, tails and intervals of the usual distributions, by scipy's special functions alone.

To the bit what ``scipy.stats`` and statsmodels give, so that what older studies recorded still follows from their
trials. Importing those two takes longer than all of a study's judging.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import special


def t_quantile(probability: Any, freedom: Any) -> Any:
    """Return what a t-distributed value stays below with this probability; numbers or arrays."""
    return special.stdtrit(freedom, probability)


def t_tail(value: Any, freedom: Any) -> Any:
    """Return the chance that a t-distributed value exceeds ``value``; numbers or arrays."""
    return special.stdtr(freedom, -value)


def chance_of_at_least(successes: int, trials: int, share: float) -> float:
    """Return the binomial chance of ``successes`` or more where each of ``trials`` succeeds with chance ``share``."""
    return 1.0 if successes < 1 else float(special.betainc(successes, trials - successes + 1, share))


def exact_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return the interval of a share that is never too short (Clopper and Pearson, Biometrika 1934)."""
    beyond = (1 - confidence) / 2
    low = special.betaincinv(successes, trials - successes + 1, beyond) if successes else 0.0
    high = special.betainccinv(successes + 1, trials - successes, beyond) if successes < trials else 1.0
    return float(low), float(high)


def wilson_interval(successes: int, trials: int, confidence: float) -> tuple[float, float]:
    """Return the interval of a share by the score test (Wilson, JASA 1927)."""
    share = successes / trials
    reach = -special.ndtri((1 - confidence) / 2)
    square = reach**2
    scale = 1 + square / trials
    middle = (share + square / (2 * trials)) / scale
    half = reach * np.sqrt(share * (1.0 - share) / trials + square / (4.0 * trials**2)) / scale
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def share_error(share: float, images: int) -> float:
    """Return the standard error of a share of so many images, √(p̃ (1 - p̃) / N).

    p̃ counts one image more on either side (Agresti and Caffo, The American Statistician 2000), so that a share of 0 or
    1 has an error too.
    """
    moved = (share * images + 1) / (images + 2)
    return math.sqrt(moved * (1 - moved) / images)


def residual_spread(values: Sequence[float]) -> float:
    """Return the standard deviation of values about the line through them, n - 2 degrees of freedom; 0 below three."""
    if len(values) < 3:
        return 0.0
    places = np.arange(len(values)) - (len(values) - 1) / 2
    apart = np.asarray(values, dtype=np.float64) - np.mean(values)
    left = float(np.square(apart).sum() - np.dot(places, apart) ** 2 / np.dot(places, places))
    return math.sqrt(max(left, 0.0) / (len(values) - 2))


def spreads_more(sd: float, freedom: int, error: float) -> bool:
    """Whether a standard deviation is above what an error of this size explains: the χ² test of a variance, at 5 %."""
    return error == 0 or float(special.chdtrc(freedom, freedom * (sd / error) ** 2)) <= 0.05


def mcnemar_p_value(one: int, other: int) -> float:
    """Return the two-sided exact p-value of McNemar's test (Psychometrika 1947).

    Args:
        one, other: how often only the first was right, and only the second.
    """
    fewer, more = sorted((one, other))
    if more == 0:
        return 1.0
    # The chance of at most ``fewer`` in ``fewer + more`` tosses of a coin. Where it is one half, it is as large as the
    # chance of more, which scipy subtracts; the last bit tells.
    chance = float(special.betainc(more, fewer + 1, 0.5))
    return min(1.0, 2 * (1 - chance if more == fewer + 1 else chance))


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Pearson's correlation of two sequences of one length, neither of them constant."""
    scaled = []
    for values in (first, second):
        apart = np.asarray(values, dtype=np.float64) - np.mean(values)
        largest = np.abs(apart).max()
        scaled.append(apart / (largest * np.linalg.vector_norm(apart / largest)))
    return float(np.clip(np.vecdot(*scaled), -1.0, 1.0))


def falling_slope(values: Sequence[float]) -> tuple[float, float]:
    """Return the slope of a line through values at 0, 1, 2, …, and the one-sided p-value that it falls.

    Args:
        values: three or more, not all equal.
    """
    spread, shared, _, other = np.cov(np.arange(len(values)), np.asarray(values), bias=True).flat
    r = min(1.0, max(-1.0, shared / math.sqrt(spread * other)))
    tiny = 1e-20  # scipy's, where the values lie on a line
    statistic = r * math.sqrt((len(values) - 2) / ((1.0 - r + tiny) * (1.0 + r + tiny)))
    return float(shared / spread), float(special.stdtr(len(values) - 2, statistic))
