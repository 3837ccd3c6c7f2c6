"""``stepladder baseline``: what the same images give without a network."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.baselines.settings import check_descriptor
from stepladder.cli.baseline_progress import make_baseline_watch
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.data_options import Data, DataOptions
from stepladder.report.baseline import baseline_document, describe_baseline_alone, terminal_baseline
from stepladder.study.baseline import run_baseline

_DEFAULTS = DataOptions()


def baseline(
    data: Data = "digits",
    *,
    descriptor: Annotated[
        str,
        Parameter(help="patches (whitened, after Coates, Lee and Ng 2011), or sift (takes the extra 'baseline')."),
    ] = "patches",
    words: Annotated[
        int | None, Parameter(help="Words of the vocabulary; 800 of patches or 400 of SIFT by default.")
    ] = None,
    seeds: Annotated[int, Parameter(help="How often all is fitted, each time with a vocabulary drawn anew.")] = 3,
    validation: Annotated[
        float,
        Parameter(help="Share of the training images that C is chosen on; 0 fits on all, C chosen on a tenth of them."),
    ] = 0.1,
    skip_damaged: Annotated[
        bool, Parameter(negative="", show_default=False, help="Leave images that cannot be read out, and say so.")
    ] = False,
    drop_leaks: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Take training images out that are copies of test or validation images, and say so.",
        ),
    ] = False,
    out: Annotated[
        Path | None, Parameter(help="Folder of the result; baselines/<data>-<descriptor> by default.")
    ] = None,
    options: DataOptions = _DEFAULTS,
    as_json: AsJson = False,
) -> int:
    """Fit a bag of visual words and a linear SVM, and say how often it is right."""
    console = make_console(as_json)
    check_descriptor(descriptor)  # before images are read for minutes
    images = options.load_data(console, data, skip_damaged=skip_damaged)
    for note in images.notes:
        console.print(f"  {note}", style="dim", markup=False)
    folder = out or Path("baselines") / f"{images.name}-{descriptor}"
    command = shlex.join(["stepladder", *sys.argv[1:]])
    watch = make_baseline_watch(console)
    try:
        found = run_baseline(
            images,
            folder,
            descriptor=descriptor,
            words=words,
            seeds=seeds,
            validation=validation,
            drop_leaks=drop_leaks,
            command=command,
            watch=watch,
        )
    except KeyboardInterrupt:
        watch.stop()
        console.print(
            f"\nStopped; the same command goes on from the seeds that are finished:\n  {command}",
            markup=False,
            soft_wrap=True,
        )
        return 130
    finally:
        watch.stop()
    console.print()
    console.print(terminal_baseline(found))
    console.print()
    for sentence in describe_baseline_alone(found):
        console.print(sentence, markup=False)
    console.print(f"\nResult: {folder}", markup=False)
    if as_json:
        print(json.dumps(baseline_document(found), ensure_ascii=False, indent=2, allow_nan=False))
    return 0
