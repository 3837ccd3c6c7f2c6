"""Do the intervals of a pool hold? Made-up image sets whose truth is known, pooled by the code that pools real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from scipy import special

from stepladder.cli.console import AsJson, make_console
from stepladder.errors import StudyError
from stepladder.studies.judging.distributions import t_quantile
from stepladder.studies.pool.statistics import CONFIDENCE, ends_of, mean_of_sets, predict_set

#: Image sets of a pool; with three, what happens is said and nothing is promised.
SETS = (3, 5, 9, 20)
#: Standard deviation between the true effects of sets, where the standard error of a typical set's effect is 1.
APART = (0.0, 0.25, 0.5, 1.0, 2.0, 5.0, 20.0)
#: Seeds of a set, which its standard error is estimated from.
SEEDS = (3, 5, 10)
#: How the sets' errors differ: the standard deviation of their logarithms. Some sets have ten times the test images.
UNEVEN = 0.5
#: Up from these, a prediction is promised to be neither too short nor too long. Where sets are less apart, they are
#: alike for all that their seeds tell, and it is too long: so few sets cannot tell τ = 0 from half an error. With three
#: seeds the errors themselves are not known well enough. Too short it is nowhere, with five sets or more.
FEWEST_APART, FEWEST_SEEDS = 0.5, 5
_PROMISED = (0.93, 0.97)
#: Pools that are worked out together: some twenty million numbers.
_AT_A_TIME = 2_000


@dataclass(frozen=True)
class PoolCoverage:
    """How often the intervals of one setting hold.

    Attributes:
        sets, seeds, apart: see :data:`SETS`, :data:`SEEDS`, :data:`APART`.
        new_set: how often the prediction interval holds the true effect of a new set.
        usual: the same of Higgins', Thompson's and Spiegelhalter's interval, which is not used; t with k - 2.
        mean: how often the interval of the mean holds the true mean.
        width: median width of the prediction interval, in typical standard errors.
    """

    sets: int
    seeds: int
    apart: float
    new_set: float
    usual: float
    mean: float
    width: float

    def broken(self, margin: float) -> list[str]:
        """Return what is promised and does not hold, by more than ``margin``, in words."""
        if self.sets == SETS[0]:
            return []
        exact = self.apart >= FEWEST_APART and self.seeds >= FEWEST_SEEDS
        if _PROMISED[0] - margin <= self.new_set <= (_PROMISED[1] + margin if exact else 1.0):
            return []
        return [f"{self.sets} sets, {self.seeds} seeds, {self.apart:g} apart: a new set in {100 * self.new_set:.1f} %"]


def simulate_pools(pools: int = 4_000, seed: int = 0) -> Iterator[PoolCoverage]:
    """Simulate ``pools`` pools of each setting, one setting after another."""
    for number, (sets, seeds, apart) in enumerate(product(SETS, SEEDS, APART)):
        yield _simulate_setting(sets, seeds, apart, pools, np.random.default_rng([seed, number]))


def _simulate_setting(sets: int, seeds: int, apart: float, pools: int, random: np.random.Generator) -> PoolCoverage:
    held: list[np.ndarray] = []
    for start in range(0, pools, _AT_A_TIME):
        shape = min(_AT_A_TIME, pools - start), sets
        errors = np.exp(UNEVEN * random.standard_normal(shape))
        effects = apart * random.standard_normal(shape) + errors * random.standard_normal(shape)
        variances = errors**2 * random.chisquare(seeds - 1, shape) / (seeds - 1)
        low, high = ends_of(*predict_set(effects, variances))
        tau_squared, mean, error = mean_of_sets(effects, variances)
        own = 1 / (1 / (variances + tau_squared[:, None])).sum(axis=1)
        reach = t_quantile((1 + CONFIDENCE) / 2, sets - 2) * np.sqrt(tau_squared + own)
        around = np.abs(mean) <= t_quantile((1 + CONFIDENCE) / 2, sets - 1) * error
        held.append(np.stack([_holds(low, high, apart), _holds(mean - reach, mean + reach, apart), around, high - low]))
    every = np.concatenate(held, axis=1)
    new_set, usual, mean_held = (float(value) for value in every[:3].mean(axis=1))
    return PoolCoverage(sets, seeds, apart, new_set, usual, mean_held, float(np.median(every[3])))


def _holds(low: np.ndarray, high: np.ndarray, apart: float) -> np.ndarray:
    """Return the chance that an interval holds a new set's effect, which is around 0 by ``apart``; nothing is drawn."""
    if apart == 0:
        return ((low <= 0) & (high >= 0)).astype(np.float64)
    return np.asarray(special.ndtr(high / apart) - special.ndtr(low / apart))


def pools(
    *,
    pools: Annotated[int, Parameter(help="Simulated pools a setting.")] = 4_000,
    seed: Annotated[int, Parameter(help="Of the simulation's own random numbers.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Pool thousands of made-up image sets whose truth is known, and count how often the intervals hold it."""
    if pools < 1:
        raise StudyError(f"`pools` is {pools}; it must be at least 1, and 4,000 tell 93 % from 94 %")
    console = make_console(as_json)
    console.print("| sets | seeds | apart | a new set | usual formula | the mean | width |", soft_wrap=True)
    console.print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |", soft_wrap=True)
    found, broken = [], []
    # Twice the standard error of a rate of 95 %; the chances that are averaged vary less.
    margin = 2 * float(np.sqrt(0.05 * 0.95 / pools))
    for one in simulate_pools(pools, seed):
        found.append(one)
        broken += one.broken(margin)
        rates = " | ".join(f"{100 * rate:.1f}" for rate in (one.new_set, one.usual, one.mean))
        console.print(f"| {one.sets} | {one.seeds} | {one.apart:g} | {rates} | {one.width:.1f} |", soft_wrap=True)
    console.print(
        f"\nPercent of {pools:,} pools a setting. Apart and width are in standard errors of a typical set's effect.",
        markup=False,
    )
    console.print("\n".join(f"Broken: {one}" for one in broken) or "Every promise holds.", markup=False)
    if as_json:
        print(json.dumps([asdict(one) for one in found], indent=2))
    return 1 if broken else 0
