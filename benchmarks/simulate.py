"""Do the verdicts hold? Thousands of made-up studies whose truth is known, judged by the code that judges real ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter

from stepladder.cli.console import AsJson, make_console
from stepladder.errors import StudyError
from stepladder.studies.design.rules import Look, declare_looks, single_look
from stepladder.studies.judging.verdicts import POWER, VERDICTS, detectable_difference, settle, weigh

Noise = Literal["normal", "skewed", "half skewed"]

#: Seeds a rung.
SEEDS = (2, 3, 5, 10)
NOISES: tuple[Noise, ...] = ("normal", "skewed", "half skewed")
#: Share of a seed's luck that all rungs have in common.
CORRELATIONS = (0.0, 0.8)
#: As in the reference study: six rungs, each against the one below it.
COMPARISONS = 5
ALPHA = 0.05

_HELPED, _HURT, _EQUIVALENT, _ = range(len(VERDICTS))


@dataclass(frozen=True)
class SimulatedRates:
    """How often it went how, in one setting; every rate is a share of the simulated studies but ``coverage``.

    Attributes:
        noise: ``normal``; ``skewed``, exponential on every rung; ``half skewed``, exponential on every other rung and
            normal on the rest, so that the differences themselves are lopsided.
        correlation: of two rungs over seeds.
        n: seeds a rung; the most for the two ``auto`` rates.
        coverage: share of unadjusted 95 % intervals that hold the true difference, of all comparisons.
        false_effect: any "helped" or "hurt" where no rung differs.
        false_equivalent: any "equivalent" where each rung differs from the next by the smallest effect of interest.
        auto_false_effect, auto_false_equivalent: the same where looks decide how many seeds there are.
        power: share of true differences as large as ``stepladder plan`` calls detectable that are found.
    """

    noise: Noise
    correlation: float
    n: int
    coverage: float
    false_effect: float
    false_equivalent: float
    auto_false_effect: float
    auto_false_equivalent: float
    power: float

    def broken(self) -> list[str]:
        """Return which promises this setting breaks, in words. Beyond normal noise only the error rates are promised.

        Rates of 5 % may come out a little above in a finite simulation: 0.6 points are three standard errors of 10,000
        studies.
        """
        ceiling = ALPHA + 0.006
        found = []
        if self.noise == "normal" and not 0.94 <= self.coverage <= 0.96:
            found.append(f"coverage {self.coverage:.3f}")
        if self.noise == "normal" and abs(self.power - POWER) > 0.03:
            found.append(f"power {self.power:.3f}")
        rates = {
            "false helped or hurt": self.false_effect,
            "false equivalent": self.false_equivalent,
            "auto: false helped or hurt": self.auto_false_effect,
            "auto: false equivalent": self.auto_false_equivalent,
        }
        if self.noise != "half skewed":
            found += [f"{name} {rate:.3f}" for name, rate in rates.items() if rate > ceiling]
        return found


def simulate_verdicts(studies: int = 10_000, seed: int = 0) -> Iterator[SimulatedRates]:
    """Simulate ``studies`` studies of each setting, one setting after another."""
    for noise in NOISES:
        for correlation in CORRELATIONS:
            for n in SEEDS:
                yield _simulate_setting(
                    noise, correlation, n, studies, np.random.default_rng([seed, n, int(10 * correlation)])
                )


def _simulate_setting(
    noise: Noise, correlation: float, n: int, studies: int, random: np.random.Generator
) -> SimulatedRates:
    differences = _differences(noise, correlation, n, studies, random)
    level = ALPHA / COMPARISONS
    fixed, auto = single_look(n), declare_looks(n)
    # So large beside the noise that an interval has room to lie within it, as it must to be wrong.
    smallest = 1000.0
    at_the_edge = differences + smallest * np.array([1, -1, 1, -1, 1])[:COMPARISONS, None]
    alone = weigh(differences, ALPHA)
    sd = (2 * (1 - correlation)) ** 0.5
    detectable = detectable_difference(sd, n, level)
    assert detectable is not None
    found, _ = settle(differences + detectable, fixed, level, 0.0)
    return SimulatedRates(
        noise=noise,
        correlation=correlation,
        n=n,
        coverage=float(((alone.low <= 0) & (alone.high >= 0)).mean()),
        false_effect=_any_effect(differences, fixed, level),
        false_equivalent=_any_equivalent(at_the_edge, fixed, level, smallest),
        auto_false_effect=_any_effect(differences, auto, level),
        auto_false_equivalent=_any_equivalent(at_the_edge, auto, level, smallest),
        power=float((found == _HELPED).mean()),
    )


def _any_effect(differences: np.ndarray, looks: tuple[Look, ...], level: float) -> float:
    verdicts, _ = settle(differences, looks, level, 0.0)
    return float(((verdicts == _HELPED) | (verdicts == _HURT)).any(axis=1).mean())


def _any_equivalent(differences: np.ndarray, looks: tuple[Look, ...], level: float, smallest: float) -> float:
    # "helped" and "hurt" are right here and would keep an equivalence from being seen, so they are not asked for.
    verdicts = np.stack(
        [
            (np.abs(np.stack([evidence.low, evidence.high])) <= smallest).all(axis=0)
            for look in looks
            for evidence in [weigh(differences[..., : look.seeds], level * look.share)]
        ]
    )
    return float(verdicts.any(axis=(0, 2)).mean())


def _differences(noise: Noise, correlation: float, n: int, studies: int, random: np.random.Generator) -> np.ndarray:
    """Return differences (studies, comparisons, n) of neighboring rungs; each rung's luck has mean 0 and variance 1."""
    shared = _luck(noise != "normal", (studies, 1, n), random)
    own = np.concatenate(
        [
            _luck(noise == "skewed" or (noise == "half skewed" and rung % 2 == 1), (studies, 1, n), random)
            for rung in range(COMPARISONS + 1)
        ],
        axis=1,
    )
    rungs = correlation**0.5 * shared + (1 - correlation) ** 0.5 * own
    return np.diff(rungs, axis=1)


def _luck(skewed: bool, shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    return random.exponential(size=shape) - 1 if skewed else random.standard_normal(shape)


_HEADINGS = {
    "noise": "noise",
    "correlation": "correlation",
    "n": "n",
    "coverage": "coverage",
    "false_effect": "false effect",
    "false_equivalent": "false equivalent",
    "auto_false_effect": "auto: false effect",
    "auto_false_equivalent": "auto: false equivalent",
    "power": "power",
}


def simulate(
    *,
    studies: Annotated[int, Parameter(help="Simulated studies a setting.")] = 10_000,
    seed: Annotated[int, Parameter(help="Of the simulation's own random numbers.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Judge thousands of made-up studies whose truth is known, and hold the verdicts to their error rates."""
    if studies < 1:
        raise StudyError(f"`studies` is {studies}; it must be at least 1, and 10,000 tell 5 % from 6 %")
    console = make_console(as_json)
    broken, settings = [], []
    # GitHub's Markdown, for docs/statistics.md; wide enough to be read as it is.
    console.print(f"| {' | '.join(_HEADINGS.values())} |\n| --- |{' ---: |' * (len(_HEADINGS) - 1)}", soft_wrap=True)
    for rates in simulate_verdicts(studies, seed):
        settings.append(rates)
        console.print(f"| {' | '.join(_cells(rates))} |", soft_wrap=True)
        broken += [
            f"{rates.noise} noise, correlation {rates.correlation:g}, n = {rates.n}: {one}" for one in rates.broken()
        ]
    console.print(
        f"\nPercent of {studies:,} studies a setting, each of {COMPARISONS} comparisons on a ladder.", markup=False
    )
    console.print("\n".join(f"Broken: {one}" for one in broken) or "Every promise holds.", markup=False)
    if as_json:
        print(json.dumps([asdict(rates) for rates in settings], indent=2))
    return 1 if broken else 0


def _cells(rates: SimulatedRates) -> list[str]:
    known = [getattr(rates, field.name) for field in fields(rates)]
    return [str(known[0]), f"{known[1]:g}", str(known[2]), *(f"{100 * value:.1f}" for value in known[3:])]
