"""The vocabulary: centers of the training images' descriptors, and how a descriptor is told in its words."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits


def fit_vocabulary(descriptors: np.ndarray, words: int, seed: int) -> np.ndarray:
    """Return ``words`` centers of descriptors (N, D), float32 (words, D), by mini-batch k-means.

    Sculley, "Web-Scale K-Means Clustering", WWW 2010, as scikit-learn has it, from centers drawn by k-means++.
    """
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

    "k-means (triangle)" of Coates, Lee and Ng, AISTATS 2011, section 3.2.1: the words that are nearer than the average
    one speak, the nearer the louder. A histogram of nearest words says less: docs/baseline.md has by how much.
    """
    distances: np.ndarray = np.sqrt(squared_distances(descriptors, centers))
    np.subtract(distances.mean(axis=1, keepdims=True), distances, out=distances)
    np.maximum(distances, 0, out=distances)
    return distances
