"""Against slow references, descriptor by descriptor."""

import numpy as np

from stepladder.baselines.features import count_different, fit_vocabulary, squared_distances, triangle

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
