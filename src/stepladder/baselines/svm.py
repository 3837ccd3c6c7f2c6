"""Linear support vector machines, one a class against all others, all classes in one pass over the features.

The function is that of scikit-learn's ``LinearSVC`` (liblinear, squared hinge loss): ½|w|² + C·Σ max(0, 1 − y·w·x)²,
the intercept among the weights. Its solvers take one class after the other, in float64 and on a sparse copy, which
takes gigabytes and an hour on 45,000 images of 3,200 features; L-BFGS on whole batches takes a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize

from stepladder.datasets.threads import all_cores

#: What C is chosen from: two values a decade.
COSTS = tuple(float(f"{base}e{power}") for power in range(-6, 1) for base in (1, 3))

#: Rows of features that one core takes at a time; part of the result's bits.
_ROWS = 2048


@dataclass(frozen=True)
class LinearSvm:
    """One machine a class: ``weights``, float32 (F, classes), ``intercepts``, float32 (classes,)."""

    weights: np.ndarray
    intercepts: np.ndarray

    def decide(self, features: np.ndarray) -> np.ndarray:
        """Return how far each of the features (N, F) is on the side of each class, float32 (N, classes)."""
        sides: np.ndarray = features @ self.weights + self.intercepts
        return sides

    def predict(self, features: np.ndarray) -> np.ndarray:
        """Return the class of each row, int64 (N,): the one that it is furthest on the side of."""
        starts = range(0, len(features), _ROWS)
        with all_cores() as pool:
            parts = list(pool.map(lambda at: self.decide(features[at : at + _ROWS]).argmax(axis=1), starts))
        return np.concatenate(parts).astype(np.int64)


def fit_svm(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    cost: float,
    *,
    used: np.ndarray | None = None,
    start: LinearSvm | None = None,
    iterations: int = 200,
) -> LinearSvm:
    """Return the machines with the least loss.

    Args:
        features: float32, shape (N, F), best of mean 0 and variance 1.
        labels: int64, shape (N,), 0 to ``classes`` - 1.
        cost: C.
        used: which rows count, bool (N,); all by default. The others need not be cut out of gigabytes.
        start: where to search from, as the solution of a near ``cost``; zeros by default.
        iterations: at most as many steps of L-BFGS.
    """
    count, width = features.shape
    shape = (width + 1, classes)

    def part(weights: np.ndarray, first: int) -> tuple[float, np.ndarray]:
        rows = features[first : first + _ROWS]
        margin = rows @ weights[:-1] + weights[-1]
        sign = np.full(margin.shape, -1, np.float32)
        sign[np.arange(len(rows)), labels[first : first + _ROWS]] = 1
        slack = np.maximum(0, 1 - sign * margin)
        if used is not None:
            slack *= used[first : first + _ROWS, None]
        pull = -2 * slack * sign
        gradient = np.concatenate([rows.T @ pull, pull.sum(axis=0, keepdims=True)])
        return float((slack.astype(np.float64) ** 2).sum()), gradient.astype(np.float64)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        narrow = weights.astype(np.float32)
        total, gradient = 0.5 * float((weights**2).sum()), weights.copy()
        for value, slope in pool.map(partial(part, narrow), range(0, count, _ROWS)):
            total += cost * value
            gradient += cost * slope
        return total, gradient.ravel()

    first = np.zeros(shape) if start is None else np.vstack([start.weights, start.intercepts]).astype(np.float64)
    with all_cores() as pool:
        found = minimize(
            loss,
            first.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": iterations, "ftol": 1e-6, "gtol": 1e-8, "maxcor": 10},
        )
    weights = found.x.reshape(shape).astype(np.float32)
    return LinearSvm(weights[:-1], weights[-1])


@dataclass(frozen=True)
class ChosenSvm:
    """The machines of the C that did best, and the share of right answers of every C that was tried, by size."""

    svm: LinearSvm
    cost: float
    tried: tuple[tuple[float, float], ...]

    @property
    def accuracy(self) -> float:
        """The share of right answers with the chosen C."""
        return dict(self.tried)[self.cost]


def choose_svm(
    features: np.ndarray,
    labels: np.ndarray,
    classes: int,
    judge: Callable[[LinearSvm], float],
    *,
    used: np.ndarray | None = None,
    on_cost: Callable[[float], None] = lambda _cost: None,
) -> ChosenSvm:
    """Fit with one C after the other and keep the machines that ``judge`` likes best.

    From the C of :data:`COSTS` nearest to 3 / N upwards, each from the machines of the one before it, until two in a
    row are no better than the best: larger ones take longest, and only follow the training images more closely. Where
    the first was the best, smaller ones are tried in the same way. Of equal ones the first is kept.

    Args:
        judge: the share of right answers on images that are not fitted on.
        on_cost: called with the C that is tried next.
    """
    count = len(features) if used is None else int(used.sum())
    first = int(np.abs(np.log(np.array(COSTS) * count / 3)).argmin())
    tried: dict[float, float] = {}
    best: tuple[float, LinearSvm] | None = None
    for costs in (COSTS[first:], COSTS[:first][::-1]):
        svm, waited = (best[1] if best else None), 0
        for cost in costs:
            on_cost(cost)
            svm = fit_svm(features, labels, classes, cost, used=used, start=svm)
            tried[cost] = judge(svm)
            better = best is None or tried[cost] > tried[best[0]]
            if better:
                best = (cost, svm)
            waited = 0 if better else waited + 1
            if waited == 2 or tried[cost] == 1:
                break
        if best is None or best[0] != COSTS[first] or tried[best[0]] == 1:
            break
    assert best is not None
    return ChosenSvm(best[1], best[0], tuple(sorted(tried.items())))
