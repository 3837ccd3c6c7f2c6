"""What a study is judged by, settled before its first trial: splits, metric, error rate, and when it may look.

Adding seeds is part of every design: a study looks at the seeds that it was begun with, and again at sizes that follow
from these, as often as its user likes. What each look may conclude keeps the error rate over all of them; see
:mod:`stepladder.studies.judging.boundaries`. A study with ``final`` looks once, with all of α. A comparison keeps the
verdict of the first look that decides it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from stepladder.datasets.splits import check_validation
from stepladder.errors import StudyError, unknown
from stepladder.training.metrics import Costs, check_metric, default_effect

#: Trials a rung at most: more is a slip of the finger.
MOST_SEEDS = 1000

#: What ``seeds="auto"`` takes at most where nobody says how many.
MOST_AUTO = 10

#: Which epoch's weights a trial keeps.
SELECTIONS = ("last", "best-val")

Seeds = int | Literal["auto"]

#: How α is spent: over looks that the plan lists, each with its share; or over looks at sizes that follow from the
#: first, without an end.
Spending = Literal["declared", "open"]


@dataclass(frozen=True)
class Protocol:
    """How the images of a job are used; part of what identifies its trials.

    Attributes:
        validation: share of the training images held out for the curves and to choose by, 0.001 to 0.9; 0 trains on all
            of them and draws the test curve, and every result says so.
        drop_leaks: take training images out that are copies of test or validation images, in place of only saying so.
        select: ``last``, or ``best-val``: keep the weights of the epoch that is best on validation, by ``metric``.
        metric: what decides whatever is chosen or judged, a name in ``metrics.METRICS``; one of a class as
            ``recall:cat``.
        costs: of ``metric="cost"``: what each mistake costs, by true and by predicted class.
        all_data: train on every image, those for validation and test among them: for a model to use, and so only for a
            training of its own.
    """

    validation: float = 0.1
    drop_leaks: bool = False
    select: str = "last"
    metric: str = "accuracy"
    costs: Costs | None = None
    all_data: bool = False

    def check(self) -> None:
        """Raise DataError or StudyError where values are out of range, or need validation images that there are not."""
        check_validation(self.validation)
        if self.select not in SELECTIONS:
            raise StudyError(unknown("selection", self.select, SELECTIONS))
        if self.validation == 0 and self.select == "best-val":
            raise StudyError("`select=best-val` chooses by validation images; give `validation` a share above 0")
        check_metric(self.metric, self.costs)
        if self.all_data:
            self._check_all_data()
        if self.validation == 0 and self.metric.endswith("_calibrated"):
            raise StudyError(
                f"`metric={self.metric}` fits a temperature on validation images; give `validation` a share above 0"
            )

    def _check_all_data(self) -> None:
        plain = Protocol()
        for name, purpose in (
            ("validation", "is the share that is held out"),
            ("select", "chooses an epoch by validation images"),
            ("metric", "measures validation and test images"),
            ("drop_leaks", "takes copies of test images out of training"),
        ):
            if getattr(self, name) != getattr(plain, name):
                raise StudyError(
                    f"`{name}` {purpose}, and with `all_data` every image trains; leave one of the two out"
                )


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
    spending: Spending = "declared"
    resplit: bool = False
    costs: dict[str, dict[str, float]] | None = None

    @model_serializer(mode="wrap")
    def _leave_out_later_rules(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write what came later only where it is used: other studies can still be read by who does not know of it."""
        table: dict[str, Any] = write(self)
        return {key: value for key, value in table.items() if value or key not in _LATER_RULES}


#: Rules, and parts of ``study.json``, that came later, which most studies do not use.
_LATER_RULES = ("resplit", "costs", "scores")


@dataclass(frozen=True)
class Rules(Protocol):
    """The protocol of a study, its error rate and effect of interest; part of the plan and of its hash.

    Attributes:
        alpha: chance of any wrong "helped" or "hurt" in the study, above 0 and at most 0.5.
        smallest_effect: smallest effect of interest, in the metric's unit (a fraction of 1, nats or costs); None takes
            the metric's own.
        max_seeds: the last look of ``seeds="auto"``; None for ten.
        final: look once, with all of α; seeds that are added afterwards are marked as a breach of the plan.
        resplit: each seed draws its own training, validation and test images out of all of them, for small sets
            without a test split of their own.
        max_trials: a factorial larger than this is thinned out to a balanced fraction.
    """

    alpha: float = 0.05
    smallest_effect: float | None = None
    max_seeds: int | None = None
    max_trials: int | None = None
    final: bool = False
    resplit: bool = False

    @property
    def last_look(self) -> int:
        """The most seeds that ``seeds="auto"`` takes."""
        return MOST_AUTO if self.max_seeds is None else self.max_seeds

    def check_use(self, seeds: Seeds) -> None:
        """Raise StudyError where a rule would do nothing for as many seeds."""
        if self.max_seeds is not None and seeds != "auto":
            raise StudyError(f"`max_seeds` ends `seeds=auto`, and `seeds` is {seeds}; leave one of the two out")

    @property
    def spending(self) -> Spending:
        """How α is spent over looks."""
        return "declared" if self.final else "open"

    @property
    def effect_of_interest(self) -> float:
        """The smallest effect of interest, the metric's own where none was named."""
        return default_effect(self.metric, self.costs) if self.smallest_effect is None else self.smallest_effect

    def to_record(self) -> RulesRecord:
        """Return the rules as the plan keeps them."""
        values = {name: getattr(self, name) for name in RulesRecord.model_fields}
        return RulesRecord(**values | {"smallest_effect": self.effect_of_interest})

    def check(self) -> None:
        """Raise DataError or StudyError where values are out of range, or need validation images that there are not."""
        super().check()
        if self.max_seeds is not None and not 2 <= self.max_seeds <= MOST_SEEDS:
            raise StudyError(f"`max_seeds` is {self.max_seeds}; it must be 2 to {MOST_SEEDS}")
        if not 0 < self.alpha <= 0.5:
            raise StudyError(f"`alpha` is {self.alpha:g}; it must be above 0 and at most 0.5, and 0.05 is usual")
        if not 0 <= self.effect_of_interest < float("inf"):
            raise StudyError(f"`smallest_effect` is {self.smallest_effect}; it must be 0 or more")
        if self.max_trials is not None and self.max_trials < 1:
            raise StudyError(f"`max_trials` is {self.max_trials}; it must be at least 1")


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


#: Trials a rung where nobody says how many: of differences of one point with the spread that ladders have on small
#: images, three seeds find one in five, and five find two in three.
DEFAULT_SEEDS = 5

#: ``seeds="auto"`` looks first at as many seeds.
FIRST_LOOK = 3

#: One seed shows no spread, so that nothing can be judged.
FEWEST_JUDGED = 2

#: Each look has at least so many times the seeds of the one before: between looks closer together nearly nothing is
#: learned, and each costs a part of α.
_GROWTH = 1.4

#: Share of α for the first look, by its seeds; five or more have the last. Few seeds can decide little, whatever they
#: may spend; at five, 0.78 keep nine tenths of the power of a single look, and leave enough for the next ones.
_FIRST_SHARES = {2: 0.2, 3: 0.5, 4: 0.65, 5: 0.78}


@dataclass(frozen=True)
class Look:
    """One look at the results.

    Attributes:
        seeds: seeds a rung of an undecided comparison has by then.
        share: the level of its intervals, as a share of the error of one comparison.
    """

    seeds: int
    share: float


def first_share(seeds: int) -> float:
    """Return the share of α that a study spends on its first look, at ``seeds`` seeds."""
    return _FIRST_SHARES[min(max(seeds, FEWEST_JUDGED), max(_FIRST_SHARES))]


def final_share(seeds: int) -> float:
    """Return the share of α that a single look takes: all of it, but where a trial that fails twice out of two would.

    With two seeds a rung that happens to diverge in both looks as sure as can be; a tenth of α makes room for that.
    """
    return 0.9 if seeds <= FEWEST_JUDGED else 1.0


def look_sizes(first: int, most: int) -> list[int]:
    """Return the sizes at which a study that was begun with ``first`` seeds looks, up to ``most``.

    >>> look_sizes(5, 20)
    [5, 7, 10, 14, 20]
    """
    return list(takewhile(lambda size: size <= most, _sizes(first)))


def next_size(first: int, seeds: int) -> int:
    """Return the first size of a look that is at least ``seeds``."""
    return next(size for size in _sizes(first) if size >= seeds)


def _sizes(first: int) -> Iterator[int]:
    size = max(first, FEWEST_JUDGED)
    while True:
        yield size
        size = math.ceil(round(_GROWTH * size, 6))


def seeds_or_default(seeds: Seeds | None, rules: Rules, *, bounded: bool) -> Seeds:
    """Return the seeds asked for; where nobody asked, a usual number, or as many as it takes in a time that is bounded.

    Args:
        bounded: whether the study stops by itself after some time.
    """
    if seeds is not None:
        return seeds
    return "auto" if bounded and not rules.final else DEFAULT_SEEDS


def looks_for(seeds: Seeds, rules: Rules) -> tuple[Look, ...]:
    """Return the look that a study is begun with; all others follow from it."""
    size = min(FIRST_LOOK, rules.last_look) if seeds == "auto" else seeds
    return (Look(size, final_share(size) if rules.final else first_share(size)),)


def most_seeds(seeds: Seeds, rules: Rules) -> int:
    """Return how many seeds a rung has at most by one call."""
    return rules.last_look if seeds == "auto" else seeds
