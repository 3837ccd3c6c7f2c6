from itertools import combinations, permutations

import numpy as np
import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.factorial import Cell, factorial_cells, interaction_weights, shapley_weights

RANDOM = np.random.default_rng(0)


def shapley_by_orders(cells: tuple[Cell, ...], values: np.ndarray, factor: int) -> float:
    """Shapley's own definition: what the technique adds, averaged over every order of switching on."""
    by_cell = dict(zip(cells, values, strict=True))
    gains = []
    for order in permutations(range(len(cells[0]))):
        before = order[: order.index(factor)]
        off = tuple(position in before for position in range(len(cells[0])))
        on = tuple(position in (*before, factor) for position in range(len(cells[0])))
        gains.append(by_cell[on] - by_cell[off])
    return float(np.mean(gains))


@pytest.mark.parametrize("factors", [1, 2, 4])
def test_shapley_values_are_the_mean_over_orders_and_add_up_to_the_gain(factors: int) -> None:
    cells, resolution = factorial_cells(factors)
    assert resolution is None
    values = RANDOM.normal(size=len(cells))
    shares = [float(np.dot(shapley_weights(cells, factor), values)) for factor in range(factors)]
    assert shares == pytest.approx([shapley_by_orders(cells, values, factor) for factor in range(factors)])
    assert sum(shares) == pytest.approx(values[-1] - values[0])


def truth(cell: Cell, effects: np.ndarray, pairs: np.ndarray) -> float:
    on = np.array(cell, dtype=float)
    return float(on @ effects + sum(pairs[i, j] * on[i] * on[j] for i, j in combinations(range(len(cell)), 2)))


@pytest.mark.parametrize(("factors", "most"), [(3, None), (5, None), (5, 16), (6, 32)])
def test_interactions_are_those_that_were_put_in(factors: int, most: int | None) -> None:
    cells, _ = factorial_cells(factors, most)
    effects, pairs = RANDOM.normal(size=factors), RANDOM.normal(size=(factors, factors))
    values = [truth(cell, effects, pairs) for cell in cells]
    for i, j in combinations(range(factors), 2):
        assert np.dot(interaction_weights(cells, i, j), values) == pytest.approx(pairs[i, j])
    # Half of each interaction belongs to either technique.
    both = np.triu(pairs, 1) + np.triu(pairs, 1).T
    shares = [np.dot(shapley_weights(cells, factor), values) for factor in range(factors)]
    assert shares == pytest.approx(effects + both.sum(axis=1) / 2)


@pytest.mark.parametrize(
    ("factors", "most", "size", "resolution"),
    # The resolutions of the standard tables of 2^(k-p) designs (Box, Hunter and Hunter, table 12.15).
    [
        (3, 4, 4, 3),
        (4, 8, 8, 4),
        (5, 8, 8, 3),
        (5, 16, 16, 5),
        (6, 16, 16, 4),
        (7, 16, 16, 4),
        (7, 8, 8, 3),
        (8, 64, 64, 5),
    ],
)
def test_fractions_are_balanced_and_have_the_best_resolution(
    factors: int, most: int, size: int, resolution: int
) -> None:
    cells, found = factorial_cells(factors, most)
    assert (len(cells), found) == (size, resolution)
    assert len(set(cells)) == size
    assert cells[0] == (False,) * factors
    matrix = np.array(cells)
    assert (matrix.sum(axis=0) == size // 2).all()
    # Any two techniques are on together in a quarter of the cells: neither stands for the other.
    together = matrix.T.astype(int) @ matrix.astype(int)
    assert (together[~np.eye(factors, dtype=bool)] == size // 4).all()


def test_many_techniques_are_thinned_out_quickly() -> None:
    cells, resolution = factorial_cells(18, 40)
    assert (len(cells), resolution) == (32, 3)
    assert (np.array(cells).sum(axis=0) == 16).all()


def test_too_many_subsets_and_too_few_trials_are_refused() -> None:
    with pytest.raises(
        StudyError, match="all subsets of 12 techniques are 4,096 recipes; limit them with `max_trials`"
    ):
        factorial_cells(12)
    with pytest.raises(StudyError, match="the smallest balanced fraction for 5 techniques takes 8 of them"):
        factorial_cells(5, 7)
