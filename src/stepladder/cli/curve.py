"""``stepladder curve``: would more images help?"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import make_console, stdout_for_json
from stepladder.cli.execution import DEFAULT_EXECUTION, ExecutionOptions
from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, say_what_was_loaded
from stepladder.cli.progress import make_watch
from stepladder.cli.signals import EXIT_CODES, stopping_politely
from stepladder.cli.stopped import why_stopped
from stepladder.report.size_curve import describe_sizes, write_sizes
from stepladder.study.curve import run_curve
from stepladder.training.device import choose_compute
from stepladder.training.stop import Stopped


def curve(
    data: Data = "digits",
    *,
    seeds: Annotated[int, Parameter(help="Trials a size.")] = 3,
    out: Annotated[Path | None, Parameter(help="Folder of the result; studies/<data>-curve by default.")] = None,
    how: ExecutionOptions = DEFAULT_EXECUTION,
    options: TrainingOptions = DEFAULTS,
) -> int:
    """Train one recipe on 10, 20, 50 and 100 % of the training images and say what twice as many would bring."""
    console = make_console(options.as_json)
    compute = choose_compute(options.device, options.precision, how.threads)
    execution = how.execution()
    images = options.load_data(console, data, skip_damaged=options.skip_damaged)
    recipe = options.make_recipe(images)
    say_what_was_loaded(console, images, recipe)
    compute = options.settle_precision(console, compute, recipe, images)
    folder = out or Path("studies") / f"{images.name}-curve"
    command = shlex.join(["stepladder", *sys.argv[1:]])
    watch = make_watch(console)
    told = options.watchers(console, watch, folder)
    try:
        with stopping_politely(execution.stop), stdout_for_json(options.as_json):
            done = run_curve(
                images,
                recipe,
                folder,
                compute,
                seeds=seeds,
                validation=options.validation,
                drop_leaks=options.drop_leaks,
                command=command,
                watch=told,
                execution=execution,
            )
    except KeyboardInterrupt as stopped:
        watch.stop()
        reason = stopped.reason if isinstance(stopped, Stopped) else "interrupt"
        console.print(f"\n{why_stopped(reason)}; the same command goes on:\n  {command}", markup=False, soft_wrap=True)
        return EXIT_CODES[reason]
    finally:
        watch.stop()
    if not watch.ran:
        console.print("All of it was trained before; nothing to do but the report.")
    written = write_sizes(done)
    for sentence in describe_sizes(done):
        console.print(sentence, markup=False)
    console.print(f"\nReport: {written[0]}", markup=False)
    if options.as_json:
        document = {
            "folder": str(folder),
            "curve": done.record.model_dump(mode="json"),
            "sizes": [asdict(size) for size in done.sizes],
            "power_law": asdict(done.law),
        }
        print(json.dumps(document, ensure_ascii=False, indent=2))
    return 1 if any(size.failed for size in done.sizes) else 0
