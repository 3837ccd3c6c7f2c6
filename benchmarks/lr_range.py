"""Is what ``stepladder lr-range`` suggests near the best learning rate of a sweep?"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Annotated, Literal

from cyclopts import Parameter

from stepladder.cli.bench import at_least_one, finish, progress_of, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.datasets import Splits, load_image_set, make_splits
from stepladder.errors import DataError
from stepladder.recipe import Recipe, change_settings
from stepladder.report.units import UNDEFINED, count, hundredths
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.design.rules import Protocol
from stepladder.studies.lr_range import LrRange, run_lr_range
from stepladder.studies.running.execution import Execution
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute, choose_compute
from stepladder.training.loop import train_network
from stepladder.training.lr_range import RateRange

#: A suggestion holds within this factor of the best rate; rates are tried in steps of it.
FACTOR = 2.0


@dataclass(frozen=True)
class Tried:
    """One learning rate, trained.

    Attributes:
        scores: accuracy on the images held out, a fraction, a seed each; of a diverged training that of guessing.
    """

    rate: float
    scores: list[float]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return fmean(self.scores)


@dataclass(frozen=True)
class Held:
    """A suggestion beside a sweep.

    Attributes:
        best: the rate with the highest mean.
        as_good: rates in a row around it whose mean is within a standard error of the best one's, the best among them.
    """

    suggested: float | None
    best: float
    as_good: list[float]

    @property
    def ratio(self) -> float | None:
        """How many times the best rate the suggestion is; None where none was made."""
        return None if self.suggested is None else self.suggested / self.best

    @property
    def verdict(self) -> Literal["holds", "cannot tell", "misses"]:
        """Whether the suggestion is within :data:`FACTOR` of the best rate, but for its rounding to two digits."""
        if self.ratio is None:
            return "cannot tell"
        return "holds" if abs(math.log(self.ratio)) <= math.log(1.05 * FACTOR) else "misses"


def rates_between(low: float, high: float) -> list[float]:
    """Return rates from ``low`` to ``high`` in steps of :data:`FACTOR`."""
    return [low * FACTOR**step for step in range(1 + round(math.log(high / low, FACTOR)))]


def try_rate(
    recipe: Recipe, rate: float, splits: Splits, classes: int, seeds: int, compute: Compute, done: Callable[[], None]
) -> Tried:
    """Train ``recipe`` at ``rate`` with each seed, and score it on the validation images."""
    assert splits.validation is not None
    changed = change_settings(recipe, {"optimizer.lr": repr(rate)})
    images, scores = TrainingData(splits.train, splits.validation, classes), []
    for seed in range(seeds):
        trained = train_network(changed, images, seed, compute)
        accuracy = trained.history[-1].val_accuracy if trained.history else None
        scores.append(1 / classes if trained.failure or accuracy is None else accuracy)
        done()
    return Tried(rate, scores)


def hold_against(suggested: float | None, tried: Sequence[Tried]) -> Held:
    """Return the suggestion beside the best of the rates that were tried, which ascend."""
    place = max(range(len(tried)), key=lambda at: tried[at].mean)
    best = tried[place]
    spreads = [stdev(one.scores) ** 2 for one in tried if len(one.scores) > 1]
    error = math.sqrt(2 * fmean(spreads) / len(best.scores)) if spreads else 0.0
    first = last = place
    while first and best.mean - tried[first - 1].mean <= error:
        first -= 1
    while last + 1 < len(tried) and best.mean - tried[last + 1].mean <= error:
        last += 1
    return Held(suggested, best.rate, [one.rate for one in tried[first : last + 1]])


def lr_range(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "digits",
    *,
    recipe: Annotated[str, Parameter(help="auto chooses as study does.")] = "auto",
    network: Annotated[str | None, Parameter(help="In place of the recipe's own.")] = None,
    rung: Annotated[str | None, Parameter(help="Leave out all rungs above this one.")] = None,
    settings: Annotated[tuple[str, ...], Parameter(name="--set", negative="", help="A setting, as KEY=VALUE.")] = (),
    limit: Annotated[int | None, Parameter(help="Use only the first N images a class of each split.")] = None,
    size: Annotated[int | None, Parameter(help="Resize every image to N×N pixels.")] = None,
    validation: Annotated[float, Parameter(help="Share of the training images that is held out and scores.")] = 0.3,
    seeds: Annotated[int, Parameter(help="Of every rate.")] = 2,
    tests: Annotated[int, Parameter(help="Seeds of the range test.")] = 3,
    low: Annotated[float, Parameter(help="The lowest rate that is trained.")] = 0.0125,
    high: Annotated[float, Parameter(help="The highest one; between them each is twice the one before.")] = 1.6,
    as_json: AsJson = False,
) -> int:
    """Hold what lr-range suggests against a sweep: within a factor of two of the best rate, or it says nothing."""
    at_least_one(seeds=seeds, tests=tests)
    if not 0 < low < high < math.inf:
        raise DataError(f"`low` is {low:g} and `high` is {high:g}; the rates must rise from above 0")
    console = make_console(as_json)
    compute = choose_compute("cpu", "float32", threads=1)
    options = RecipeOptions(recipe, network, settings=dict(one.split("=", 1) for one in settings), rung=rung)
    images = load_image_set(data, limit=limit, size=size or options.default_size())
    made = options.make(images)
    splits = make_splits(images, validation)
    span, rates = RateRange(), rates_between(low, high)
    found = run_lr_range(
        images,
        made,
        seeds=tests,
        span=span,
        protocol=Protocol(validation),
        execution=Execution("cpu", "float32", threads=1),
    )
    with progress_of(console, len(rates) * seeds) as advance:
        tried = [try_rate(made, rate, splits, images.num_classes, seeds, compute, advance) for rate in rates]
    held = hold_against(found.suggested, tried)

    table = table_of("learning rate", "validation, %", "sd", "times the suggestion")
    for one in tried:
        sd = hundredths(stdev(one.scores)) if seeds > 1 else UNDEFINED
        times = UNDEFINED if held.suggested is None else f"{one.rate / held.suggested:.2g}"
        mark = " best" if one.rate == held.best else " as good" if one.rate in held.as_good else ""
        table.add_row(f"{one.rate:.4g}{mark}", hundredths(one.mean), sd, times)
    console.print(table)
    console.print()
    finish(
        console, _words(data, made, splits, found, held, seeds), compute, _document(made, found, held, tried, as_json)
    )
    return 1 if held.verdict == "misses" else 0


def _words(data: str, made: Recipe, splits: Splits, found: LrRange, held: Held, seeds: int) -> str:
    assert splits.validation is not None
    each = ", ".join(f"{one:.2g}" for one in found.suggestions)
    said = f"none is suggested (the seeds say {each or 'nothing'})"
    if held.suggested is not None:
        said = f"suggested: {held.suggested:g} ({each} by seed), {held.ratio:.2g} times the best"
    techniques = ", ".join(setting.name for setting in made.techniques) or "no techniques"
    return (
        f"{data}, {count(len(splits.train), 'training image')}, {len(splits.validation):,} held out; recipe "
        f"{made.name} ({techniques}), {made.optimizer.name}, batches of {made.batch_size}, "
        f"{count(made.epochs, 'epoch')}; {count(seeds, 'seed')} a rate, range test of {found.span.steps} steps and "
        f"{count(len(found.tests), 'seed')}. Best rate: {held.best:.4g}; {said}. Verdict: {held.verdict}."
    )


def _document(
    made: Recipe, found: LrRange, held: Held, tried: Sequence[Tried], as_json: bool
) -> dict[str, object] | None:
    if not as_json:
        return None
    return {
        "recipe": made.to_table(),
        "verdict": held.verdict,
        "held": held,
        "suggestions": list(found.suggestions),
        "tried": list(tried),
    }
