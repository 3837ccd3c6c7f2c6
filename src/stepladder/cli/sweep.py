"""``stepladder sweep``: one recipe over a grid of settings, or a search; chosen by validation alone."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import make_console, stdout_for_json
from stepladder.cli.execution import DEFAULT_EXECUTION, ExecutionOptions
from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, say_what_was_loaded
from stepladder.cli.progress import make_watch
from stepladder.cli.signals import EXIT_CODES, stopping_politely
from stepladder.cli.stopped import say_how_to_continue
from stepladder.errors import StudyError, unknown
from stepladder.report.sweep import describe_sweep, terminal_points, write_sweep
from stepladder.report.sweep.page import build_sweep_document
from stepladder.study.design.axes import parse_axes
from stepladder.study.design.plan import find_rung
from stepladder.study.design.rungs import add_techniques
from stepladder.study.files.records import SavedStudy
from stepladder.study.sweeping.proposals import hide_password
from stepladder.study.sweeping.search import run_search
from stepladder.study.sweeping.sweep import run_sweep
from stepladder.training.device import choose_compute
from stepladder.training.stop import Stopped


def sweep(
    data: Data = "digits",
    *,
    over: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            help="A key as --set has it, with its values: optimizer.lr=0.3,0.1,0.03. Several keys make a grid. With "
            "--search, a range too: optimizer.lr=0.001..0.3.",
        ),
    ] = (),
    seeds: Annotated[int, Parameter(help="Trials a point; with 1 no two points can be told apart.")] = 2,
    rung: Annotated[
        str | None, Parameter(help="Only the techniques up to this rung, as augment; all of the recipe by default.")
    ] = None,
    yes: Annotated[
        bool, Parameter(negative="", show_default=False, help="Train more than 500 trials without being asked again.")
    ] = False,
    search: Annotated[
        str | None, Parameter(help="Search instead of the grid: optuna (needs the extra search).")
    ] = None,
    trials: Annotated[int, Parameter(help="Points that the search tries, each with all its seeds.")] = 40,
    search_seed: Annotated[int, Parameter(help="Decides which points the search tries.")] = 0,
    storage: Annotated[
        str | None,
        Parameter(
            help="Where the search keeps its points: an Optuna storage URL; a SQLite file in the folder by default."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        Parameter(help="Folder of the sweep; studies/<data>-sweep-<keys> in the current folder by default."),
    ] = None,
    how: ExecutionOptions = DEFAULT_EXECUTION,
    options: TrainingOptions = DEFAULTS,
) -> int:
    """Train one recipe over a grid of settings, and say by validation where the best lies."""
    console = make_console(options.as_json)
    if search not in (None, "optuna"):
        raise StudyError(unknown("search", search, ["optuna"]))
    axes = parse_axes(over, ranges=search is not None)
    compute = choose_compute(options.device, options.precision, how.threads)
    execution = how.execution()
    images = options.load_data(console, data, skip_damaged=options.skip_damaged)
    recipe = add_techniques(options.load_recipe(images), options.register())
    recipe = recipe if rung is None else find_rung(recipe, rung).recipe
    kind = "sweep" if search is None else "search"
    name = "-".join([images.name, kind, *([rung] if rung else []), *(axis.key for axis in axes)])
    folder = out or Path("studies") / name
    shared: dict[str, Any] = {
        "changes": options.changes(),
        "seeds": seeds,
        "many": yes,
        "validation": options.validation,
        "drop_leaks": options.drop_leaks,
        "command": _command(),
    }
    say_what_was_loaded(console, images, recipe)
    compute = options.settle_precision(console, compute, recipe, images)
    watch = make_watch(console)
    told = options.watchers(console, watch, folder.absolute())
    try:
        with stopping_politely(execution.stop), stdout_for_json(options.as_json):
            if search is None:
                finished = run_sweep(images, recipe, over, folder, compute, watch=told, execution=execution, **shared)
            else:
                finished = run_search(
                    images,
                    recipe,
                    over,
                    folder,
                    compute,
                    points=trials,
                    search_seed=search_seed,
                    storage=storage,
                    watch=told,
                    execution=execution,
                    **shared,
                )
    except KeyboardInterrupt as stopped:
        watch.stop()
        reason = stopped.reason if isinstance(stopped, Stopped) else "interrupt"
        say_how_to_continue(console, folder, _command(), reason, write_sweep)
        return EXIT_CODES.get(reason, 130)
    finally:
        watch.stop()
    if not watch.ran:
        console.print("All of it was trained before; nothing to do but the report.")
    written = write_sweep(finished)
    show_sweep(console, finished)
    console.print(f"\nReport: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if options.as_json:
        print(json.dumps(sweep_document(finished), ensure_ascii=False, indent=2, allow_nan=False))
    return 1 if any(trial.result.status == "failed" for trial in finished.trials) else 0


def show_sweep(console: Console, study: SavedStudy) -> None:
    """Print a sweep's table and sentences."""
    console.print()
    console.print(terminal_points(study))
    console.print()
    for sentence in describe_sweep(study):
        console.print(sentence, markup=False)


def sweep_document(study: SavedStudy) -> dict[str, Any]:
    """Return what ``--json`` prints of a sweep."""
    return {
        "folder": str(study.folder),
        "study": study.record.model_dump(mode="json"),
        **build_sweep_document(study),
        "trials": [
            {"rung": trial.rung, "folder": str(trial.folder), **trial.result.model_dump(mode="json")}
            for trial in study.trials
        ],
    }


def _command() -> str:
    """What was typed, without the password of a storage: the command is written into files that are passed on."""
    return shlex.join(["stepladder", *map(hide_password, sys.argv[1:])])
