"""Error against the number of training images: a fitted power law, and what twice as many images would bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import statsmodels.api as sm

#: Confidence of the intervals here.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class PowerLaw:
    """error = scale · images^(-exponent); errors are fractions of 1.

    Attributes:
        exponent: with ``exponent_interval``, its 95 % t-interval; where that holds zero, more images may bring nothing.
        images: the largest number of images that was tried.
        error: fitted at ``images``.
        gain: how much less the error would be with twice as many images, with ``gain_interval`` by the exponent's.
    """

    scale: float
    exponent: float
    exponent_interval: tuple[float, float]
    images: int
    error: float
    gain: float
    gain_interval: tuple[float, float]

    def at(self, images: float) -> float:
        """Return the fitted error."""
        return float(self.scale * images**-self.exponent)


def fit_power_law(images: Sequence[int], errors: Sequence[float], test_images: int) -> PowerLaw:
    """Fit log error = log scale - exponent · log images by least squares, a point a trial.

    Errors fall so over wide ranges of size (Hestness et al., Deep Learning Scaling is Predictable, Empirically, 2017).
    A floor that no number of images gets under is not fitted: a few sizes cannot tell it from a smaller exponent, so
    what doubling brings may come out too large near such a floor.

    Args:
        images: training images, one a trial, at least two different ones and three trials.
        errors: 1 - test accuracy; a trial without any error counts as half an image wrong, since zero has no logarithm.
        test_images: what the errors are shares of.
    """
    assert len(set(images)) > 1
    assert len(images) > 2
    logs = np.log(np.maximum(errors, 0.5 / test_images))
    fit = sm.OLS(logs, sm.add_constant(np.log(np.asarray(images, dtype=np.float64)))).fit()
    intercept, slope = (float(value) for value in fit.params)
    low, high = (float(value) for value in fit.conf_int(1 - CONFIDENCE)[1])
    largest = max(images)
    error = math.exp(intercept + slope * math.log(largest))

    def gain(exponent: float) -> float:
        return error * (1 - 2**-exponent)

    return PowerLaw(
        scale=math.exp(intercept),
        exponent=-slope,
        exponent_interval=(-high, -low),
        images=largest,
        error=error,
        gain=gain(-slope),
        gain_interval=(gain(-high), gain(-low)),
    )
