"""``stepladder train``: one recipe, one seed, one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import make_console, stdout_for_json
from stepladder.cli.execution import DEFAULT_PAUSES, PauseOptions, Threads
from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, say_what_was_loaded
from stepladder.cli.progress import make_watch
from stepladder.cli.signals import EXIT_CODES, stopping_politely
from stepladder.cli.stopped import why_stopped
from stepladder.report.units import count, duration, percent
from stepladder.study.design.plan import find_rung
from stepladder.study.running.trial import train_model
from stepladder.training.device import choose_compute
from stepladder.training.stop import Stopped


def train(
    data: Data = "digits",
    *,
    rung: Annotated[
        str | None, Parameter(help="Only the techniques up to this rung, as augment; all of the recipe by default.")
    ] = None,
    seed: Annotated[int, Parameter(help="Decides initial weights, order of the images and augmentation.")] = 0,
    out: Annotated[
        Path | None, Parameter(help="Folder of the result; trials/<data>-<recipe>-seed<N> by default.")
    ] = None,
    test: Annotated[
        bool,
        Parameter(
            help="Read test at the end. While settings are being tuned it should stay unread: it would choose them."
        ),
    ] = True,
    threads: Threads = None,
    pauses: PauseOptions = DEFAULT_PAUSES,
    options: TrainingOptions = DEFAULTS,
) -> int:
    """Train one recipe, with all its techniques, and leave a model folder."""
    console = make_console(options.as_json)
    compute = choose_compute(options.device, options.precision, threads)
    execution = pauses.execution()
    images = options.load_data(console, data, skip_damaged=options.skip_damaged)
    recipe = options.make_recipe(images)
    if rung is not None:
        recipe = find_rung(recipe, rung).recipe
    say_what_was_loaded(console, images, recipe)
    compute = options.settle_precision(console, compute, recipe, images)
    folder = out or Path("trials") / "-".join([images.name, recipe.name, *([rung] if rung else []), f"seed{seed}"])
    watch = make_watch(console)
    told = options.watchers(console, watch, folder.absolute())
    try:
        with stopping_politely(execution.stop), stdout_for_json(options.as_json):
            result = train_model(
                images,
                recipe,
                folder,
                compute,
                seed=seed,
                validation=options.validation,
                drop_leaks=options.drop_leaks,
                test=test,
                watch=told,
                execution=execution,
            )
    except KeyboardInterrupt as stopped:
        watch.stop()
        reason = stopped.reason if isinstance(stopped, Stopped) else "interrupt"
        console.print(f"\n{why_stopped(reason)}; the same command goes on from the checkpoint.")
        return EXIT_CODES[reason]
    finally:
        watch.stop()
    if not watch.ran:
        console.print("This was trained before; nothing to do.")
    if options.as_json:
        print(json.dumps({"folder": str(folder), **result.model_dump(mode="json")}, ensure_ascii=False, indent=2))
    if result.status == "failed":
        console.print(f"Failed: {result.failure}", markup=False)
        return 1
    split, accuracy = ("Test", result.test_accuracy) if test else ("Validation", result.val_accuracy)
    assert accuracy is not None
    console.print(
        f"{split} accuracy {percent(accuracy)} after {count(result.epochs, 'epoch')} in {duration(result.seconds)} "
        "(one seed; run a study to see the spread).",
        markup=False,
    )
    if result.test_accuracy is None:
        console.print("Test is unread; the same command without --no-test reads it.")
    console.print(f"Model: {folder / 'model'}", markup=False)
    return 0
