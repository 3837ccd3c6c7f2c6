"""Vocabulary, spatial pyramid and scaling, against slow references."""

from __future__ import annotations

import numpy as np

from stepladder.baselines import features as room
from stepladder.baselines.descriptors import patch_grid
from stepladder.baselines.features import (
    count_different,
    fit_scaling,
    fit_vocabulary,
    pool,
    pooling_matrix,
    scale,
    squared_distances,
    triangle,
)

RANDOM = np.random.default_rng(0)


def test_distances_are_those_of_one_by_one() -> None:
    descriptors = RANDOM.normal(size=(30, 5)).astype(np.float32)
    centers = np.concatenate([RANDOM.normal(size=(6, 5)), descriptors[:1]]).astype(np.float32)
    slow = [[((one - center) ** 2).sum() for center in centers] for one in descriptors]
    found = squared_distances(descriptors, centers)
    np.testing.assert_allclose(found, slow, atol=1e-4)
    assert found.min() >= 0


def test_the_triangle_is_that_of_one_by_one() -> None:
    descriptors, centers = RANDOM.normal(size=(40, 5)).astype(np.float32), RANDOM.normal(size=(7, 5)).astype(np.float32)
    slow = []
    for one in descriptors:
        distances = [np.linalg.norm(one - center) for center in centers]
        average = sum(distances) / len(distances)
        slow.append([max(0.0, average - distance) for distance in distances])
    np.testing.assert_allclose(triangle(descriptors, centers), slow, atol=1e-4)


def test_centers_are_found_and_the_seed_decides_their_bits() -> None:
    places = np.array([[0, 0], [10, 0], [0, 10]], np.float32)
    descriptors = (places[RANDOM.integers(0, 3, 600)] + RANDOM.normal(scale=0.1, size=(600, 2))).astype(np.float32)
    found = fit_vocabulary(descriptors, 3, seed=1)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.array(sorted(map(tuple, found.round()))), sorted(map(tuple, places)))
    np.testing.assert_array_equal(found, fit_vocabulary(descriptors, 3, seed=1))
    many = fit_vocabulary(descriptors, 20, seed=1)
    assert not np.array_equal(many, fit_vocabulary(descriptors, 20, seed=2))


def test_different_descriptors_are_counted() -> None:
    rows = RANDOM.integers(0, 3, (9000, 4)).astype(np.float32)
    assert count_different(rows) == len({tuple(row) for row in rows})


def test_words_are_summed_like_cell_by_cell() -> None:
    centers = RANDOM.random((50, 2))
    centers[0] = 1.0  # on the far border
    told = RANDOM.random((3, 50, 6)).astype(np.float32)
    slow = []
    for image in told:
        cells = []
        for division in (1, 2, 4):
            for row in range(division):
                for column in range(division):
                    total = np.zeros(6)
                    for (down, right), words in zip(centers, image, strict=True):
                        there = (min(int(down * division), division - 1), min(int(right * division), division - 1))
                        if there == (row, column):
                            total += words
                    cells.append(total)
        slow.append(np.concatenate(cells))
    found = pool(told, pooling_matrix(centers, (1, 2, 4)))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, slow, atol=1e-4)


def test_quarters_of_an_even_grid_are_equal() -> None:
    matrix = pooling_matrix(patch_grid(32, 32, 6, 2), (2,))
    assert matrix.shape == (4, 196)
    assert (matrix.sum(axis=1) == 49).all()
    assert (matrix.sum(axis=0) == 1).all()


def test_mean_and_deviation_are_numpys(monkeypatch) -> None:
    monkeypatch.setattr(room, "_ROWS", 7)
    features = np.random.default_rng(0).normal(3, 5, (50, 4)).astype(np.float32)
    features[:, 3] = 2  # a word that never changes
    mean, deviation = fit_scaling(features)
    variance = features.astype(np.float64).var(axis=0)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, np.sqrt(variance + 0.01 * variance.mean()), rtol=1e-5)
    expected = (features - mean) / deviation
    assert scale(features, mean, deviation) is features
    np.testing.assert_array_equal(features, expected)


def test_features_that_are_all_the_same_stay_finite() -> None:
    features = np.full((5, 3), 4, np.float32)
    scale(features, *fit_scaling(features))
    assert not features.any()
