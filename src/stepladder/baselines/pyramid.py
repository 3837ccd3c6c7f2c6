"""The spatial pyramid: words counted in the whole image, in its quarters, in its sixteenths.

Lazebnik, Schmid and Ponce, "Beyond Bags of Features", CVPR 2006, section 3.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
