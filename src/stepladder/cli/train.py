"""``stepladder train``: one recipe, one seed, one model."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.api import verbs
from stepladder.api.progress import make_progress
from stepladder.api.results import TrainedModel
from stepladder.cli.console import at_work, make_console, print_json
from stepladder.cli.data_options import Data
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, RUNNING
from stepladder.cli.training_options import (
    DEFAULT_DECIDING,
    DEFAULT_PAUSES,
    DEFAULTS,
    DecidingOptions,
    OneRung,
    PauseOptions,
    Threads,
    TrainingOptions,
)
from stepladder.errors import StudyError
from stepladder.report.nothing_learned import describe_nothing_learned
from stepladder.report.units import Scale, capital, count, duration, percent


def train(
    data: Data = "digits",
    *,
    seed: Annotated[
        int, Parameter(group=FIRST, help="Decides initial weights, order of the images and augmentation.")
    ] = 0,
    options: TrainingOptions = DEFAULTS,
    deciding: DecidingOptions = DEFAULT_DECIDING,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the result; trials/<data>-<recipe>-seed<N> by default.")
    ] = None,
    rung: OneRung = None,
    test: Annotated[
        bool | None,
        Parameter(
            group=RUNNING,
            show_default=False,
            help="Read test at the end, as by default. Leave it unread while you tune settings, or it chooses them.",
        ),
    ] = None,
    all_data: Annotated[
        bool,
        Parameter(
            group=RUNNING,
            negative="",
            show_default=False,
            help="Train on every image, those for validation and test too: a model to use. With --recipe STUDY its "
            "card says what that study measured.",
        ),
    ] = False,
    threads: Threads = None,
    pauses: PauseOptions = DEFAULT_PAUSES,
) -> int:
    """Train one recipe, with all its techniques, and leave a model folder."""
    console = make_console(options.as_json)
    if all_data and test:
        raise StudyError("`all_data` leaves no image to test with, so `test` would be lost; give one of them")
    test = test is not False
    aside = options.aside(console)
    execution = pauses.execution(options, threads)
    progress = make_progress(aside, to_flags, epochs=options.verbose)
    with at_work(console, execution, options.as_json):
        done = verbs.train(
            options.images(aside, data),
            options.recipe_options(rung),
            seed=seed,
            test=test,
            out=out,
            protocol=replace(options.protocol(deciding), all_data=all_data),
            execution=execution,
            progress=progress,
        )
    result = done.result
    if not progress.ran:
        aside.print("This was trained before; nothing to do.")
    if options.as_json:
        nothing = None if done.nothing_learned is None else asdict(done.nothing_learned)
        document = {"folder": str(done.folder), "nothing_learned": nothing, **result.model_dump(mode="json")}
        print_json(document)
    if result.status == "failed":
        console.print(to_flags(f"Failed: {result.failure}"), markup=False)
        return 1
    if done.nothing_learned is not None:
        for sentence in describe_nothing_learned(done.nothing_learned):
            console.print(sentence, markup=False)
    spread = "." if all_data else " (one seed; run a study to see the spread)."
    console.print(
        f"{_scores(done, test and not all_data)} after {count(result.epochs, 'epoch')} in {duration(result.seconds)}"
        f"{spread}",
        markup=False,
    )
    if result.test_accuracy is None and not all_data:
        console.print("Test is unread; the same command without --no-test reads it.")
    console.print(f"Model: {done.folder / 'model'}", markup=False)
    return 0


def _scores(done: TrainedModel, test: bool) -> str:
    """Write what the model came to, first by what decides, then its accuracy."""
    result, metric = done.result, done.metric
    if result.test_accuracy is None and result.val_accuracy is None:
        return f"Training accuracy {percent(result.train_accuracy or 0.0)}, of every image there is,"
    score = metric.on_test(result) if test else metric.on_validation(result)
    accuracy = result.test_accuracy if test else result.val_accuracy
    assert accuracy is not None
    assert score is not None
    label = capital(metric.label if test else metric.validation_label)
    more = "" if metric.name == "accuracy" else f", accuracy {percent(accuracy)},"
    return f"{label} {Scale(metric.unit).full(score)}{more}"
