"""From descriptors to features: described in the words of a vocabulary, summed by place, and scaled.

The places are those of the spatial pyramid, the whole image, its quarters, its sixteenths: Lazebnik, Schmid and Ponce,
"Beyond Bags of Features", CVPR 2006, section 3.2.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

#: Added to every variance, as a share of their mean: words that hardly ever come are not blown up.
_FLOOR = 0.01

_ROWS = 4096


def fit_vocabulary(descriptors: np.ndarray, words: int, seed: int) -> np.ndarray:
    """Return ``words`` centers of descriptors (N, D), float32 (words, D), by mini-batch k-means.

    Sculley, "Web-Scale K-Means Clustering", WWW 2010, as scikit-learn has it, from centers drawn by k-means++.
    """
    from sklearn.cluster import MiniBatchKMeans  # a second that no verb without a bag of words waits for
    from sklearn.exceptions import ConvergenceWarning

    # One thread: with more, sums come in any order, and the same seed would give other bits.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        means = MiniBatchKMeans(
            words,
            batch_size=max(4096, 4 * words),
            max_iter=10,
            max_no_improvement=None,
            n_init=1,
            random_state=seed,
        )
        means.fit(descriptors)
    return np.ascontiguousarray(means.cluster_centers_, dtype=np.float32)


def count_different(descriptors: np.ndarray) -> int:
    """Return how many different rows there are among float32 descriptors (N, D)."""
    # Whole numbers made of the bits: sorting the rows themselves takes twenty times as long. Two different rows get the
    # same number once in 2⁶⁴.
    weights = np.random.default_rng(0).integers(1, 2**63, descriptors.shape[1], dtype=np.uint64) * np.uint64(2) + 1
    bits = np.ascontiguousarray(descriptors).view(np.uint32)
    return len(np.unique(np.concatenate([part @ weights for part in np.array_split(bits, len(bits) // 4096 + 1)])))


def squared_distances(descriptors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return |x − c|² of all descriptors (N, D) and centers (K, D), float32 (N, K), at least 0."""
    # |x|² and |c|² ride along as two more columns, so that one product gives the distances.
    ones = np.ones((len(descriptors), 1), np.float32)
    own = np.einsum("nd,nd->n", descriptors, descriptors)[:, None]
    left = np.concatenate([descriptors, own, ones], axis=1)
    right = np.concatenate([-2 * centers, np.ones((len(centers), 1), np.float32), (centers**2).sum(1)[:, None]], axis=1)
    distances: np.ndarray = left @ right.T
    np.maximum(distances, 0, out=distances)
    return distances


def triangle(descriptors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return max(0, μ(z) − z) of the distances z of each descriptor to all centers, float32 (N, K).

    "k-means (triangle)" of Coates, Lee and Ng, AISTATS 2011: each descriptor votes for every word that
    is closer than average, and closer words count more. A histogram of nearest words says less: docs/bag-of-words.md
    has by how much.
    """
    distances: np.ndarray = np.sqrt(squared_distances(descriptors, centers))
    np.subtract(distances.mean(axis=1, keepdims=True), distances, out=distances)
    np.maximum(distances, 0, out=distances)
    return distances


def pooling_matrix(centers: np.ndarray, divisions: Sequence[int]) -> np.ndarray:
    """Return what sums descriptors by cell, float32 (cells, P).

    Args:
        centers: of the descriptors, (P, 2), row and column from 0 to 1.
        divisions: cells a side of each level, as (1, 2, 4) for 1 + 4 + 16 cells.

    Returns:
        1 where a descriptor's center is in a cell, and 0 elsewhere; cells level by level, row by row. The paper weighs
        finer levels more; here every feature gets the same variance afterwards, and the SVM weighs it.
    """
    rows = []
    for division in divisions:
        cell = np.minimum((centers * division).astype(np.int64), division - 1)
        place = cell[:, 0] * division + cell[:, 1]
        rows.append((place == np.arange(division**2)[:, None]).astype(np.float32))
    return np.concatenate(rows)


def pool(told: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Return the sums of words (N, P, K) by cell, float32 (N, cells·K), by a matrix of :func:`pooling_matrix`."""
    sums: np.ndarray = np.matmul(matrix, told)
    return sums.reshape(len(told), -1)


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
