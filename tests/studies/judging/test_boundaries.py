import numpy as np
import pytest
from scipy import stats

from stepladder.studies.design.rules import first_share, look_sizes
from stepladder.studies.judging.boundaries import nominal_levels, spent


@pytest.fixture(scope="module")
def statistics() -> dict[int, np.ndarray]:
    """|t| of 400,000 studies without effect, by the number of seeds."""
    drawn = np.random.default_rng(0).standard_normal((400_000, 14))
    return {n: np.abs(drawn[:, :n].mean(axis=1)) / drawn[:, :n].std(axis=1, ddof=1) * np.sqrt(n) for n in range(2, 15)}


@pytest.mark.parametrize("first", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("level", [0.05, 0.01])
def test_studies_without_effect_cross_as_often_as_is_spent(
    first: int, level: float, statistics: dict[int, np.ndarray]
) -> None:
    crossed = np.zeros(400_000, dtype=bool)
    levels = nominal_levels(first, 14, level)
    assert len(levels) > 1
    for seeds, nominal in levels.items():
        crossed |= statistics[seeds] > stats.t.isf(nominal / 2, seeds - 1)
        # Four standard errors, and 3 % for the cells.
        error = 4 * np.sqrt(level * spent(first, seeds) / 400_000) + 0.03 * level
        assert crossed.mean() == pytest.approx(level * spent(first, seeds), abs=error)


def test_the_first_look_has_its_share_and_no_look_has_all() -> None:
    levels = nominal_levels(5, 40, 0.01)
    assert list(levels) == look_sizes(5, 40)
    assert levels[5] == pytest.approx(0.01 * first_share(5))
    assert all(0 < level < 0.01 for level in levels.values())
    assert spent(5, 5) == first_share(5)
    assert spent(5, 10**9) == pytest.approx(1)


def test_it_does_not_matter_how_far_somebody_has_asked_before() -> None:
    near = nominal_levels(4, 6, 0.0123)
    far = nominal_levels(4, 30, 0.0123)
    assert near == {seeds: far[seeds] for seeds in near}
    assert nominal_levels(4, 3, 0.0123) == {}


def test_one_seed_is_judged_from_two_on() -> None:
    assert nominal_levels(1, 7, 0.01) == nominal_levels(2, 7, 0.01)
