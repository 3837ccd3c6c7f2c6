"""Against scikit-learn's LinearSVC, whose loss it is."""

import numpy as np
import pytest
from sklearn.svm import LinearSVC

from stepladder.baselines import svm as module
from stepladder.baselines.svm import COSTS, choose_svm, fit_svm

RANDOM = np.random.default_rng(0)
LABELS = RANDOM.integers(0, 3, 300)
FEATURES = (RANDOM.normal(size=(300, 8)) + RANDOM.normal(size=(3, 8))[LABELS]).astype(np.float32)


def loss(weights: np.ndarray, intercepts: np.ndarray, cost: float) -> float:
    sign = np.where(LABELS[:, None] == np.arange(3), 1, -1)
    slack = np.maximum(0, 1 - sign * (FEATURES.astype(np.float64) @ weights + intercepts))
    return float(0.5 * ((weights**2).sum() + (intercepts**2).sum()) + cost * (slack**2).sum())


@pytest.mark.parametrize("cost", [1e-4, 1e-2, 1.0])
def test_the_machines_are_those_of_liblinear(cost: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 64)  # several parts
    found = fit_svm(FEATURES, LABELS, 3, cost)
    theirs = LinearSVC(C=cost, loss="squared_hinge", dual=False, tol=1e-8, max_iter=10_000).fit(FEATURES, LABELS)
    # Both stop near the one minimum; the loss there says how near.
    assert loss(found.weights, found.intercepts, cost) <= loss(theirs.coef_.T, theirs.intercept_, cost) * (1 + 1e-4)
    np.testing.assert_allclose(found.weights, theirs.coef_.T, atol=0.01)
    np.testing.assert_allclose(found.intercepts, theirs.intercept_, atol=0.01)
    agree = (found.predict(FEATURES) == theirs.predict(FEATURES)).mean()
    assert agree > 0.99


def test_two_classes_are_two_machines() -> None:
    labels = LABELS % 2
    assert (fit_svm(FEATURES, labels, 2, 0.1).predict(FEATURES) == labels).mean() > 0.6


def test_rows_that_do_not_count_change_nothing() -> None:
    used = RANDOM.random(300) < 0.5
    part = fit_svm(FEATURES, LABELS, 3, 0.01, used=used)
    wrong = np.where(used, LABELS, (LABELS + 1) % 3)
    np.testing.assert_array_equal(part.weights, fit_svm(FEATURES, wrong, 3, 0.01, used=used).weights)
    np.testing.assert_allclose(part.weights, fit_svm(FEATURES[used], LABELS[used], 3, 0.01).weights, atol=0.01)


@pytest.mark.parametrize("liked", [COSTS[0], 0.003, 0.3, COSTS[-1]])
def test_the_cost_that_did_best_is_kept_wherever_it_lies(liked: float) -> None:
    order: list[float] = []

    def judge(_machines: object) -> float:
        return 0.9 - abs(np.log10(order[-1] / liked)) / 10

    chosen = choose_svm(FEATURES, LABELS, 3, judge, on_cost=order.append)
    assert chosen.cost == liked
    assert chosen.accuracy == 0.9
    assert [cost for cost, _ in chosen.tried] == sorted(order)
    # It starts near 3 / N and stops after two that are no better.
    assert order[0] == 0.01
    assert max(order) <= 10 * max(liked, order[0]) * 1.001


def test_nothing_is_tried_after_every_answer_is_right() -> None:
    assert [cost for cost, _ in choose_svm(FEATURES, LABELS, 3, lambda _: 1.0).tried] == [0.01]
