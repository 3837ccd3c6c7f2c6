import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multicomp import pairwise_tukeyhsd

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.points import (
    Point,
    Trend,
    chance_level,
    find_best,
    is_above,
    make_sweep_findings,
    summarize_points,
    to_sweep_document,
    tukey_margin,
)

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
    assert stats.binom.sf(chance_level(study) * 1000, 1000, 0.1) <= 0.025 < stats.binom.sf(117, 1000, 0.1)
    assert chance_level(study) == pytest.approx(0.119)


def test_two_points_are_told_apart_as_by_a_paired_t_test() -> None:
    # Tukey's method for two points in blocks is the paired t-test.
    one, other = np.array([0.90, 0.93, 0.95]), np.array([0.88, 0.92, 0.91])
    differences = one - other
    t = stats.t.ppf(0.975, 2) * differences.std(ddof=1) / np.sqrt(3)
    assert tukey_margin([point(*one), point(*other)], 10**9) == pytest.approx(t, rel=1e-6)


def test_without_blocks_it_would_be_statsmodels_tukey() -> None:
    # Seeds that move nothing: where every seed has the same mean, only the degrees of freedom differ.
    scores = np.array([[0.90, 0.94, 0.92], [0.83, 0.80, 0.80], [0.70, 0.69, 0.71]])
    scores -= scores.mean(axis=0) - scores.mean()
    found = pairwise_tukeyhsd(scores.ravel(), np.repeat(["a", "b", "c"], 3))
    half = (found.confint[0][1] - found.confint[0][0]) / 2
    expected = half * stats.studentized_range.ppf(0.95, 3, 4) / stats.studentized_range.ppf(0.95, 3, 6) * np.sqrt(6 / 4)
    assert tukey_margin([point(*row) for row in scores], 10**9) == pytest.approx(expected, rel=1e-4)


def test_seeds_that_agree_to_the_digit_prove_no_more_than_whole_images_can() -> None:
    margin = tukey_margin([point(0.9, 0.9), point(0.8, 0.8)], 100)
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
        margin = tukey_margin([point(*row) for row in scores], 10**9)
        means = scores.mean(axis=1)
        assert margin is not None
        wrong += means.max() - means.min() > margin
    assert 0.035 <= wrong / 2000 <= 0.065


@pytest.mark.long
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("noisier", [[0], [0, 2, 4, 6, 8, 10]], ids=["one point", "half of them"])
def test_points_that_spread_more_cause_no_false_alarms(seeds: int, noisier: list[int]) -> None:
    # Twelve points that are alike but for their spread: whichever is highest, is it told apart from any other?
    random = np.random.default_rng(seeds)
    wrong, by_all = 0, 0
    for _ in range(500):
        scores = 0.9 + 0.001 * random.standard_normal((12, seeds))
        scores[noisier] += 0.005 * random.standard_normal((len(noisier), seeds))
        points = [point(*row) for row in scores]
        margin = tukey_margin(points, 10**9)
        top = max(points, key=lambda one: one.mean or 0.0)
        wrong += any(is_above(top, other, margin, 12) for other in points)
        by_all += any((top.mean or 0) - (other.mean or 0) > (margin or 0) for other in points)
    assert wrong / 500 <= 0.075, "5 % and the error of 500 sweeps"
    assert by_all / 500 > 0.1, "the spread of all points alone would not do"


def test_all_that_a_sweep_says_is_one_value(made_up_sweep: MakeSweep) -> None:
    scores = [[0.90, 0.902], [0.80, 0.802], [0.85, 0.852], [0.88, 0.882], [None, 0.1], [0.1, 0.1]]
    study = made_up_sweep(["optimizer.lr=0.1,0.3,1", "batch_size=32,128"], scores)
    found = make_sweep_findings(study)
    assert found.best is not None
    assert found.best.point.values == (0.1, 32)
    assert [(edge.axis.key, edge.largest, edge.further) for edge in found.edges] == [
        ("optimizer.lr", False, 0.033),
        ("batch_size", False, 8),
    ]
    (move,) = found.rates
    assert (move.key, move.best, move.missing) == ("batch_size", ((32, 0.1), (128, 0.3)), ())
    assert (move.trend, move.told) == (Trend.RISES, True)
    assert (found.unlearned.key, found.unlearned.values) == ("optimizer.lr", (1,))
    assert (found.unlearned.trials, found.unlearned.diverged, found.unlearned.points) == (4, 1, ())
    assert found.complete == 6
    assert [one.rung for one in found.facts.failed] == ["optimizer.lr=1, batch_size=32"]
    assert [rung.finished for rung in found.curves.rungs] == [2, 2, 2, 2, 1, 2]
    assert len(repr(found)) < 500
    document = json.loads(json.dumps(to_sweep_document(found)))
    assert document["best"] == {
        "points": ["optimizer.lr=0.1, batch_size=32"],
        "not_told_apart": [],
        "told_apart": [point.name for point in found.best.beaten],
        "margin": found.best.margin,
    }
    assert document["rates"][0]["trend"] == "rises"
    assert document["no_better_than_guessing"] == chance_level(study)


def test_without_a_best_point_there_is_no_edge(made_up_sweep: MakeSweep) -> None:
    found = make_sweep_findings(made_up_sweep(["optimizer.lr=0.1,1"], [[None], [0.1]]))
    assert (found.best, found.edges, found.rates) == (None, (), ())
    assert [point.values for point in found.unlearned.points] == [(0.1,), (1,)]
    assert to_sweep_document(found)["best"] is None
