"""``stepladder lr-range``: the learning-rate range test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.cli.console import at_work, make_console
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, RATES
from stepladder.cli.training_options import DEFAULT_PAUSES, DEFAULTS, OneRung, Threads, TrainingOptions
from stepladder.report.lr_range import build_lr_document, describe_lr_range
from stepladder.training.lr_range import RateRange


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
    execution = DEFAULT_PAUSES.execution(options, threads)
    with at_work(console, execution, options.as_json):
        found = verbs.lr_range(
            options.images(console, data),
            options.recipe_options(rung),
            seeds=seeds,
            span=RateRange(low, high, steps),
            out=out,
            protocol=options.protocol(),
            execution=execution,
            progress=make_progress(console, to_flags),
        )
    assert found.folder is not None
    for sentence in describe_lr_range(found):
        console.print(to_flags(sentence), markup=False)
    console.print(f"\nReport: {found.folder / 'lr-range.md'}", markup=False)
    if options.as_json:
        print(json.dumps(build_lr_document(found), ensure_ascii=False, indent=2, allow_nan=False))
