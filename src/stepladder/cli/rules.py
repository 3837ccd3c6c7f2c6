"""Options of what a study compares and how it judges, shared by ``stepladder study`` and ``stepladder plan``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from stepladder.errors import StudyError
from stepladder.study.design.metrics import find_metric
from stepladder.study.design.rules import Rules, Seeds


@Parameter(name="*")
@dataclass(frozen=True)
class RuleOptions:
    """The plan and its rules, settled and hashed before the first trial."""

    plan: Annotated[
        str,
        Parameter(
            help="ladder: each rung adds to all below it. leave-one-out: each taken from all. add-one: each alone. "
            "ladder+leave-one-out: both, recommended. factorial: all subsets."
        ),
    ] = "ladder"
    seeds: Annotated[
        str,
        Parameter(
            help="Trials a rung; 1 gives no verdict, 3 a first interval; auto adds seeds to what is undecided, in "
            "looks declared beforehand."
        ),
    ] = "3"
    max_seeds: Annotated[int, Parameter(help="The most seeds that --seeds auto may take.")] = 10
    max_trials: Annotated[
        int | None, Parameter(help="Thin a factorial out to a balanced fraction of at most so many trials.")
    ] = None
    metric: Annotated[
        str,
        Parameter(help="What decides, on test: accuracy, macro_f1, nll, ece, nll_calibrated or ece_calibrated."),
    ] = "accuracy"
    smallest_effect: Annotated[
        float | None,
        Parameter(help="Smallest effect of interest, in points (nats for nll); 0.5 points or 0.01 nats by default."),
    ] = None
    alpha: Annotated[float, Parameter(help="Chance of any wrong helped or hurt in the whole study.")] = 0.05
    select: Annotated[str, Parameter(help="Weights to keep: last, or best-val for the epoch best on validation.")] = (
        "last"
    )

    def rules(self) -> Rules:
        """Return the rules in the library's units."""
        smallest = self.smallest_effect
        if smallest is not None and find_metric(self.metric).share:
            smallest /= 100
        return Rules(
            metric=self.metric,
            alpha=self.alpha,
            smallest_effect=smallest,
            select=self.select,
            max_seeds=self.max_seeds,
            max_trials=self.max_trials,
        )

    def number_of_seeds(self) -> Seeds:
        """Return how many seeds, or ``auto``."""
        if self.seeds == "auto":
            return "auto"
        try:
            return int(self.seeds)
        except ValueError:
            raise StudyError(f"--seeds is {self.seeds}; it must be a whole number, such as 3, or auto") from None


#: What a command gets that was told nothing.
DEFAULT_RULES = RuleOptions()
