"""``stepladder lr-range``: the learning-rate range test."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import make_console, stdout_for_json
from stepladder.cli.execution import Threads
from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, say_what_was_loaded
from stepladder.cli.progress import make_watch
from stepladder.errors import RecipeError
from stepladder.report.lr_range import build_lr_document, check_folder, describe_lr_range, write_lr_range
from stepladder.study.design.plan import find_rung
from stepladder.study.lr_range import run_lr_range
from stepladder.training.device import choose_compute


def lr_range(
    data: Data = "digits",
    *,
    low: Annotated[float, Parameter(help="The first learning rate.")] = 1e-5,
    high: Annotated[float, Parameter(help="The last one, unless the loss diverges before.")] = 10.0,
    steps: Annotated[int, Parameter(help="Training steps from the first to the last.")] = 300,
    seeds: Annotated[
        int, Parameter(help="Tests with different weights and order; the suggestion is their median.")
    ] = 3,
    rung: Annotated[
        str | None, Parameter(help="Only the techniques up to this rung, as augment; all of the recipe by default.")
    ] = None,
    out: Annotated[Path | None, Parameter(help="Folder of the result; studies/<data>-lr-range by default.")] = None,
    threads: Threads = None,
    options: TrainingOptions = DEFAULTS,
) -> None:
    """Raise the learning rate in every step until the loss diverges, and suggest one."""
    console = make_console(options.as_json)
    compute = choose_compute(options.device, options.precision, threads)
    images = options.load_data(console, data, skip_damaged=options.skip_damaged)
    if options.epochs is not None:
        raise RecipeError("--epochs is no budget of this test, which ends after --steps; leave it out")
    if options.track:
        raise RecipeError("--track is for trials, and this test trains none to its end; leave it out")
    recipe = options.make_recipe(images)
    recipe = recipe if rung is None else find_rung(recipe, rung).recipe
    folder = out or Path("studies") / f"{images.name}{options.network_label()}-lr-range"
    check_folder(folder)
    say_what_was_loaded(console, images, recipe)
    compute = options.settle_precision(console, compute, recipe, images)
    with stdout_for_json(options.as_json):
        found = run_lr_range(
            images,
            recipe,
            compute,
            seeds=seeds,
            low=low,
            high=high,
            steps=steps,
            validation=options.validation,
            drop_leaks=options.drop_leaks,
            watch=make_watch(console),
        )
    written = write_lr_range(found, folder, shlex.join(["stepladder", *sys.argv[1:]]))
    for sentence in describe_lr_range(found):
        console.print(sentence, markup=False)
    console.print(f"\nReport: {written[0]}", markup=False)
    if options.as_json:
        print(json.dumps(build_lr_document(found), ensure_ascii=False, indent=2, allow_nan=False))
