"""A power law over numbers of training images, and what would be measured with twice as many.

The error falls with the images as a power of their number (Cortes et al., Learning Curves: Asymptotic Values and Rate
of Convergence, 1994; Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017), begins at guessing, and
may end at a floor (Rosenfeld et al., A Constructive Prediction of the Generalization Error Across Scales, 2020). A few
sizes cannot tell such laws apart, and each alone misleads (Mahmood et al., How Much More Data Do I Need?, 2022), so
they are averaged by how well they fit (Hoeting et al., Bayesian Model Averaging, 1999)::

    z = error / (1 - error / guess) = z(N) · (f + (1 - f) · (images / N)^(-b))

``guess`` is the error of naming the largest class, ``N`` the largest size. Half of the prior weight is on laws without
a floor (f = 0). Sizes do not keep to any such law: with equal epochs a larger one also takes more steps. So log z
departs from it by an independent part at each size and by a slope that drifts with the doublings (an integrated
Brownian motion); how much, is averaged over as well. What is said of the law itself, and drawn, is without that drift.
z(N) is worked out in closed form, the rest on a grid: three or four sizes carry no bootstrap of three parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from statistics import fmean, variance

import numpy as np
from scipy.special import ndtr

#: Prior of the exponent b: normal, cut off; wide, since a size with more steps falls faster than the literature's 0.3.
_EXPONENTS, _EXPONENT_MEAN, _EXPONENT_SD = np.linspace(-0.3, 3.0, 56), 0.8, 0.8
#: Floors as shares of z(N), and their prior weights: half for none.
_FLOORS = np.linspace(0.0, 0.95, 11)
_FLOOR_WEIGHTS = np.array([0.5, *[0.05] * 10])
#: Standard deviations of what departs from the law, in log z, alike before: at a size by itself, and of the slope after
#: a doubling.
_DEPARTURES = (0.02, 0.05, 0.1, 0.2, 0.4)
_DRIFTS = (0.05, 0.1, 0.2, 0.4, 0.8)
#: What is supposed of the seeds' variance, as a multiple of error · (1 - error), and how many seeds that counts for.
_SEEDS_PRIOR, _SEEDS_COUNT = 0.004, 2
#: An error this near to guessing, as a share of it, is taken as no nearer: there z has no end.
_NEAREST = 0.97
#: Where the predictive distribution is worked out, in log z.
_GRID = np.linspace(-12.0, 8.0, 601)
#: Places at which the law is drawn.
_LINE = 33
#: Where nobody told the test images, so many are supposed for the smallest error that there is.
_USUAL_TEST_IMAGES = 10_000
#: Standard errors beyond which a size is said to lie off the law.
_OFF = 2.0


@dataclass(frozen=True)
class Measured:
    """The errors of one size, one a seed, fractions of 1.

    Attributes:
        images: how many, or the share of all where nobody told their number: the law needs nothing but the ratios.
    """

    images: float
    errors: tuple[float, ...]

    @property
    def error(self) -> float:
        """Their mean."""
        return fmean(self.errors)


@dataclass(frozen=True)
class FittedSize:
    """What the law makes of a size it was fitted to; errors are fractions of 1.

    Attributes:
        images: as in :class:`Measured`.
        noise: standard error of ``measured`` by seeds and test images.
    """

    images: float
    measured: float
    fitted: float
    noise: float

    @property
    def is_off(self) -> bool:
        """Whether the law misses it by more than seeds and test images explain."""
        return abs(self.measured - self.fitted) > _OFF * self.noise


@dataclass(frozen=True)
class PowerLaw:
    """What twice the images would bring; errors are fractions of 1.

    Attributes:
        images: the largest number of images that was tried, or share of them.
        error: measured there, the mean over seeds.
        predicted: the error that would be measured with twice as many, by as many seeds on as many test images: the
            median, with ``interval``.
        exponent: of the law, the mean over all that were averaged, with ``exponent_interval``.
        floor_weight: the weight of the laws with a floor, 0 to 1; 0.5 before anything was measured.
        sizes: that it was fitted to, from the smallest on.
        line: to draw the law: numbers of images, from the smallest size to the largest, with its error.
        confidence: of the intervals.
    """

    images: float
    error: float
    predicted: float
    interval: tuple[float, float]
    exponent: float
    exponent_interval: tuple[float, float]
    floor_weight: float
    sizes: tuple[FittedSize, ...]
    line: tuple[tuple[float, float], ...]
    confidence: float

    @property
    def gain(self) -> float:
        """How much less error would be measured with twice as many images."""
        return self.error - self.predicted

    @property
    def gain_interval(self) -> tuple[float, float]:
        """Of ``gain``."""
        return self.error - self.interval[1], self.error - self.interval[0]

    @property
    def off(self) -> tuple[FittedSize, ...]:
        """The sizes that the law misses by more than seeds and test images explain."""
        return tuple(size for size in self.sizes if size.is_off)


def is_above_guessing(accuracy: float, guess: float, test_images: int) -> bool:
    """Whether an accuracy is above that of naming the largest class, one-sided at 5 % by the normal approximation.

    Args:
        guess: share of the largest class.
    """
    return accuracy > guess + 1.645 * math.sqrt(guess * (1 - guess) / test_images)


def fit_power_law(
    sizes: Sequence[Measured], test_images: int | None, guess: float, confidence: float = 0.95
) -> PowerLaw:
    """Return what the sizes say of twice the images.

    Args:
        sizes: two or more different ones, above guessing, in any order.
        test_images: what the errors are shares of; None where nobody told, and then what is said is of the same test
            images, whose own chance is left out.
        guess: the error of naming the largest class.
        confidence: of the intervals.
    """
    return _Posterior(sorted(sizes, key=lambda size: size.images), test_images, guess).law(confidence)


@dataclass(frozen=True)
class _Laws:
    """Every law of a grid with its weight, and log z at twice the images, its mean and variance."""

    weights: np.ndarray
    exponents: np.ndarray
    floors: np.ndarray
    levels: np.ndarray
    means: np.ndarray
    variances: np.ndarray

    def shapes(self, doublings: float) -> np.ndarray:
        """Return log z so many doublings from the largest size, less that of the largest."""
        return np.asarray(np.log(self.floors + (1 - self.floors) * 2.0 ** (-self.exponents * doublings)))


class _Posterior:
    """All laws with their weights, given the sizes."""

    def __init__(self, sizes: Sequence[Measured], test_images: int | None, guess: float) -> None:
        assert len({size.images for size in sizes}) == len(sizes) > 1
        self._sizes, self._guess = sizes, guess
        self._test_images = math.inf if test_images is None else test_images
        # A size without any error counts as half an image wrong, since zero has no logarithm.
        self._least = 0.5 / (_USUAL_TEST_IMAGES if test_images is None else test_images)
        self._errors = np.maximum([size.error for size in sizes], self._least)
        self._seeds = np.array([len(size.errors) for size in sizes])
        self._doublings = np.log2(np.array([size.images for size in sizes]) / sizes[-1].images)

    @cached_property
    def _dispersion(self) -> float:
        """The seeds' variance as a multiple of error · (1 - error), over all sizes."""
        freedom, total = float(_SEEDS_COUNT), _SEEDS_COUNT * _SEEDS_PRIOR
        for size, error in zip(self._sizes, self._errors, strict=True):
            if len(size.errors) > 1:
                freedom += len(size.errors) - 1
                total += (len(size.errors) - 1) * variance(size.errors) / (error * (1 - error))
        return float(total / freedom)

    @cached_property
    def _noise(self) -> np.ndarray:
        """Variance of the mean error of each size: the seeds' own and those of all sizes, and the test images'."""
        shares = self._errors * (1 - self._errors)
        own = np.array([variance(size.errors) if len(size.errors) > 1 else 0.0 for size in self._sizes])
        freedom = self._seeds - 1
        seeds = (freedom * own + _SEEDS_COUNT * self._dispersion * shares) / (freedom + _SEEDS_COUNT)
        return np.asarray(seeds / self._seeds + shares / self._test_images)

    def _log_z(self, errors: np.ndarray) -> np.ndarray:
        return np.asarray(np.log(errors) - np.log1p(-np.minimum(errors / self._guess, _NEAREST)))

    def _error(self, log_z: np.ndarray | float) -> np.ndarray:
        return np.asarray(self._guess / (1 + self._guess * np.exp(-np.asarray(log_z))))

    def _steepness(self, errors: np.ndarray) -> np.ndarray:
        """How much log z changes with the error."""
        return np.asarray(1 / (errors * (1 - np.minimum(errors / self._guess, _NEAREST))))

    def _weigh(self, departures: Sequence[float], drifts: Sequence[float]) -> _Laws:
        """Return every law, and with it every departure and drift, weighed by what was measured."""
        count = len(self._errors)
        log_z = self._log_z(self._errors)
        noise = np.diag(self._noise * self._steepness(self._errors) ** 2)
        prior = np.exp(-0.5 * ((_EXPONENTS - _EXPONENT_MEAN) / _EXPONENT_SD) ** 2)
        exponents, floors = (grid.ravel() for grid in np.meshgrid(_EXPONENTS, _FLOORS, indexing="ij"))
        log_prior = np.log(np.outer(prior / prior.sum(), _FLOOR_WEIGHTS)).ravel()
        grid = _Laws(log_prior, exponents, floors, *[np.empty(0)] * 3)
        rest = log_z - np.stack([grid.shapes(at) for at in self._doublings], axis=1)
        since = np.append(self._doublings, 1.0) - self._doublings[0]
        earlier, later = np.minimum(since[:, None], since), np.maximum(since[:, None], since)
        drift = earlier**2 * later / 2 - earlier**3 / 6  # covariance of an integrated Brownian motion
        ones, then = np.ones(count), grid.shapes(1.0)
        log_weights, levels, means, variances = [], [], [], []
        for departs, drifts_by in product(departures, drifts):
            covariance = departs**2 * np.eye(count + 1) + drifts_by**2 * drift
            among, towards = covariance[:count, :count] + noise, covariance[:count, count]
            inverse = np.linalg.inv(among)
            precision = float(ones @ inverse @ ones)
            level = (rest @ inverse @ ones) / precision  # log z(N), whose prior is flat
            left = rest - level[:, None]
            misfit = np.einsum("li,ij,lj->l", left, inverse, left)
            log_weights.append(log_prior - 0.5 * (misfit + np.linalg.slogdet(among)[1] + math.log(precision)))
            levels.append(level)
            means.append(then + level + left @ inverse @ towards)
            known = covariance[count, count] - towards @ inverse @ towards
            at_then = max(1e-12, float(known + (1 - ones @ inverse @ towards) ** 2 / precision))
            variances.append(np.full(len(level), at_then))
        every = np.concatenate(log_weights)
        weights = np.exp(every - every.max())
        times = len(log_weights)
        return _Laws(
            weights / weights.sum(),
            np.tile(exponents, times),
            np.tile(floors, times),
            *(np.concatenate(each) for each in (levels, means, variances)),
        )

    def law(self, confidence: float) -> PowerLaw:
        """Return what would be measured with twice the images, and the law in the middle."""
        ends = ((1 - confidence) / 2, 0.5, (1 + confidence) / 2)
        low, middle, high = self._measured_at(ends, self._weigh(_DEPARTURES, _DRIFTS))
        laws = self._weigh(_DEPARTURES, (0.0,))
        order = np.argsort(laws.exponents, kind="stable")
        mass = np.cumsum(laws.weights[order])
        places_of = np.minimum(np.searchsorted(mass, np.array(ends)), len(mass) - 1)
        exponents = [float(value) for value in laws.exponents[order][places_of]]

        def fitted(doublings: float) -> float:
            return float(self._error(laws.weights @ (laws.levels + laws.shapes(doublings))))

        places = np.linspace(self._doublings[0], 0.0, _LINE)
        return PowerLaw(
            images=self._sizes[-1].images,
            error=self._sizes[-1].error,
            predicted=middle,
            interval=(low, high),
            exponent=float(laws.weights @ laws.exponents),
            exponent_interval=(exponents[0], exponents[2]),
            floor_weight=float(laws.weights[laws.floors > 0].sum()),
            sizes=tuple(
                FittedSize(size.images, size.error, fitted(at), math.sqrt(noise))
                for size, at, noise in zip(self._sizes, self._doublings, self._noise, strict=True)
            ),
            line=tuple((float(self._sizes[-1].images * 2.0**at), fitted(at)) for at in places),
            confidence=confidence,
        )

    def _measured_at(self, ends: Sequence[float], laws: _Laws) -> list[float]:
        """Return quantiles of the error that would be measured with twice the images."""
        keep = laws.weights > 1e-6
        weights, means = laws.weights[keep] / laws.weights[keep].sum(), laws.means[keep]
        errors = np.clip(self._error(means), self._least, self._guess * _NEAREST)
        shares = errors * (1 - errors)
        noise = shares * (self._dispersion / self._seeds[-1] + 1 / self._test_images)
        spreads = np.sqrt(laws.variances[keep] + noise * self._steepness(errors) ** 2)
        # At each place of the grid, the weight of all laws below it.
        below = [float(weights @ ndtr((place - means) / spreads)) for place in _GRID]
        return [float(error) for error in self._error(np.interp(ends, below, _GRID))]
