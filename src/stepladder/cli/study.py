"""``stepladder study``, every rung with several seeds, and ``stepladder plan``, what that would take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_bag_progress, make_progress
from stepladder.cli.command_options import (
    DEFAULT_COMMAND,
    DEFAULT_PROGRAM,
    CommandOptions,
    ProgramOptions,
    refuse_without_run,
)
from stepladder.cli.console import at_work, make_console, print_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, JUDGING, RECIPE
from stepladder.cli.next_step import command_of_all_images, print_next
from stepladder.cli.own_command import Given, plan_of_command, study_of_command
from stepladder.cli.training_options import (
    DEFAULT_DECIDING,
    DEFAULT_EXECUTION,
    DEFAULT_RULES,
    DEFAULTS,
    Cluster,
    DecidingOptions,
    ExecutionOptions,
    RuleOptions,
    TrainingOptions,
)
from stepladder.errors import StudyError
from stepladder.report.document import build_document
from stepladder.report.terminal import describe_forecast, print_report
from stepladder.report.units import Scale
from stepladder.studies.design.recipes import AnyPlan, RungPlan
from stepladder.training.metrics import find_kind
from stepladder.training.unit import Unit

OwnRungs = Annotated[
    tuple[str, ...],
    Parameter(
        group=RECIPE,
        negative="",
        show_default=False,
        help="A rung of your own, from below: NAME:technique,technique; +NAME adds to the rung below. With --run, "
        "NAME:ARGUMENTS.",
    ),
]
StudyFile = Annotated[Path | None, Parameter(group=RECIPE, help="Rungs and settings from a study file in TOML.")]


def study(
    data: Data = "digits",
    *,
    rules: RuleOptions = DEFAULT_RULES,
    options: TrainingOptions = DEFAULTS,
    deciding: DecidingOptions = DEFAULT_DECIDING,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the study; studies/<data>-<plan> by default.")
    ] = None,
    rung: OwnRungs = (),
    file: StudyFile = None,
    with_bag_of_words: Annotated[
        bool,
        Parameter(
            group=JUDGING,
            negative="",
            show_default=False,
            help="Add a row for a bag of words with a linear SVM: what the images give without a network.",
        ),
    ] = False,
    how: ExecutionOptions = DEFAULT_EXECUTION,
    command: CommandOptions = DEFAULT_COMMAND,
) -> int:
    """Train every rung with several seeds and say what the evidence holds."""
    if command.run is not None:
        others = {"data": data != "digits", "file": file is not None, "with_bag_of_words": with_bag_of_words}
        return study_of_command(command, rung, out, Given(rules, options, deciding, how, others))
    refuse_without_run(command)
    console = make_console(options.as_json)
    aside = options.aside(console)
    if with_bag_of_words and rules.resplit:  # before hours of training, as the library says it after them
        raise StudyError(
            "--resplit draws other test images for each seed, and --with-bag-of-words has one split; leave one of the "
            "two out"
        )
    execution = how.execution(options)
    asked, images = _plan(rules, rung, file), options.images(aside, data)
    progress = make_progress(aside, to_flags, epochs=options.verbose)
    with at_work(console, execution, options.as_json):
        done = verbs.study(
            images,
            options.recipe_options(),
            plan=asked,
            seeds=rules.number_of_seeds(),
            out=out,
            rules=rules.rules(options, deciding),
            execution=execution,
            progress=progress,
        )
        if with_bag_of_words:
            bag = make_bag_progress(aside, to_flags, said=True, steps=options.verbose)
            done = verbs.add_bag(done, images, drop_leaks=options.drop_leaks, cluster=how.cluster, progress=bag)
    if not progress.ran:
        aside.print("All of it was trained before; nothing to do but the report.")
    print_report(console, done.findings, to_flags)
    if done.findings.choice.rung is not None:
        keep = command_of_all_images(data, done.folder, options)
        print_next(console, {"A model of every image, by the recommended recipe": keep})
    if options.as_json:
        print_json(build_document(done.findings))
    return 1 if any(trial.result.status == "failed" for trial in done.trials) else 0


def plan(
    data: Data = "digits",
    *,
    rules: RuleOptions = DEFAULT_RULES,
    options: TrainingOptions = DEFAULTS,
    deciding: DecidingOptions = DEFAULT_DECIDING,
    sd: Annotated[
        float | None,
        Parameter(
            group=JUDGING,
            help="Standard deviation, over seeds, of the difference between two rungs, in points (nats for nll).",
        ),
    ] = None,
    pilot: Annotated[Path | None, Parameter(group=JUDGING, help="Take it from this study's folder instead.")] = None,
    rung: OwnRungs = (),
    file: StudyFile = None,
    cluster: Cluster = None,
    program: ProgramOptions = DEFAULT_PROGRAM,
) -> None:
    """Print what a study would run, for how long, and the smallest difference that it could find; run nothing."""
    if sd is not None and pilot is not None:
        raise StudyError("--sd and --pilot both give the standard deviation; give one of them")
    if program.run is not None:
        others = {"data": data != "digits", "file": file is not None, "cluster": cluster is not None}
        plan_of_command(program, rung, sd, pilot, Given(rules, options, deciding, others=others))
        return
    refuse_without_run(program)
    console = make_console(options.as_json)
    aside = options.aside(console)
    unit = find_kind(deciding.metric).unit
    share = unit is Unit.SHARE
    if sd is not None and not 0 < sd < float("inf"):
        raise StudyError(f"--sd is {sd:g}; it must be above 0, in {Scale(unit).step}")
    spread = sd / 100 if sd is not None and share else sd
    execution = replace(DEFAULT_EXECUTION, cluster=cluster).execution(options)
    asked = _plan(rules, rung, file)
    with at_work(console, execution, options.as_json):
        forecast = verbs.plan(
            options.images(aside, data),
            options.recipe_options(),
            plan=asked,
            seeds=rules.number_of_seeds(),
            spread=spread if pilot is None else pilot,
            rules=rules.rules(options, deciding),
            execution=execution,
            progress=make_progress(aside, to_flags, epochs=options.verbose),
        )
    for sentence in describe_forecast(forecast):
        console.print(to_flags(sentence), markup=False)
    if options.as_json:
        print_json(forecast.to_document())


def _plan(rules: RuleOptions, rungs: tuple[str, ...], file: Path | None) -> AnyPlan:
    """Return what the user wants to compare: a plan of the recipe's techniques, or of rungs of their own."""
    if rungs and file is not None:
        raise StudyError("rungs are given twice, with --rung and with --file; give them once")
    own = file if file is not None else rungs
    return RungPlan(own, rules.plan) if own else rules.plan
