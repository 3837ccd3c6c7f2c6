"""``stepladder lr-range``: the learning-rate range test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.cli.console import at_work, make_console, print_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, RATES
from stepladder.cli.next_step import NextStep, beside, print_next
from stepladder.cli.training_options import DEFAULT_PAUSES, DEFAULTS, OneRung, Threads, TrainingOptions
from stepladder.report.lr_range import build_lr_document, describe_lr_range
from stepladder.training.lr_range import RateRange

#: Times the suggested rate: what a sweep around it goes over.
AROUND = (0.25, 0.5, 1, 2, 4)


def lr_range(
    data: Data = "digits",
    *,
    seeds: Annotated[
        int, Parameter(group=FIRST, help="Tests with different weights and order; the suggestion is their median.")
    ] = 3,
    options: TrainingOptions = DEFAULTS,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the result; studies/<data>-lr-range by default.")
    ] = None,
    rung: OneRung = None,
    low: Annotated[float, Parameter(group=RATES, help="The first learning rate.")] = 1e-5,
    high: Annotated[float, Parameter(group=RATES, help="The last one, unless the loss diverges before.")] = 10.0,
    steps: Annotated[int, Parameter(group=RATES, help="Training steps from the first to the last.")] = 300,
    threads: Threads = None,
) -> None:
    """Raise the learning rate in every step until the loss diverges, and suggest one."""
    console = make_console(options.as_json)
    aside = options.aside(console)
    execution = DEFAULT_PAUSES.execution(options, threads)
    with at_work(console, execution, options.as_json):
        found = verbs.lr_range(
            options.images(aside, data),
            options.recipe_options(rung),
            seeds=seeds,
            span=RateRange(low, high, steps),
            out=out,
            protocol=options.protocol(),
            execution=execution,
            progress=make_progress(aside, to_flags, epochs=options.verbose),
        )
    assert found.folder is not None
    for sentence in describe_lr_range(found):
        console.print(to_flags(sentence), markup=False)
    console.print(f"\nReport: {found.folder / 'lr-range.md'}", markup=False)
    recipe, n = found.suggested_recipe, found.suggested
    if recipe is not None and n is not None:
        step = NextStep(data, found.folder, options)
        around = ",".join(f"{n * factor:.2g}" for factor in AROUND)
        print_next(
            console,
            {
                "Look around it": step.command(
                    "sweep", beside(found.folder, "sweep"), "--over", f"optimizer.lr={around}"
                ),
                "Train with it": step.command("train", beside(found.folder, "model")),
            },
        )
    if options.as_json:
        print_json(build_lr_document(found))
