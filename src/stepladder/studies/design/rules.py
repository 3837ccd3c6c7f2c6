"""What a study is judged by, settled before its first trial: splits, metric, error rate, looks.

Looks are declared before the first trial, so that adding seeds keeps the error rate. The error α of the study is spent
over the looks in proportion to the seeds (α-spending, Lan and DeMets, Biometrika 1983, with the linear function of Kim
and DeMets, Biometrika 1987, ρ = 1). Each look's tests are made at that look's share alone. By Bonferroni's inequality
the chance of any false verdict at any look is then at most α, with t-tests at few seeds too and whatever the looks have
in common; the usual boundaries are less strict and rest on large samples. A comparison keeps the verdict of the first
look that decides it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict

from stepladder.datasets.splits import check_validation
from stepladder.errors import StudyError, unknown
from stepladder.studies.design.metrics import find_metric

#: Trials a rung at most: more is a slip of the finger.
MOST_SEEDS = 1000

#: Which epoch's weights a trial keeps.
SELECTIONS = ("last", "best-val")

Seeds = int | Literal["auto"]


@dataclass(frozen=True)
class Protocol:
    """How the images of a job are used; part of what identifies its trials.

    Attributes:
        validation: share of the training images held out for the curves and to choose by, 0.001 to 0.9; 0 trains on all
            of them and draws the test curve, and every result says so.
        drop_leaks: take training images out that are copies of test or validation images, in place of only saying so.
        select: ``last``, or ``best-val``: keep the weights of the epoch with the highest validation accuracy.
    """

    validation: float = 0.1
    drop_leaks: bool = False
    select: str = "last"

    def check(self) -> None:
        """Raise DataError or StudyError where values are out of range, or need validation images that there are not."""
        check_validation(self.validation)
        if self.select not in SELECTIONS:
            raise StudyError(unknown("selection", self.select, SELECTIONS))
        if self.validation == 0 and self.select == "best-val":
            raise StudyError("`select=best-val` chooses by validation images; give `validation` a share above 0")


class RulesRecord(BaseModel):
    """The rules as ``study.json`` keeps them: each is part of the plan and of its hash.

    A rule that is added here needs a default by which every earlier study went; while it has that, it is left out of
    the hash, so that earlier studies keep theirs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str = "accuracy"
    alpha: float = 0.05
    smallest_effect: float = 0.005
    select: str = "last"


@dataclass(frozen=True)
class Rules(Protocol):
    """The protocol of a study, its metric, error rate and effect of interest; part of the plan and of its hash.

    Attributes:
        metric: what rungs are compared by, a name in ``metrics.METRICS``.
        alpha: chance of any wrong "helped" or "hurt" in the study, above 0 and at most 0.5.
        smallest_effect: smallest effect of interest, in the metric's unit (a fraction of 1 or nats); None takes the
            metric's own.
        max_seeds: the last look of ``seeds="auto"``.
        max_trials: a factorial larger than this is thinned out to a balanced fraction.
    """

    metric: str = "accuracy"
    alpha: float = 0.05
    smallest_effect: float | None = None
    max_seeds: int = 10
    max_trials: int | None = None

    @property
    def effect_of_interest(self) -> float:
        """The smallest effect of interest, the metric's own where none was named."""
        return find_metric(self.metric).smallest_effect if self.smallest_effect is None else self.smallest_effect

    def to_record(self) -> RulesRecord:
        """Return the rules as the plan keeps them."""
        values = {name: getattr(self, name) for name in RulesRecord.model_fields}
        return RulesRecord(**values | {"smallest_effect": self.effect_of_interest})

    def check(self) -> None:
        """Raise DataError or StudyError where values are out of range, or need validation images that there are not."""
        super().check()
        metric = find_metric(self.metric)
        if not 2 <= self.max_seeds <= MOST_SEEDS:
            raise StudyError(f"`max_seeds` is {self.max_seeds}; it must be 2 to {MOST_SEEDS}")
        if not 0 < self.alpha <= 0.5:
            raise StudyError(f"`alpha` is {self.alpha:g}; it must be above 0 and at most 0.5, and 0.05 is usual")
        if not 0 <= self.effect_of_interest < float("inf"):
            raise StudyError(f"`smallest_effect` is {self.smallest_effect}; it must be 0 or more")
        if self.max_trials is not None and self.max_trials < 1:
            raise StudyError(f"`max_trials` is {self.max_trials}; it must be at least 1")
        if self.validation == 0 and metric.name.endswith("_calibrated"):
            raise StudyError(
                f"`metric={metric.name}` fits a temperature on validation images; give `validation` a share above 0"
            )


def check_seeds(seeds: Seeds, *, auto: bool = False) -> None:
    """Refuse a number of seeds that cannot be.

    Args:
        auto: whether ``"auto"`` is one of the answers.

    Raises:
        StudyError: it is out of range.
    """
    if seeds == "auto" and auto:
        return
    if not isinstance(seeds, int) or isinstance(seeds, bool) or not 1 <= seeds <= MOST_SEEDS:
        or_auto = " or auto; two give a first interval, five are worth more" if auto else ""
        raise StudyError(f"`seeds` is {seeds}; it must be 1 to {MOST_SEEDS}{or_auto}")


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


def looks_for(seeds: Seeds, rules: Rules) -> tuple[Look, ...]:
    """Return the looks of a study that was asked for so many seeds."""
    return declare_looks(rules.max_seeds) if seeds == "auto" else single_look(seeds)


def single_look(seeds: int) -> tuple[Look, ...]:
    """Return the one look of a study with a fixed number of seeds."""
    return (Look(seeds, 1.0),)
