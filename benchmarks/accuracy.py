"""Seconds of training until a network first has an accuracy on the validation images, for whole recipes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.bench import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.training_options import Device, Precision
from stepladder.datasets import Splits, load_image_set, make_splits
from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import Recipe, load_recipe
from stepladder.report.units import count
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute, choose_compute
from stepladder.training.history import EpochRecord
from stepladder.training.loop import TrainingCallbacks, train_network


@dataclass(frozen=True)
class TimeToAccuracy:
    """One recipe trained whole, with one seed.

    Attributes:
        seconds: wall time of training and its evaluations until the first epoch that ended with the accuracy; None
            where none did.
        whole: seconds of all epochs.
        accuracy: on the validation images at the end, a fraction.
    """

    recipe: str
    seed: int
    seconds: float | None
    whole: float
    accuracy: float


def measure_time_to_accuracy(
    recipe: Recipe,
    splits: Splits,
    classes: int,
    seed: int,
    wanted: float,
    compute: Compute,
    on_epoch: Callable[[], None],
) -> TimeToAccuracy:
    """Train ``recipe`` with all its techniques and note when validation accuracy reached ``wanted``, a fraction.

    Choosing the moment by validation images makes it a figure of speed and not of quality; test is not read.

    Raises:
        StudyError: there is no validation split.
    """
    history: list[EpochRecord] = []

    def note(record: EpochRecord) -> None:
        history.append(record)
        on_epoch()

    if splits.validation is None:
        raise StudyError("these images have no validation split, and without one there is no accuracy to reach")
    train_network(
        recipe, TrainingData(splits.train, splits.validation, classes), seed, compute, TrainingCallbacks(on_epoch=note)
    )
    elapsed, reached = 0.0, None
    for record in history:
        elapsed += record.seconds if record.epoch else 0.0
        if reached is None and record.val_accuracy is not None and record.val_accuracy >= wanted:
            reached = elapsed
    return TimeToAccuracy(recipe.name, seed, reached, elapsed, history[-1].val_accuracy or 0.0)


def accuracy(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "cifar10",
    *,
    recipe: Annotated[list[str] | None, Parameter(help="Only this one; report, strong and express by default.")] = None,
    wanted: Annotated[float, Parameter(help="Validation accuracy to reach, in percent.")] = 80.0,
    seeds: Annotated[int, Parameter(help="Of every recipe.")] = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure the seconds of training that whole recipes take to a validation accuracy."""
    at_least_one(seeds=seeds)
    if not 0 < wanted < 100:
        raise RecipeError(f"`wanted` is {wanted:g}; it must be a percentage, above 0 and below 100")
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    recipes = [load_recipe(name) for name in recipe or ("report", "strong", "express")]
    images = load_image_set(data)
    splits, classes = make_splits(images), len(images.class_names)
    runs: list[TimeToAccuracy] = []
    with progress_of(console, seeds * sum(one.epochs + 1 for one in recipes)) as advance:
        for one in recipes:
            runs += [
                measure_time_to_accuracy(one, splits, classes, seed, wanted / 100, compute, advance)
                for seed in range(seeds)
            ]
    table = table_of("recipe", f"seconds to {wanted:g} %", "all epochs, s", "validation accuracy at the end, %")
    for one in recipes:
        mine = [run for run in runs if run.recipe == one.name]
        times = [run.seconds for run in mine if run.seconds is not None]
        reached = spread(times, ".0f") if len(times) == len(mine) else f"reached by {len(times)} of {len(mine)}"
        ends = [100 * run.accuracy for run in mine]
        table.add_row(one.name, reached, spread([run.whole for run in mine], ".0f"), spread(ends, ".2f"))
    console.print(table)
    words = (
        f"{data}; one trial on all cores; training and evaluation after every epoch. Median of "
        f"{count(seeds, 'seed')} (minimum to maximum)."
    )
    finish(console, words, compute, {"wanted": wanted / 100, "races": runs} if as_json else None)
