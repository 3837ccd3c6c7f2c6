"""Mean 0 and variance 1 for every feature of the training images, in place: the features may take gigabytes."""

from __future__ import annotations

import numpy as np

#: Added to every variance, as a share of their mean: words that hardly ever come are not blown up.
_FLOOR = 0.01

_ROWS = 4096


def fit_scaling(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature, float32 (F,), of features (N, F), summed in float64."""
    starts = range(0, len(features), _ROWS)
    mean = sum(features[at : at + _ROWS].sum(axis=0, dtype=np.float64) for at in starts) / len(features)
    narrow = mean.astype(np.float32)
    squares = (np.square(features[at : at + _ROWS] - narrow).sum(axis=0, dtype=np.float64) for at in starts)
    variance = sum(squares) / len(features)
    floor = _FLOOR * variance.mean()
    deviation = np.sqrt(variance + floor) if floor > 0 else np.ones(len(mean))
    return narrow, deviation.astype(np.float32)


def scale(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return (features − mean) / deviation, changed in place."""
    for at in range(0, len(features), _ROWS):
        part = features[at : at + _ROWS]
        part -= mean
        part /= deviation
    return features
