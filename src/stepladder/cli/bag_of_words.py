"""``stepladder bag-of-words``: what the same images give without a network."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.job import ImagesToLoad
from stepladder.api.progress import make_bag_progress
from stepladder.cli.console import AsJson, Quiet, Verbose, make_aside, make_console, print_json, typed_command
from stepladder.cli.data_options import Data, DataOptions
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, IMAGES
from stepladder.cli.training_options import Cluster
from stepladder.datasets import DefaultSize, ImageSet
from stepladder.report.bag_of_words import bag_document, describe_bag_alone, terminal_bag
from stepladder.studies.bag_of_words import BagOptions
from stepladder.studies.design.rules import Protocol

_DEFAULTS = DataOptions()


def bag_of_words(
    data: Data = "digits",
    *,
    descriptor: Annotated[
        str,
        Parameter(
            group=FIRST,
            help="patches (whitened, after Coates, Lee and Ng 2011), or sift (takes the extra 'sift').",
        ),
    ] = "patches",
    words: Annotated[
        int | None, Parameter(group=FIRST, help="Words of the vocabulary; 800 of patches or 400 of SIFT by default.")
    ] = None,
    seeds: Annotated[
        int, Parameter(group=FIRST, help="How often all is fitted, each time with a vocabulary drawn anew.")
    ] = 3,
    options: DataOptions = _DEFAULTS,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the result; baselines/<data>-<descriptor> by default.")
    ] = None,
    validation: Annotated[
        float,
        Parameter(
            group=IMAGES,
            help="Share of the training images that C is chosen on; 0 fits on all, C chosen on a tenth of them.",
        ),
    ] = 0.1,
    skip_damaged: Annotated[
        bool,
        Parameter(
            group=IMAGES, negative="", show_default=False, help="Leave images that cannot be read out, and say so."
        ),
    ] = False,
    drop_leaks: Annotated[
        bool,
        Parameter(
            group=IMAGES,
            negative="",
            show_default=False,
            help="Take training images out that are copies of test or validation images, and say so.",
        ),
    ] = False,
    cluster: Cluster = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> int:
    """Fit a bag of visual words and a linear SVM, and say how often it is right."""
    console = make_console(as_json)
    aside = make_aside(console, quiet=quiet, verbose=verbose)

    def load(default_size: DefaultSize | None) -> ImageSet:
        images = options.load_data(aside, data, skip_damaged=skip_damaged, default_size=default_size)
        for note in images.notes:
            aside.print(to_flags(f"  {note}"), style="dim", markup=False)
        return images

    command = typed_command()
    try:
        found = verbs.bag_of_words(
            ImagesToLoad(load),
            BagOptions(descriptor, words),
            seeds=seeds,
            out=out,
            protocol=Protocol(validation, drop_leaks),
            command=command,
            cluster=cluster,
            progress=make_bag_progress(aside, to_flags, steps=verbose),
        )
    except KeyboardInterrupt:
        console.print(
            f"\nStopped; the same command goes on from the seeds that are finished:\n  {command}",
            markup=False,
            soft_wrap=True,
        )
        return 130
    console.print()
    console.print(terminal_bag(found))
    console.print()
    for sentence in describe_bag_alone(found):
        console.print(to_flags(sentence), markup=False)
    console.print(f"\nResult: {found.folder}", markup=False)
    if as_json:
        print_json(bag_document(found))
    return 0
