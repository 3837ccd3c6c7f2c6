"""``stepladder curve``: would more images help?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.cli.command_options import DEFAULT_COMMAND, CommandOptions, refuse_without_run
from stepladder.cli.console import at_work, make_console, print_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import COMMAND, FIRST
from stepladder.cli.own_command import Given, curve_of_command
from stepladder.cli.training_options import (
    DEFAULT_DECIDING,
    DEFAULT_EXECUTION,
    DEFAULTS,
    DecidingOptions,
    ExecutionOptions,
    TrainingOptions,
)
from stepladder.errors import StudyError
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
    fractions: Annotated[
        str | None,
        Parameter(
            group=COMMAND, help="What {fraction} is, run after run: of the training images; 0.1,0.2,0.5,1 by default."
        ),
    ] = None,
    how: ExecutionOptions = DEFAULT_EXECUTION,
    command: CommandOptions = DEFAULT_COMMAND,
) -> int:
    """Train one recipe on 10, 20, 50 and 100 % of the training images and say what twice as many would bring."""
    if command.run is not None:
        others = {"data": data != "digits", "budget": budget != "epochs"}
        return curve_of_command(
            command, fractions, seeds, out, Given(options=options, deciding=deciding, how=how, others=others)
        )
    refuse_without_run(command)
    if fractions is not None:
        raise StudyError("--fractions is for a program of your own; name it with --run")
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
