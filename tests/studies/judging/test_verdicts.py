import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

from stepladder.studies.design.rules import Look
from stepladder.studies.judging.verdicts import (
    VERDICTS,
    chances_to_decide,
    detectable_difference,
    judge,
    power,
    rounding_sd,
    settle,
    weigh,
)

DIFFERENCES = np.array([[0.012, 0.019, 0.008, 0.015], [0.001, -0.003, 0.002, 0.0], [-0.02, -0.025, -0.021, -0.018]])


def test_interval_and_p_value_are_those_of_scipys_t_test() -> None:
    evidence = weigh(DIFFERENCES, 0.01)
    expected = stats.ttest_1samp(DIFFERENCES, 0, axis=1)
    bounds = expected.confidence_interval(0.99)
    assert evidence.low == pytest.approx(bounds.low)
    assert evidence.high == pytest.approx(bounds.high)
    assert evidence.p_value == pytest.approx(expected.pvalue)


def test_helped_and_hurt_agree_with_bonferronis_p_values() -> None:
    evidence = weigh(DIFFERENCES, 0.05 / 3)
    decided = np.isin(judge(evidence.low, evidence.high, 0.0), [0, 1])
    assert list(decided) == list(multipletests(evidence.p_value, 0.05, "bonferroni")[0])
    assert decided.any()
    assert not decided.all()


def test_equivalent_agrees_with_two_one_sided_tests() -> None:
    random = np.random.default_rng(0)
    for _ in range(200):
        differences = random.normal(random.uniform(0, 0.005), 0.003, 5)
        evidence = weigh(differences, 0.05)
        within = bool((evidence.low >= -0.005) & (evidence.high <= 0.005))
        # An interval of level 1 - α is two one-sided tests at α/2 each.
        assert within == (DescrStatsW(differences).ttost_mean(-0.005, 0.005)[0] <= 0.025)


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.004, "helped"),  # real, though of no interest
        (0.001, 0.040, "helped"),
        (-0.040, -0.001, "hurt"),
        (-0.004, 0.004, "equivalent"),
        (-0.005, 0.005, "equivalent"),
        (0.0, 0.004, "equivalent"),
        (0.0, 0.006, "undecided"),
        (-0.006, 0.004, "undecided"),
    ],
)
def test_one_interval_serves_every_verdict(low: float, high: float, verdict: str) -> None:
    assert VERDICTS[int(judge(np.array(low), np.array(high), 0.005))] == verdict


def test_seeds_that_agree_to_the_digit_prove_no_more_than_the_test_images_can() -> None:
    # Two of 360 images better with every seed.
    same = np.full(3, 2 / 360)
    certain, floored = weigh(same, 0.05), weigh(same, 0.05, rounding_sd(360))
    assert certain.low == certain.high
    assert floored.low < 2 / 360 < floored.high
    assert floored.p_value > 0
    # The floor is what rounding alone does.
    random = np.random.default_rng(0)
    exact = random.uniform(0.8, 0.9, (2, 100_000))
    rounded = np.round(exact * 360) / 360
    assert np.std((rounded - exact)[0] - (rounded - exact)[1]) == pytest.approx(rounding_sd(360), rel=0.02)


def test_a_weighted_sum_rounds_as_its_weights_say() -> None:
    # The main effect of one of two techniques: the mean of two rungs less that of two others.
    random = np.random.default_rng(0)
    exact = random.uniform(0.8, 0.9, (4, 100_000))
    errors = np.round(exact * 360) / 360 - exact
    weights = (0.5, 0.5, -0.5, -0.5)
    assert np.std(weights @ errors) == pytest.approx(rounding_sd(360, weights), rel=0.02)
    assert rounding_sd(360, weights) == pytest.approx(rounding_sd(360) / np.sqrt(2))
    assert rounding_sd(360, (3.0, -1.0)) == pytest.approx(np.sqrt(10 / 12) / 360)


def test_no_difference_at_all_is_no_evidence_against_none() -> None:
    evidence = weigh(np.zeros(3), 0.05)
    assert evidence.p_value == 1
    assert VERDICTS[int(judge(evidence.low, evidence.high, 0.005))] == "equivalent"


def test_power_is_that_of_statsmodels() -> None:
    expected = TTestPower().power(1.2, np.array([5, 9]), 0.01)
    assert power(0.6, 0.5, np.array([5, 9]), 0.01) == pytest.approx(expected, abs=1e-4)
    assert power(0.02, 0.0001, np.arange(2, 1001), 0.001)[-1] == pytest.approx(1)
    assert power(0.0, 0.0, np.array([3]), 0.05) == [0]


def test_a_detectable_difference_is_found_four_times_of_five() -> None:
    for n in (2, 3, 5, 10):
        effect = detectable_difference(0.003, n, 0.01)
        assert effect is not None
        assert power(effect, 0.003, np.array([n]), 0.01)[0] == pytest.approx(0.8, abs=1e-4)
    assert detectable_difference(0.003, 1, 0.01) is None
    assert detectable_difference(0.0, 3, 0.01) == 0


LATER = tuple(Look(seeds, 0.2) for seeds in (5, 7, 10, 14))


def test_the_chance_to_be_decided_grows_with_the_seeds_and_with_what_they_show() -> None:
    small, large = (chances_to_decide((mean, 0.003, 3), LATER, 0.01, 0.0) for mean in (0.002, 0.01))
    for chances in (small, large):
        assert list(chances) == [5, 7, 10, 14]
        assert list(chances.values()) == sorted(chances.values())
    assert all(large[seeds] > small[seeds] for seeds in large)
    assert chances_to_decide((0.01, 0.003, 3), LATER, 0.01, 0.0) == large, "the same figures, the same chances"
    assert chances_to_decide((0.01, 0.003, 3), (), 0.01, 0.0) == {}


def test_few_seeds_promise_less_than_many_with_the_same_figures() -> None:
    few, many = (chances_to_decide((0.004, 0.003, n), (Look(14, 0.2),), 0.01, 0.0)[14] for n in (3, 10))
    assert few < many


def test_seeds_that_share_training_images_decide_less() -> None:
    """Later looks are judged as they will be: with the same correction for the overlap of the images."""
    apart, shared = (chances_to_decide((0.006, 0.003, 3), LATER, 0.01, 0.0, overlap) for overlap in (0.0, 0.25))
    assert list(apart) == list(shared)
    assert all(shared[seeds] < apart[seeds] - 0.1 for seeds in (7, 10, 14))


def test_no_effect_may_be_decided_too() -> None:
    """Equivalence decides where the smallest effect of interest is wide beside the spread."""
    wide, narrow = (chances_to_decide((0.0, 0.003, 5), LATER, 0.01, smallest)[14] for smallest in (0.02, 0.0005))
    assert wide > 0.9
    assert narrow < 0.1


def test_the_first_look_that_decides_is_kept() -> None:
    looks = (Look(3, 0.5), Look(5, 0.5))
    differences = np.array(
        [
            [0.100, 0.101, 0.099, -0.1, -0.1],  # clear at the first look, and not afterwards
            [0.010, -0.01, 0.010, -0.01, 0.0],
        ]
    )
    verdicts, at = settle(differences, looks, 0.05, 0.005)
    assert [VERDICTS[code] for code in verdicts] == ["helped", "undecided"]
    assert list(at) == [0, 1]
    # What a look may not see yet: fewer seeds than it was declared for.
    assert list(settle(differences[:, :4], looks, 0.05, 0.005)[1]) == [0, 0]
    assert VERDICTS[int(settle(np.array([0.1]), (Look(1, 1.0),), 0.05, 0.005)[0])] == "undecided"


def test_seeds_that_share_training_images_need_the_correction() -> None:
    """Two learners of equal worth on images drawn anew by each seed: whoever takes seeds for independent is misled.

    A learner names the class whose mean is nearer, by its own half of the features, which are worth the same. So
    neither is better, however large the differences on the few images that a data set has.
    """
    random, seeds, images, tested = np.random.default_rng(0), 10, 100, 20
    labels = np.arange(images) % 2
    differences = np.empty((300, seeds))
    for study in range(len(differences)):
        features = random.normal(size=(images, 2, 5)) + 0.6 * labels[:, None, None]
        for seed in range(seeds):
            order = random.permutation(images)
            test, train = order[:tested], order[tested:]
            right = []
            for half in (0, 1):
                means = [features[train][labels[train] == label, half].mean(axis=0) for label in (0, 1)]
                apart = [np.square(features[test, half] - mean).sum(axis=1) for mean in means]
                right.append(((apart[1] < apart[0]) == labels[test]).mean())
            differences[study, seed] = right[0] - right[1]
    wrong = [
        float((weigh(differences, 0.05, overlap=overlap).p_value < 0.05).mean())
        for overlap in (0.0, tested / (images - tested))
    ]
    assert wrong[0] > 0.12
    assert wrong[1] < 0.08


def test_an_overlap_widens_an_interval_and_what_is_detectable_alike() -> None:
    differences = np.array([0.01, 0.03, 0.02, 0.05])
    plain, wider = weigh(differences, 0.05), weigh(differences, 0.05, overlap=0.25)
    assert wider.high - wider.mean == pytest.approx(np.sqrt(2) * (plain.high - plain.mean))
    assert wider.p_value > plain.p_value
    alone, together = (detectable_difference(0.01, 4, 0.05, overlap) for overlap in (0.0, 0.25))
    assert together == pytest.approx(np.sqrt(2) * alone)
    (verdict,), _ = settle(differences[None], (Look(4, 1.0),), 0.05, 0.0, overlap=0.0)
    (corrected,), _ = settle(differences[None], (Look(4, 1.0),), 0.05, 0.0, overlap=0.25)
    assert [VERDICTS[verdict], VERDICTS[corrected]] == ["helped", "undecided"]
