"""All subsets of the techniques, or a balanced fraction of them: cells, Shapley values and interactions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, product
from math import comb

import numpy as np

from stepladder.errors import StudyError

#: One subset: for each technique, in the recipe's order, whether it is on.
Cell = tuple[bool, ...]

#: Subsets of more techniques than this are a slip of the finger: 1,024 recipes.
MOST_FACTORS = 10


def factorial_cells(factors: int, most: int | None = None) -> tuple[tuple[Cell, ...], int | None]:
    """Return all 2^factors cells, or the largest balanced fraction of at most ``most``, and the fraction's resolution.

    A regular fraction 2^(k-p): p techniques are on where an odd number of certain others are, which are chosen to have
    the highest resolution and then the fewest short words (minimum aberration, Fries and Hunter, Technometrics 1980).
    Every technique is on in half of the cells, and none without any technique is left out. Resolution None is the
    full factorial.

    Raises:
        StudyError: too many techniques, or ``most`` is too small for any balanced fraction.
    """
    if most is None or 2**factors <= most:
        if factors > MOST_FACTORS:
            raise StudyError(
                f"all subsets of {factors} techniques are {2**factors:,} recipes; limit them with `max_trials`"
            )
        return tuple(_in_order(product((False, True), repeat=factors))), None
    fewest = next(size for size in range(1, factors + 1) if 2**size > factors)
    base = max((size for size in range(1, factors) if 2**size <= most), default=0)
    if base < fewest:
        raise StudyError(
            f"`max_trials` leaves {most} recipes a seed; the smallest balanced fraction for {factors} techniques takes "
            f"{2**fewest} of them"
        )
    generators, resolution = _generators(factors, base)
    cells = []
    for chosen in product((False, True), repeat=base):
        added = (sum(chosen[position] for position in generator) % 2 == 1 for generator in generators)
        cells.append((*chosen, *added))
    return tuple(_in_order(cells)), resolution


def shapley_weights(cells: Sequence[Cell], factor: int) -> list[float]:
    """Return the weight of each cell in the Shapley value of one technique.

    The value is what the technique adds, averaged over every order in which the techniques could be switched on
    (Shapley 1953), so that the values add up to the gain of all techniques together. A fraction does not have every
    order; there the weights are those of the technique's main effect, the mean of the cells with it less that of those
    without, which is the Shapley value where no three techniques interact.
    """
    count = len(cells[0])
    if len(cells) < 2**count:
        return [(2 if cell[factor] else -2) / len(cells) for cell in cells]
    weights = []
    for cell in cells:
        others = sum(cell) - cell[factor]
        share = 1 / (count * comb(count - 1, others))
        weights.append(share if cell[factor] else -share)
    return weights


def interaction_weights(cells: Sequence[Cell], one: int, other: int) -> list[float]:
    """Return the weight of each cell in the interaction of two techniques.

    How much more the one adds where the other is on than where it is off, averaged over all others.
    """
    return [(4 if cell[one] == cell[other] else -4) / len(cells) for cell in cells]


def _in_order(cells: Sequence[Cell] | product[Cell]) -> list[Cell]:
    """By number of techniques, and then in the recipe's order: the first is the baseline."""
    return sorted((tuple(cell) for cell in cells), key=lambda cell: (sum(cell), [not on for on in cell]))


#: Ways to choose the generators that are all looked through; beyond, one is chosen after the other.
_MOST_CHOICES = 20_000

Generator = tuple[int, ...]


def _generators(factors: int, base: int) -> tuple[tuple[Generator, ...], int]:
    """Return for each factor beyond the ``base`` first which of those it follows, and the fraction's resolution."""
    subsets = [subset for size in range(base, 1, -1) for subset in combinations(range(base), size)]
    needed = factors - base
    if comb(len(subsets), needed) <= _MOST_CHOICES:
        chosen = min(combinations(subsets, needed), key=lambda generators: _word_lengths(generators, base))
    else:
        chosen = ()
        for _ in range(needed):
            left = [subset for subset in subsets if subset not in chosen]
            chosen = min(((*chosen, subset) for subset in left), key=lambda generators: _word_lengths(generators, base))
    return chosen, next(length for length, times in enumerate(_word_lengths(chosen, base)) if times)


def _word_lengths(generators: Sequence[Generator], base: int) -> list[int]:
    """Return how many words of each length the defining relation has; fewer short ones are better."""
    words = np.zeros(1, dtype=np.int64)
    for number, generator in enumerate(generators):
        word = sum(1 << position for position in generator) | 1 << base + number
        words = np.concatenate([words, words ^ word])
    lengths = np.bincount(np.bitwise_count(words[1:]), minlength=base + len(generators) + 1)
    return [int(times) for times in lengths]
