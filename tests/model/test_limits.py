"""What validation images promise holds, in simulations, as often as is said."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import special, stats

from stepladder.errors import RecipeError, StorageError
from stepladder.model.limits import (
    MISS,
    Limits,
    answered_shares,
    chance_of_at_most,
    in_sets,
    least_risk,
    read_limits,
    rounded,
    threshold_for_risk,
    threshold_for_sets,
    write_limits,
)


def draw(random, images, sharpness=2.0, classes=4):
    """A network that is too sure: probabilities (N, classes), and labels drawn by half of its logits."""
    logits = random.normal(size=(images, classes)) * sharpness
    chances = special.softmax(logits / 2, axis=1).cumsum(axis=1)
    labels = (random.random((images, 1)) > chances).sum(axis=1).clip(max=classes - 1)
    return special.softmax(logits, axis=1).astype(np.float32), labels


def test_the_binomial_tail_is_that_of_scipy() -> None:
    for count, trials, share in ((0, 90, 0.05), (3, 118, 0.05), (40, 5000, 0.01), (5, 5, 0.3), (2, 7, 0.99)):
        expected = stats.binom.cdf(count, trials, share)
        assert chance_of_at_most(count, trials, share) == pytest.approx(expected, rel=1e-9)


def test_shares_are_of_the_most_confident_first_and_ties_are_not_split() -> None:
    confidence = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.5, 0.4, 0.3, 0.2])
    right = np.array([True] * 6 + [False] * 4)
    found = answered_shares(confidence, right)
    assert [one.images for one in found] == [1, 2, 3, 4, 4, 4, 7, 8, 9, 10]
    assert [one.wrong for one in found] == [0, 0, 0, 0, 0, 0, 1, 2, 3, 4]
    assert found[2].above == 0.6
    assert found[-1].above < 0


def test_no_mistakes_among_90_images_promise_5_percent_and_89_do_not() -> None:
    # 0.95^90 = 0.0099, one hundredth being the tenth of MISS that each of ten shares is tested at.
    assert MISS == 0.1
    sure = np.linspace(0.5, 1, 90)
    found = threshold_for_risk(answered_shares(sure, np.ones(90, bool)), 0.05)
    assert (found.images, found.wrong) == (90, 0)
    assert found.above < 0
    with pytest.raises(RecipeError, match=r"`abstain` is 0.05, and 89 validation images with 0 mistakes .*=0.06` or"):
        threshold_for_risk(answered_shares(sure[:89], np.ones(89, bool)), 0.05)


def test_where_mistakes_are_unsure_the_sure_are_answered() -> None:
    confidence = np.linspace(1, 0.4, 200)
    right = np.arange(200) < 150
    shares = answered_shares(confidence, right)
    found = threshold_for_risk(shares, 0.05)
    assert (found.images, found.wrong) == (140, 0)
    # Of 160, ten are wrong.
    assert threshold_for_risk(shares, 0.13).images == 160
    assert least_risk(shares) == 0.04
    with pytest.raises(RecipeError, match=r"cannot promise so few wrong answers; give `abstain=0.04` or more"):
        threshold_for_risk(shares, 0.01)


@pytest.mark.parametrize("value", [0.0, 1.0, -0.1, 5.0, float("nan")])
def test_a_risk_and_a_coverage_are_shares(value) -> None:
    with pytest.raises(RecipeError, match=r"`abstain` is .*; it must be the share of answers that may be wrong"):
        threshold_for_risk(answered_shares(np.ones(200), np.ones(200, bool)), value)
    with pytest.raises(RecipeError, match=r"`sets` is .*; it must be the share of sets that hold the right class"):
        threshold_for_sets(np.ones(200), value)


def test_the_risk_is_kept_as_often_as_is_said() -> None:
    """Of 400 drawn validation sets, one in ten at most may promise more than holds."""
    random = np.random.default_rng(0)
    probabilities, labels = draw(random, 100_000, sharpness=6.0)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    assert 0.2 < (~right).mean() < 0.3
    broken = answered = 0
    for _ in range(400):
        held = random.choice(len(labels), 500, replace=False)
        try:
            found = threshold_for_risk(answered_shares(confidence[held], right[held]), 0.1)
        except RecipeError:
            continue
        inside = confidence > found.above
        answered += 1
        broken += bool((~right[inside]).mean() > 0.1)
    assert answered > 200
    assert broken / 400 <= MISS


def test_sets_hold_the_right_class_as_often_as_is_said() -> None:
    random = np.random.default_rng(1)
    covered = []
    for _ in range(1500):
        probabilities, labels = draw(random, 30 + 20)
        held = probabilities[np.arange(30), labels[:30]]
        inside = in_sets(probabilities[30:], threshold_for_sets(held, 0.8))
        covered.append(inside[np.arange(20), labels[30:]].mean())
    # Between 0.8 and 0.8 + 1/31; the mean of so many has a standard error of about 0.003.
    assert 0.79 <= np.mean(covered) <= 0.845


def test_the_threshold_of_sets_is_the_corrected_quantile() -> None:
    true = np.arange(1, 20) / 20  # 19 images
    assert threshold_for_sets(true, 0.9) == pytest.approx(0.1)  # the 18th largest
    assert threshold_for_sets(true, 0.95) == pytest.approx(0.05)  # the 19th
    with pytest.raises(RecipeError, match=r"`sets` is 0.96, and 19 validation images are too few for it; give `sets=0"):
        threshold_for_sets(true, 0.96)
    threshold_for_sets(true, 0.95)


def test_no_set_is_empty() -> None:
    probabilities = np.array([[0.5, 0.3, 0.2], [0.95, 0.04, 0.01]])
    assert in_sets(probabilities, 0.6).tolist() == [[True, False, False], [True, False, False]]
    assert in_sets(probabilities, 0.25).tolist() == [[True, True, False], [True, False, False]]


def test_what_is_kept_is_read_back_and_damage_is_said(tmp_path) -> None:
    assert read_limits(tmp_path) is None
    probabilities, labels = draw(np.random.default_rng(2), 3000)
    found = Limits.of(probabilities, labels)
    assert len(found.true_probability) == 1000
    assert found.answered[-1].images == 3000
    assert found.answered[-1].wrong == (probabilities.argmax(axis=1) != labels).sum()
    write_limits(tmp_path, found)
    read = read_limits(tmp_path)
    assert read is not None
    assert read.answered == found.answered
    assert read.true_probability.tolist() == found.true_probability.tolist()
    path = tmp_path / "limits.json"
    document = json.loads(path.read_text())
    for wrong in ({"version": 2}, {"answered": []}, {"answered": [[0.5, 3, 4]]}, {"true_probability": [2.0]}):
        path.write_text(json.dumps(document | wrong))
        with pytest.raises(StorageError, match=r"limits\.json is damaged"):
            read_limits(tmp_path)
    path.write_text("{")
    with pytest.raises(StorageError, match=r"limits\.json is damaged"):
        read_limits(tmp_path)
    write_limits(tmp_path, None)
    assert read_limits(tmp_path) is None


def test_limits_come_back_from_a_file_whatever_share_is_wrong(tmp_path) -> None:
    """A model that makes no mistake, and one that makes nothing else, are none the less read."""
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [1.0, 0.0]])
    for labels in (np.zeros(4, np.int64), np.ones(4, np.int64), np.array([0, 1, 0, 1])):
        found = Limits.of(probabilities, labels)
        write_limits(tmp_path, found)
        back = read_limits(tmp_path)
        assert back is not None
        assert back.answered == found.answered
        assert back.answered[-1].wrong == int(labels.sum())
        assert back.true_probability.tolist() == found.true_probability.tolist()


def test_probabilities_are_compared_to_six_digits() -> None:
    """PyTorch and an exported file differ in the seventh."""
    assert rounded(np.array([0.12345649, 0.12345651, 1 / 3], np.float64)).tolist() == [0.123456, 0.123457, 0.333333]


def test_of_a_model_that_is_always_wrong_no_share_is_offered() -> None:
    shares = Limits.of(np.tile([0.9, 0.1], (50, 1)), np.ones(50, np.int64)).answered
    assert least_risk(shares) == 1
    with pytest.raises(RecipeError, match=r"images with 50 mistakes cannot promise so few wrong answers$"):
        threshold_for_risk(shares, 0.5)
