"""Against a slow reference, cell by cell."""

import numpy as np

from stepladder.baselines.descriptors import patch_grid
from stepladder.baselines.features import pool, pooling_matrix

RANDOM = np.random.default_rng(0)


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
