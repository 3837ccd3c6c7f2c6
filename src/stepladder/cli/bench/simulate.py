"""``stepladder bench simulate``: do the verdicts keep their error rates?"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import Annotated

from cyclopts import Parameter

from stepladder.bench.verdicts import COMPARISONS, SimulatedRates, simulate_verdicts
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import StudyError

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
        raise StudyError(f"--studies is {studies}; it must be at least 1, and 10,000 tell 5 % from 6 %")
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
