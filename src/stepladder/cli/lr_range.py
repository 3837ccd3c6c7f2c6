"""``stepladder lr-range``: the learning-rate range test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.cli.console import make_console, stdout_for_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, JUDGING, RECIPE
from stepladder.cli.training_options import DEFAULT_PAUSES, DEFAULTS, Threads, TrainingOptions
from stepladder.report.lr_range import build_lr_document, check_folder, describe_lr_range
from stepladder.training.lr_range import RateRange


def lr_range(
    data: Data = "digits",
    *,
    low: Annotated[float, Parameter(group=JUDGING, help="The first learning rate.")] = 1e-5,
    high: Annotated[float, Parameter(group=JUDGING, help="The last one, unless the loss diverges before.")] = 10.0,
    steps: Annotated[int, Parameter(group=JUDGING, help="Training steps from the first to the last.")] = 300,
    seeds: Annotated[
        int, Parameter(group=FIRST, help="Tests with different weights and order; the suggestion is their median.")
    ] = 3,
    rung: Annotated[
        str | None,
        Parameter(group=RECIPE, help="Only the techniques up to this rung, as augment; all of the recipe by default."),
    ] = None,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the result; studies/<data>-lr-range by default.")
    ] = None,
    threads: Threads = None,
    options: TrainingOptions = DEFAULTS,
) -> None:
    """Raise the learning rate in every step until the loss diverges, and suggest one."""
    console = make_console(options.as_json)
    span = RateRange(low, high, steps)
    recipe = options.recipe_options(rung)
    images = options.load_images(console, data)
    folder = out or Path("studies") / f"{images.name}{recipe.label()}-lr-range"
    check_folder(folder)
    with stdout_for_json(options.as_json):
        found = verbs.lr_range(
            images,
            recipe,
            seeds=seeds,
            span=span,
            out=folder,
            protocol=options.protocol(),
            execution=DEFAULT_PAUSES.execution(options, threads),
            progress=make_progress(console, to_flags),
        )
    for sentence in describe_lr_range(found):
        console.print(to_flags(sentence), markup=False)
    console.print(f"\nReport: {folder / 'lr-range.md'}", markup=False)
    if options.as_json:
        print(json.dumps(build_lr_document(found), ensure_ascii=False, indent=2, allow_nan=False))
