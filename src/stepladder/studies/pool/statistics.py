"""Effects of several image sets as one: how much sets differ, the mean over them, and what a new set will have.

The model is the usual one of a meta-analysis: set i has a true effect θᵢ, normal around μ with the standard deviation
τ, and its study saw yᵢ, normal around θᵢ with the standard error sᵢ.

- τ² is the one at which Q(τ²) = Σ wᵢ (yᵢ - μ̂)², wᵢ = 1 / (sᵢ² + τ²), is k - 1, what it is on average (Paule and Mandel,
  J. Research of the National Bureau of Standards 1982); 0 where Q is below that without any τ².
- The interval of μ is Hartung's and Knapp's (Statistics in Medicine 2001): the error of the mean is taken from how far
  the sets are apart, q/Σwᵢ with q = Q/(k - 1), and t has k - 1 degrees of freedom. Where τ² is 0, q is below 1 by luck,
  and 1 stands for it (Röver, Knapp and Friede, BMC Medical Research Methodology 2015).
- The prediction interval of a new set's θ is not the usual one, μ̂ ± t √(τ² + error²) (Higgins, Thompson and
  Spiegelhalter 2009), which takes τ² for known: with five or nine sets that are apart about as much as their errors it
  holds a new set in 88 to 91 %, where 95 % are promised. As Q(τ²) is χ² with k - 1 degrees of freedom at the true τ²,
  each quantile of χ² gives a τ² that the sets are compatible with (Knapp, Biggerstaff and Hartung, Biometrical Journal
  2006): their confidence distribution. A new set is predicted from all of them, each with its mean and its error, as
  Nagashima, Noma and Furukawa do (Statistical Methods in Medical Research 2019), by quadrature where they draw at
  random.

``python -m benchmarks simulate`` counts how often both intervals hold.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from stepladder.studies.judging.distributions import t_quantile

#: The interval of a mean needs two sets; what is said of a third from two would be anything.
FEWEST_FOR_MEAN, FEWEST_FOR_PREDICTION = 2, 3

#: Confidence of both intervals, each for itself.
CONFIDENCE = 0.95

#: Values of τ² that stand for their confidence distribution: 200 give the ends to a thousandth of the width.
_NODES = 200


@dataclass(frozen=True)
class PooledEffect:
    """What several sets say together, in the unit of their effects.

    Attributes:
        sets: how many.
        mean: random-effects mean; None without a set.
        error: its standard error by Hartung and Knapp; None below two sets.
        interval: of the mean at :data:`CONFIDENCE`; None below two sets.
        tau: standard deviation between the true effects of sets, Paule and Mandel's; None below two sets.
        q: Q at τ² = 0, which is χ² with ``sets - 1`` degrees of freedom where sets do not differ; None below two.
        prediction: what the true effect of a new set lies within at :data:`CONFIDENCE`; None below three sets.
        above_zero: the chance by the same distribution that a new set's effect is above zero; None below three sets.
    """

    sets: int
    mean: float | None = None
    error: float | None = None
    interval: tuple[float, float] | None = None
    tau: float | None = None
    q: float | None = None
    prediction: tuple[float, float] | None = None
    above_zero: float | None = None


def pool_effects(effects: Sequence[float], errors: Sequence[float]) -> PooledEffect:
    """Return mean, spread between sets and prediction of effects.

    Args:
        effects: one a set.
        errors: their standard errors, above 0, in the same unit.
    """
    y, variances = np.asarray(effects, dtype=np.float64), np.square(np.asarray(errors, dtype=np.float64))
    k = len(y)
    if k < FEWEST_FOR_MEAN:
        return PooledEffect(k, float(y[0]) if k else None)
    tau_squared, mean, error = mean_of_sets(y, variances)
    reach = float(t_quantile((1 + CONFIDENCE) / 2, k - 1)) * float(error)
    prediction = above = None
    if k >= FEWEST_FOR_PREDICTION:
        means, sds = predict_set(y, variances)
        low, high = ends_of(means, sds)
        prediction = float(low), float(high)
        above = 1 - float(_chance_below(np.zeros(()), means, sds))
    return PooledEffect(
        sets=k,
        mean=float(mean),
        error=float(error),
        interval=(float(mean) - reach, float(mean) + reach),
        tau=math.sqrt(tau_squared),
        q=float(_weighted(y, variances, np.zeros(()))[0]),
        prediction=prediction,
        above_zero=above,
    )


# What follows takes many pools at the same time: leading axes are separate ones, so that the simulation counts what
# users get.


def mean_of_sets(y: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return τ² (Paule and Mandel), the mean and its standard error (Hartung and Knapp), each of the leading shape.

    Args:
        y, variances: float (..., k), effects and their squared standard errors.
    """
    k = y.shape[-1]
    tau_squared = spread_between(y, variances, np.asarray(k - 1.0))
    q, mean, variance = _weighted(y, variances, tau_squared)
    return tau_squared, mean, np.sqrt(variance * np.maximum(1.0, q / (k - 1)))


def spread_between(y: np.ndarray, variances: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the τ² at which Q is ``q``; 0 where Q is below it without any. With q = k - 1, Paule's and Mandel's.

    statsmodels' ``combine_effects`` finds the same by at most 50 of Newton's steps, to 1e-5 of Q and for one q alone,
    and returns 0 where rounding takes a step too far; the tests compare them.

    Args:
        y, variances: float (..., k).
        q: float, of the leading shape, or one for all.
    """
    spread = np.square(y - y.mean(axis=-1, keepdims=True)).sum(axis=-1)
    # Q falls in τ², and is below the sum of squares over it. Halved 64 times, that is below what a float tells apart.
    low, high = np.zeros(np.broadcast_shapes(spread.shape, q.shape)), spread / q
    none = _weighted(y, variances, low)[0] <= q
    for _ in range(64):
        middle = (low + high) / 2
        above = _weighted(y, variances, middle)[0] > q
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(none, 0.0, (low + high) / 2)


def predict_set(y: np.ndarray, variances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return means and standard deviations, (..., 200) each, of normal distributions: a new set is from one of them.

    Args:
        y, variances: float (..., k).
    """
    chances = (np.arange(_NODES) + 0.5) / _NODES
    q = special.chdtri(y.shape[-1] - 1, 1 - chances)
    taus = spread_between(y[..., None, :], variances[..., None, :], q)
    _, means, own = _weighted(y[..., None, :], variances[..., None, :], taus)
    return means, np.sqrt(taus + own)


def ends_of(means: np.ndarray, sds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both ends of what a new set lies within at :data:`CONFIDENCE`, of what :func:`predict_set` returns."""
    beyond = (1 - CONFIDENCE) / 2
    found = []
    for chance in (beyond, 1 - beyond):
        # Twelve standard deviations beyond the outermost of them nothing is left.
        low, high = (means - 12 * sds).min(axis=-1), (means + 12 * sds).max(axis=-1)
        for _ in range(64):
            middle = (low + high) / 2
            below = _chance_below(middle, means, sds) < chance
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        found.append((low + high) / 2)
    return found[0], found[1]


def _weighted(y: np.ndarray, variances: np.ndarray, tau_squared: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return Q, the mean and the mean's variance at given τ², each of the leading shape."""
    weights = 1 / (variances + tau_squared[..., None])
    total = weights.sum(axis=-1)
    mean = (weights * y).sum(axis=-1) / total
    return (weights * np.square(y - mean[..., None])).sum(axis=-1), mean, 1 / total


def _chance_below(value: np.ndarray, means: np.ndarray, sds: np.ndarray) -> np.ndarray:
    return np.asarray(special.ndtr((value[..., None] - means) / sds).mean(axis=-1))
