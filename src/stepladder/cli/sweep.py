"""``stepladder sweep``: one recipe over a grid of settings, or a search; chosen by validation alone."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.cli.command_options import DEFAULT_COMMAND, CommandOptions, refuse_without_run
from stepladder.cli.console import at_work, make_console, print_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, SEARCHING
from stepladder.cli.next_step import NextStep, beside, print_next
from stepladder.cli.own_command import Given, sweep_of_command
from stepladder.cli.training_options import (
    DEFAULT_DECIDING,
    DEFAULT_EXECUTION,
    DEFAULTS,
    DecidingOptions,
    ExecutionOptions,
    OneRung,
    TrainingOptions,
)
from stepladder.errors import StudyError, unknown
from stepladder.report.document import build_document
from stepladder.report.recipe_file import same_arithmetic
from stepladder.report.terminal import print_report
from stepladder.studies.proposals import Search, hide_password
from stepladder.studies.sweep import Grid


def sweep(
    data: Data = "digits",
    *,
    over: Annotated[
        tuple[str, ...],
        Parameter(
            group=FIRST,
            negative="",
            show_default=False,
            help="A setting with its values: optimizer.lr=0.3,0.1,0.03; several settings make a grid. With --search, a "
            "range too: optimizer.lr=0.001..0.3. With --run, the name of a place in the command: lr=0.3,0.1.",
        ),
    ] = (),
    seeds: Annotated[int, Parameter(group=FIRST, help="Trials a point; with 1 no two points can be told apart.")] = 2,
    options: TrainingOptions = DEFAULTS,
    deciding: DecidingOptions = DEFAULT_DECIDING,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the sweep; studies/<data>-sweep-<keys> by default.")
    ] = None,
    rung: OneRung = None,
    yes: Annotated[
        bool,
        Parameter(group=SEARCHING, negative="", show_default=False, help="Allow more than 500 trials."),
    ] = False,
    search: Annotated[
        str | None,
        Parameter(group=SEARCHING, help="Search instead of the grid: optuna (needs the extra search)."),
    ] = None,
    trials: Annotated[
        int | None,
        Parameter(group=SEARCHING, help="Points that the search tries, each with all its seeds; 40 by default."),
    ] = None,
    search_seed: Annotated[
        int | None, Parameter(group=SEARCHING, help="Decides which points the search tries; 0 by default.")
    ] = None,
    sampler: Annotated[
        str | None,
        Parameter(
            group=SEARCHING,
            help="How the search chooses points: tpe (Parzen estimators, which learn from the points before; the "
            "default), or random.",
        ),
    ] = None,
    together: Annotated[
        int | None,
        Parameter(
            group=SEARCHING,
            help="Points that the search proposes together and trains at the same time, on --workers processes or the "
            "slots of --cluster: --together 4 --workers 4. 1 by default, which learns from every point before.",
        ),
    ] = None,
    storage: Annotated[
        str | None,
        Parameter(
            group=SEARCHING,
            help="Where the search keeps its points: an Optuna storage URL; a SQLite file in the folder by default.",
        ),
    ] = None,
    how: ExecutionOptions = DEFAULT_EXECUTION,
    program: CommandOptions = DEFAULT_COMMAND,
) -> int:
    """Train one recipe over a grid of settings, and say by validation where the best lies."""
    if search not in (None, "optuna"):
        raise StudyError(unknown("search", search, ["optuna"]))
    # Without the password of a storage: the command is written into files that are passed on.
    command = shlex.join(["stepladder", *map(hide_password, sys.argv[1:])])
    asked: Grid | Search = Grid(over, many=yes)
    if search is not None:
        usual = Search(over)
        points = usual.points if trials is None else trials
        asked = Search(
            over,
            points,
            usual.seed if search_seed is None else search_seed,
            storage,
            many=yes,
            sampler=sampler or usual.sampler,
            together=usual.together if together is None else together,
        )
    of_searches = {
        "--trials": trials,
        "--search-seed": search_seed,
        "--sampler": sampler,
        "--together": together,
        "--storage": storage,
    }
    for option, value in of_searches.items():
        if value is not None and search is None:
            raise StudyError(
                f"{option} is for a search, and this goes over a grid; leave it out, or add --search optuna"
            )
    if program.run is not None:
        others = {"data": data != "digits", "rung": rung is not None}
        given = Given(options=options, deciding=deciding, how=how, others=others)
        return sweep_of_command(program, asked, seeds, out, given, command)
    refuse_without_run(program)
    console = make_console(options.as_json)
    aside = options.aside(console)
    execution = how.execution(options, command=command)
    progress = make_progress(aside, to_flags, epochs=options.verbose)
    with at_work(console, execution, options.as_json):
        done = verbs.sweep(
            options.images(aside, data),
            asked,
            options.recipe_options(rung),
            seeds=seeds,
            out=out,
            protocol=options.protocol(deciding),
            execution=execution,
            progress=progress,
        )
    if not progress.ran:
        aside.print("All of it was trained before; nothing to do but the report.")
    print_report(console, done.findings, to_flags)
    if done.recipe is not None:
        step = NextStep(data, done.folder, options, deciding, same_arithmetic(done.findings))
        print_next(
            console,
            {
                "Study the best point": step.command("study", beside(done.folder, "study")),
                "Train it alone; seed 0 gives the bits of the sweep's": step.command(
                    "train", beside(done.folder, "model"), same_bits=True
                ),
            },
        )
    if options.as_json:
        print_json(build_document(done.findings))
    return 1 if any(trial.result.status == "failed" for trial in done.trials) else 0
