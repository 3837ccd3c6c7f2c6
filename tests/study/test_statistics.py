import numpy as np
import pytest
from scipy import stats

from stepladder.study.statistics import RungSummary, compare_with_below, paired_interval

LOW = (0.701, 0.695, 0.712, 0.688)
HIGH = (0.741, 0.730, 0.739, 0.735)


def summary(rung: str, accuracies: dict[int, float]) -> RungSummary:
    return RungSummary(rung, (), accuracies, (), None, None)


def test_the_interval_is_that_of_scipys_paired_t_test() -> None:
    (comparison,) = compare_with_below((summary("low", dict(enumerate(LOW))), summary("high", dict(enumerate(HIGH)))))
    expected = stats.ttest_rel(HIGH, LOW).confidence_interval(0.95)
    assert comparison.interval == pytest.approx((expected.low, expected.high))
    assert comparison.mean == pytest.approx(np.mean(HIGH) - np.mean(LOW))
    assert (comparison.rung, comparison.below, comparison.n) == ("high", "low", 4)


def test_differences_are_paired_by_seed_and_not_by_order() -> None:
    low, high = summary("low", {0: 0.5, 1: 0.6, 2: 0.9}), summary("high", {2: 1.0, 1: 0.61})
    (comparison,) = compare_with_below((low, high))
    assert comparison.differences == pytest.approx({2: 0.1, 1: 0.01})


def test_one_pair_gives_no_interval() -> None:
    assert paired_interval([0.02]) is None
    (comparison,) = compare_with_below((summary("low", {0: 0.5}), summary("high", {0: 0.6})))
    assert comparison.interval is None
    assert comparison.mean == pytest.approx(0.1)


def test_equal_differences_give_an_interval_of_width_zero() -> None:
    # scipy warns of precision here; the digits reach it easily, having few test images.
    assert paired_interval([0.1, 0.1, 0.1]) == pytest.approx((0.1, 0.1))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    random = np.random.default_rng(0)
    covered = [
        low <= 0.01 <= high
        for low, high in (paired_interval(list(random.normal(0.01, 0.005, 3))) or (1, 1) for _ in range(2000))
    ]
    assert stats.binomtest(sum(covered), 2000, 0.95).pvalue > 0.001
