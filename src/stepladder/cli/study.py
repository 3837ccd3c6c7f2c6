"""``stepladder study``: every rung, several seeds, one folder, one report."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, make_console
from stepladder.cli.progress import make_watch
from stepladder.cli.rules import DEFAULT_RULES, RuleOptions
from stepladder.report import describe, terminal_effects, terminal_table, write_report
from stepladder.report.document import build_document
from stepladder.study.records import SavedStudy
from stepladder.study.run import run_study
from stepladder.study.store import load_study
from stepladder.training.device import choose_compute


def study(
    data: Data = "digits",
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder of the study; studies/<data>-<plan> in the current folder by default.")
    ] = None,
    rules: RuleOptions = DEFAULT_RULES,
    options: TrainingOptions = DEFAULTS,
) -> int:
    """Train every rung with several seeds and say what the evidence holds."""
    console = make_console(options.as_json)
    compute = choose_compute(options.device, options.precision)
    images = options.load_data(console, data)
    recipe = options.make_recipe(images)
    folder = out or Path("studies") / f"{images.name}-{rules.plan}"
    command = shlex.join(["stepladder", *sys.argv[1:]])

    height, width, channels = images.image_shape
    console.print(
        f"{images.name}: {sum(map(len, images.splits.values())):,} images of {height}×{width} pixels, "
        f"{'gray' if channels == 1 else 'color'}, {images.num_classes} classes. Recipe {recipe.name}.",
        markup=False,
    )
    for note in images.notes:
        console.print(f"  {note}", style="dim", markup=False)
    watch = make_watch(console)
    try:
        finished = run_study(
            images,
            recipe,
            folder,
            compute,
            seeds=rules.number_of_seeds(),
            plan=rules.plan,
            rules=rules.rules(),
            validation=options.validation,
            command=command,
            watch=watch,
        )
    except KeyboardInterrupt:
        watch.stop()
        _say_how_to_continue(console, folder, command)
        return 130
    finally:
        watch.stop()
    if watch.trial is None:
        console.print("All of it was trained before; nothing to do but the report.")
    written = write_report(finished)
    _show(console, finished)
    console.print(f"\nReport: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if options.as_json:
        print(json.dumps(build_document(finished), ensure_ascii=False, indent=2, allow_nan=False))
    return 1 if any(trial.result.status == "failed" for trial in finished.trials) else 0


def _show(console: Console, study: SavedStudy) -> None:
    console.print()
    console.print(terminal_table(study))
    console.print()
    if len(study.record.seeds) > 1 and not study.unread and study.record.contrasts:
        console.print(terminal_effects(study))
        console.print()
    for sentence in describe(study):
        console.print(sentence, markup=False)


def _say_how_to_continue(console: Console, folder: Path, command: str) -> None:
    if not (folder / "study.json").exists():
        console.print("\nStopped before the first trial; nothing was written.")
        return
    stopped = load_study(folder)
    console.print(
        f"\nStopped. {len(stopped.trials)} of {stopped.record.planned_trials} trials are finished and kept in "
        f"{folder}; continue with:\n  {command}",
        markup=False,
        soft_wrap=True,  # a command to copy must stay one line
    )
    write_report(stopped)
