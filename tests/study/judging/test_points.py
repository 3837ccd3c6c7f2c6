from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.points import Point, chance_bar, find_best, summarize_points, tell_apart

MakeSweep = Callable[..., SavedStudy]


def point(*scores: float) -> Point:
    return Point(str(scores), (), dict(enumerate(scores)), (), (), 0, False, None, None)


def test_a_failed_seed_counts_as_guessing_and_one_at_chance_is_named(made_up_sweep: MakeSweep) -> None:
    study = made_up_sweep(["optimizer.lr=0.1,1,3"], [[0.9, 0.92], [0.5, None], [0.11, 0.1]])
    good, half, bad = summarize_points(study)
    assert good.learned
    assert good.mean == pytest.approx(0.91)
    assert half.failed == (1,)
    assert half.mean == pytest.approx(0.3)
    assert not half.learned
    assert bad.at_chance == (0, 1)
    # One more right than this happens to less than 2.5 % of those who always say the largest class.
    assert stats.binom.sf(chance_bar(study) * 1000, 1000, 0.1) <= 0.025 < stats.binom.sf(117, 1000, 0.1)
    assert chance_bar(study) == pytest.approx(0.119)


def test_two_points_are_told_apart_as_by_a_paired_t_test() -> None:
    # Tukey's method for two points in blocks is the paired t-test.
    one, other = np.array([0.90, 0.93, 0.95]), np.array([0.88, 0.92, 0.91])
    differences = one - other
    t = stats.t.ppf(0.975, 2) * differences.std(ddof=1) / np.sqrt(3)
    assert tell_apart([point(*one), point(*other)], 10**9) == pytest.approx(t, rel=1e-6)


def test_without_blocks_it_would_be_statsmodels_tukey() -> None:
    # Seeds that move nothing: where every seed has the same mean, only the degrees of freedom differ.
    scores = np.array([[0.90, 0.94, 0.92], [0.83, 0.80, 0.80], [0.70, 0.69, 0.71]])
    scores -= scores.mean(axis=0) - scores.mean()
    found = pairwise_tukeyhsd(scores.ravel(), np.repeat(["a", "b", "c"], 3))
    half = (found.confint[0][1] - found.confint[0][0]) / 2
    expected = half * stats.studentized_range.ppf(0.95, 3, 4) / stats.studentized_range.ppf(0.95, 3, 6) * np.sqrt(6 / 4)
    assert tell_apart([point(*row) for row in scores], 10**9) == pytest.approx(expected, rel=1e-4)


def test_seeds_that_agree_to_the_digit_prove_no_more_than_whole_images_can() -> None:
    margin = tell_apart([point(0.9, 0.9), point(0.8, 0.8)], 100)
    assert margin == pytest.approx(17.969287 / np.sqrt(12) / 100 / np.sqrt(2), rel=1e-4)


def test_the_best_has_its_rivals(made_up_sweep: MakeSweep) -> None:
    study = made_up_sweep(
        ["optimizer.lr=0.01,0.03,0.1,1"],
        [[0.80, 0.81, 0.80], [0.93, 0.95, 0.94], [0.94, 0.95, 0.945], [0.99, 0.99, None]],
    )
    best = find_best(summarize_points(study), 1000)
    assert best is not None
    assert best.point.values == (0.1,)
    assert [tie.values for tie in best.ties] == [(0.03,)]
    assert [other.values for other in best.beaten] == [(0.01,)]


def test_one_seed_tells_nothing_apart_and_no_point_may_be_best(made_up_sweep: MakeSweep) -> None:
    best = find_best(summarize_points(made_up_sweep(["epochs=1,2"], [[0.9], [0.2]])), 1000)
    assert best is not None
    assert best.margin is None
    assert len(best.ties) == 1
    assert find_best(summarize_points(made_up_sweep(["epochs=1,2"], [[0.1], [None]])), 1000) is None


def test_no_false_alarms_beyond_five_percent() -> None:
    # Twelve points that are alike, seeds that are not: the highest is taken for better than another in 5 % of sweeps.
    random = np.random.default_rng(0)
    wrong = 0
    for _ in range(2000):
        scores = 0.9 + 0.01 * random.standard_normal((12, 3)) + 0.05 * random.standard_normal(3)
        margin = tell_apart([point(*row) for row in scores], 10**9)
        means = scores.mean(axis=1)
        assert margin is not None
        wrong += means.max() - means.min() > margin
    assert 0.035 <= wrong / 2000 <= 0.065
