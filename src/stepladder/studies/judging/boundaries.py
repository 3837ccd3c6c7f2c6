"""What a look may conclude where seeds are added at will: levels that keep the error rate over all looks together.

A study that is begun with n₁ seeds looks at n₁, and may look again at every size of :func:`look_sizes`. The error rate
α is spent over them by α(n) = α [1 - (1 - s) (n₁ / n)^ρ], s at the first look (a power of the share of seeds, Kim and
DeMets, Biometrika 1987; here without an end, so that there is always a next look). Where a t-test of level α* at look k
crosses for the first time with exactly what α(n) leaves for that look, the intervals of level 1 - α* hold at all looks
together (repeated confidence intervals: Jennison and Turnbull, JRSS B 1989). Whoever adds seeds as often as they like,
for any reason, is so held to α.

The levels are worked out exactly for normal differences, as Jennison and Turnbull do in "Exact calculations for
sequential t, χ² and F tests" (Biometrika 1991), along one number: r = Σx / √Σx². Under no effect it depends on no
scale, and goes on from one seed to the next as r' = (r + w) / √(1 + w²), where w is t-distributed with n degrees of
freedom, divided by √n, and independent of all before it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np

from stepladder.studies.design.rules import FEWEST_JUDGED, first_share, look_sizes
from stepladder.studies.judging.distributions import t_quantile, t_tail

#: Cells of |r|: with four times as many the levels change by at most 3 % of themselves, and take ten times as long.
_CELLS: Final = 100

#: How fast the error is spent after the first look.
_POWER: Final = 1.5

#: Halvings of an angle in search of a boundary: to the last bits of what matters.
_HALVINGS: Final = 45


def nominal_levels(first: int, seeds: int, level: float) -> dict[int, float]:
    """Return the level of the interval at each look, by its number of seeds, up to ``seeds`` of them.

    Args:
        first: seeds that the study was begun with.
        level: error of one comparison over all looks, α/m for m comparisons, 0 to 1.
    """
    first = max(first, FEWEST_JUDGED)
    return {size: _level(first, size, level) for size in look_sizes(first, seeds)}


def spent(first: int, seeds: int) -> float:
    """Return the share of α that is spent when the look at ``seeds`` has been taken."""
    first = max(first, FEWEST_JUDGED)
    return float(1 - (1 - first_share(first)) * (first / seeds) ** _POWER)


class _Walk:
    """Studies without effect on their way from look to look: how many are left at which |r|."""

    def __init__(self, first: int, level: float) -> None:
        self._first, self._total = first, level
        self._levels = {first: level * first_share(first)}
        self._seeds = first
        boundary = _angle_of_t(float(t_quantile(1 - self._levels[first] / 2, first - 1)), first)
        self._edges = _edges(first, boundary)
        self._mass = np.diff(1 - 2 * t_tail(_t_of(self._edges, first), first - 1))

    def level_at(self, size: int) -> float:
        """Return the level of the look at ``size`` seeds."""
        looks = iter(look_sizes(self._first, size))
        before = self._first
        for look in looks:
            if look not in self._levels:
                self._go_to(look, self._total * (spent(self._first, look) - spent(self._first, before)))
            before = look
        return self._levels[size]

    def _go_to(self, look: int, error: float) -> None:
        """Add seeds up to the next look, and find the boundary that ``error`` of all studies cross there first."""
        while self._seeds < look:
            middle = (self._edges[1:] + self._edges[:-1]) / 2
            at, mass = np.concatenate([middle, -middle]), np.concatenate([self._mass, self._mass]) / 2
            seeds, boundary = self._seeds, math.pi / 2
            if seeds + 1 == look:
                low, high = 0.0, math.pi / 2
                for _ in range(_HALVINGS):
                    boundary = (low + high) / 2
                    r = math.sqrt(look) * math.sin(boundary)
                    crossing = 2 * float((mass * _chance_above(np.full_like(at, r), at, seeds)).sum())
                    low, high = (boundary, high) if crossing > error else (low, boundary)
                boundary = high  # the stricter side
            self._edges = _edges(seeds + 1, boundary)
            self._mass = -np.diff(2 * _chance_above(self._edges[:, None], at[None, :], seeds) @ mass)
            self._seeds += 1
        self._levels[look] = 2 * float(t_tail(_t_of(self._edges[-1:], look)[0], look - 1))


@lru_cache(maxsize=256)
def _level(first: int, size: int, level: float) -> float:
    if size == first:
        return level * first_share(first)
    found: float = _walk(first, level).level_at(size)
    return found


@lru_cache(maxsize=32)
def _walk(first: int, level: float) -> _Walk:
    return _Walk(first, level)


def _edges(seeds: int, boundary: float) -> np.ndarray:
    """Return the edges of cells of |r| from 0 to an angle: even angles, as r goes to √n where t has no end."""
    return math.sqrt(seeds) * np.sin(np.linspace(0.0, boundary, _CELLS + 1))


def _t_of(r: np.ndarray, seeds: int) -> np.ndarray:
    with np.errstate(divide="ignore"):
        t: np.ndarray = r * np.sqrt((seeds - 1) / np.maximum(seeds - r * r, 0.0))
    return t


def _angle_of_t(t: float, seeds: int) -> float:
    return math.asin(math.sqrt(t * t / (seeds - 1 + t * t)))


def _chance_above(bound: np.ndarray, r: np.ndarray, seeds: int) -> np.ndarray:
    """Return the chance that the next r is above ``bound`` (at least 0) where it is ``r`` after ``seeds`` seeds.

    (r + w) / √(1 + w²) = b is a quadratic equation in w; above 1 the w between its roots lead beyond b, below 1 those
    past the one with r + w > 0.
    """
    scale = math.sqrt(seeds)
    inside = r * r + 1 - bound * bound
    root = bound * np.sqrt(np.maximum(inside, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        nearer, farther = (r - root) / (bound * bound - 1), (r + root) / (bound * bound - 1)
        between = t_tail(nearer * scale, seeds) - t_tail(farther * scale, seeds)
        past = t_tail((root - r) / (1 - bound * bound) * scale, seeds)
    # At exactly 1 the equation is linear: w above (1 - r²) / 2r.
    with np.errstate(divide="ignore", invalid="ignore"):
        linear = np.where(r > 0, t_tail((1 - r * r) / (2 * r) * scale, seeds), 0.0)
    above = np.where((inside > 0) & (r > 0), between, 0.0)
    return np.where(bound > 1, above, np.where(bound < 1, past, linear))
