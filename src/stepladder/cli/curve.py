"""``stepladder curve``: would more images help?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.cli.console import at_work, make_console, print_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST
from stepladder.cli.training_options import (
    DEFAULT_DECIDING,
    DEFAULT_EXECUTION,
    DEFAULTS,
    DecidingOptions,
    ExecutionOptions,
    TrainingOptions,
)
from stepladder.report.document import build_document
from stepladder.report.terminal import print_report
from stepladder.studies.curve import Budget


def curve(
    data: Data = "digits",
    *,
    seeds: Annotated[int, Parameter(group=FIRST, help="Trials a size.")] = 3,
    budget: Annotated[
        Budget,
        Parameter(
            group=FIRST,
            help="What every size has as much of as the largest; small ones have fewer steps in as many epochs.",
        ),
    ] = "epochs",
    options: TrainingOptions = DEFAULTS,
    deciding: DecidingOptions = DEFAULT_DECIDING,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the curve; studies/<data>-curve by default.")
    ] = None,
    how: ExecutionOptions = DEFAULT_EXECUTION,
) -> int:
    """Train one recipe on 10, 20, 50 and 100 % of the training images and say what twice as many would bring."""
    console = make_console(options.as_json)
    aside = options.aside(console)
    execution = how.execution(options)
    progress = make_progress(aside, to_flags, epochs=options.verbose)
    with at_work(console, execution, options.as_json):
        done = verbs.curve(
            options.images(aside, data),
            options.recipe_options(),
            budget=budget,
            seeds=seeds,
            out=out,
            protocol=options.protocol(deciding),
            execution=execution,
            progress=progress,
        )
    if not progress.ran:
        aside.print("All of it was trained before; nothing to do but the report.")
    print_report(console, done.findings, to_flags)
    if options.as_json:
        print_json(build_document(done.findings))
    return 1 if any(trial.result.status == "failed" for trial in done.trials) else 0
