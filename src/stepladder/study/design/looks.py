"""``--seeds auto``: looks declared before the first trial, so that adding seeds keeps the error rate.

The error α of the study is spent over the looks in proportion to the seeds (α-spending, Lan and DeMets, Biometrika
1983, with the linear function of Kim and DeMets, Biometrika 1987, ρ = 1). Each look's tests are made at that look's
share alone. By Bonferroni's inequality the chance of any false verdict at any look is then at most α, with t-tests at
few seeds too and whatever the looks have in common; the usual boundaries are less strict and rest on large samples.
A comparison keeps the verdict of the first look that decides it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

#: The first look is at as many seeds, or fewer where there are fewer.
FIRST_LOOK = 3


@dataclass(frozen=True)
class Look:
    """One look at the results.

    Attributes:
        seeds: seeds a rung of an undecided comparison has by then.
        share: share of α that is spent at this look; those of all looks add up to 1.
    """

    seeds: int
    share: float


def declare_looks(most: int) -> tuple[Look, ...]:
    """Return the looks of a study of at most ``most`` seeds: 3, then half as many again each time, and last ``most``.

    >>> [look.seeds for look in declare_looks(12)]
    [3, 5, 8, 12]
    """
    sizes = [min(FIRST_LOOK, most)]
    while sizes[-1] < most:
        sizes.append(min(math.ceil(1.5 * sizes[-1]), most))
    return tuple(Look(size, (size - before) / most) for before, size in pairwise([0, *sizes]))


def single_look(seeds: int) -> tuple[Look, ...]:
    """Return the one look of a study with a fixed number of seeds."""
    return (Look(seeds, 1.0),)
