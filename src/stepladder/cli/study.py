"""``stepladder study``: every rung, several seeds, one folder, one report."""

from __future__ import annotations

import json
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder import report
from stepladder.cli.baseline_progress import make_baseline_watch
from stepladder.cli.console import make_console, stdout_for_json
from stepladder.cli.execution import DEFAULT_EXECUTION, ExecutionOptions
from stepladder.cli.live_page import LivePage
from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, say_what_was_loaded
from stepladder.cli.progress import make_watch
from stepladder.cli.rules import DEFAULT_RULES, RuleOptions
from stepladder.cli.signals import EXIT_CODES, stopping_politely
from stepladder.cli.stopped import say_how_to_continue
from stepladder.data import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.report.document import build_document
from stepladder.study.baseline import add_baseline
from stepladder.study.design.plan import Rung
from stepladder.study.design.rungs import make_rungs, parse_rung, read_study_file
from stepladder.study.files.records import SavedStudy
from stepladder.study.run import run_study
from stepladder.training.device import choose_compute
from stepladder.training.stop import Stopped


def study(
    data: Data = "digits",
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder of the study; studies/<data>-<plan> in the current folder by default.")
    ] = None,
    rung: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Rungs of your own, from below: NAME:technique,technique; +NAME adds to the rung below.",
        ),
    ] = (),
    file: Annotated[Path | None, Parameter(help="Rungs and settings from a study file in TOML.")] = None,
    with_baseline: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Add a bag of words with a linear SVM, which is no network, as a row below the first rung.",
        ),
    ] = False,
    rules: RuleOptions = DEFAULT_RULES,
    how: ExecutionOptions = DEFAULT_EXECUTION,
    options: TrainingOptions = DEFAULTS,
) -> int:
    """Train every rung with several seeds and say what the evidence holds."""
    console = make_console(options.as_json)
    compute = choose_compute(options.device, options.precision, how.threads)
    execution = how.execution()
    images = options.load_data(console, data, skip_damaged=options.skip_damaged)
    recipe, rungs = _make_plan(options, images, rung, file)
    folder = (
        out or Path("studies") / f"{images.name}{options.network_label()}-{_short_name(rungs) if rungs else rules.plan}"
    )
    command = shlex.join(["stepladder", *sys.argv[1:]])

    say_what_was_loaded(console, images, recipe)
    compute = options.settle_precision(console, compute, recipe, images)
    watch = make_watch(console)
    watch.page = LivePage(folder.absolute())  # a technique of the user's own may go elsewhere
    told = options.watchers(console, watch, folder.absolute())
    # Until the reason is said: the second signal of an impatient user may come when the first has done its work.
    polite = ExitStack()
    polite.enter_context(stopping_politely(execution.stop))
    try:
        with stdout_for_json(options.as_json):
            finished = run_study(
                images,
                recipe,
                folder,
                compute,
                seeds=rules.number_of_seeds(),
                plan=rules.plan,
                rules=rules.rules(),
                rungs=rungs,
                validation=options.validation,
                drop_leaks=options.drop_leaks,
                command=command,
                watch=told,
                execution=execution,
            )
            if with_baseline:
                baseline_watch = make_baseline_watch(console, looked=True)
                finished = add_baseline(finished, images, drop_leaks=options.drop_leaks, watch=baseline_watch)
    except KeyboardInterrupt as stopped:
        watch.stop()
        reason = stopped.reason if isinstance(stopped, Stopped) else "interrupt"
        say_how_to_continue(console, folder, command, reason, report.write_report)
        return EXIT_CODES.get(reason, 130)
    finally:
        watch.stop()
        polite.close()
    if not watch.ran:
        console.print("All of it was trained before; nothing to do but the report.")
    written = report.write_report(finished)
    _show(console, finished)
    console.print(f"\nReport: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if options.as_json:
        print(json.dumps(build_document(finished), ensure_ascii=False, indent=2, allow_nan=False))
    return 1 if any(trial.result.status == "failed" for trial in finished.trials) else 0


def _make_plan(
    options: TrainingOptions, images: ImageSet, written: tuple[str, ...], file: Path | None
) -> tuple[Recipe, tuple[Rung, ...] | None]:
    """Return the recipe, and the rungs where the user wrote them."""
    if not written and file is None:
        return options.make_recipe(images), None
    if written and file is not None:
        raise StudyError("rungs are given twice, with --rung and with --file; give them once")
    added = options.register()  # before the file, which may name them
    study_file = None if file is None else read_study_file(file)
    recipe = options.load_recipe(images, otherwise=study_file.recipe if study_file else None)
    specs = [parse_rung(text, recipe) for text in written] if study_file is None else list(study_file.rungs)
    listed = {setting.name for spec in specs for setting in spec.techniques}
    specs += [parse_rung(f"+{name}:{name}", recipe) for name in added if name not in listed]
    changes = {**(study_file.settings if study_file else {}), **options.changes()}
    rungs = make_rungs(specs, recipe, changes)
    return rungs[-1].recipe, rungs


def _short_name(rungs: tuple[Rung, ...]) -> str:
    """What such a study's folder is called: its rungs, as far as 60 letters go."""
    return "-".join(rung.name.replace(" ", "_") for rung in rungs)[:60].rstrip("-.")


def _show(console: Console, study: SavedStudy) -> None:
    console.print()
    console.print(report.terminal_table(study))
    console.print()
    if len(study.record.seeds) > 1 and not study.unread and study.record.contrasts:
        console.print(report.terminal_effects(study))
        console.print()
    for sentence in report.describe(study):
        console.print(sentence, markup=False)
