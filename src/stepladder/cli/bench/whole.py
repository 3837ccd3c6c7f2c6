"""``stepladder bench start|growth|study|accuracy``: whole processes, whole studies, whole recipes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stepladder.cli.bench.output import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.options import Device, Precision
from stepladder.errors import DataError, RecipeError
from stepladder.report.units import count
from stepladder.study.files.machine import describe_machine, describe_versions
from stepladder.training.device import available_cores, choose_compute


def start(
    *, rounds: Annotated[int, Parameter(help="Measurements of each, in turn.")] = 5, as_json: AsJson = False
) -> None:
    """Measure what one waits for: the help, a network's table, the first training step of a study."""
    from stepladder.bench.start import BARS, measure_start

    at_least_one(rounds=rounds)
    console = make_console(as_json)
    with progress_of(console, rounds + 1) as advance:
        starts = measure_start(rounds, advance)
    table = table_of("", "seconds", "bar")
    for one in starts:
        table.add_row(one.what, spread(one.seconds, ".2f"), f"{BARS[one.what]:g}")
    console.print(table)
    words = f"From the start of the process; median of {rounds} rounds in turn (minimum to maximum)."
    finish(console, words, choose_compute("cpu"), {"starts": starts} if as_json else None)


def growth(
    *,
    of: Annotated[
        list[Literal["images", "seeds", "classes", "size"]] | None, Parameter(help="Only this; all by default.")
    ] = None,
    largest: Annotated[int | None, Parameter(help="Leave larger values out.")] = None,
    picture: Annotated[Path | None, Parameter(help="Draw it, both axes logarithmic: FILE.svg or FILE.png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how time and memory of a study grow with images, seeds, classes, and the size of an image."""
    from stepladder.bench.growth import grown_values, measure_growth

    wanted = list(dict.fromkeys(of or ("images", "seeds", "classes", "size")))
    few = 3
    for what in wanted:
        if len(grown_values(what, largest)) < few:
            raise DataError(
                f"--largest {largest} leaves fewer than {few} values of {what}; an exponent needs that many"
            )
    if picture is not None:
        from stepladder.report.figures.style import check_picture

        check_picture(picture)
    console = make_console(as_json)
    with progress_of(console, sum(len(grown_values(what, largest)) for what in wanted)) as advance:
        grown = [measure_growth(what, largest, advance) for what in wanted]
    table = table_of("", "value", "seconds", "peak memory, MB")
    for one in grown:
        for value, measured in zip(one.values, one.measured, strict=True):
            table.add_row(one.what, f"{value:,}", f"{measured.seconds:.1f}", f"{measured.peak / 1e6:,.0f}")
        table.add_row("exponent", "", f"{one.time_exponent:.2f}", f"{one.memory_exponent:.2f}", end_section=True)
    console.print(table)
    words = (
        "Whole processes with one thread: two rungs of recipe report, one epoch of random color images, with copies "
        "looked for, report and all. The exponent is the steepest slope in the upper half of a log-log plot."
    )
    exponents = {one.what: {"time": one.time_exponent, "memory": one.memory_exponent} for one in grown}
    if picture is not None:
        from stepladder.report.figures.growth import draw_growth
        from stepladder.report.figures.style import write_figure

        facts = ["two rungs, one epoch, one thread", describe_machine(choose_compute("cpu").device).processor]
        write_figure(picture, draw_growth(grown, [*facts, f"torch {describe_versions()['torch']}"]))
        console.print(f"Picture: {picture}", markup=False)
    finish(console, words, choose_compute("cpu"), {"growth": grown, "exponents": exponents} if as_json else None)


def study(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "digits",
    *,
    seeds: Annotated[int, Parameter(help="Of every rung.")] = 3,
    epochs: Annotated[int, Parameter(help="Passes over the training images.")] = 20,
    way: Annotated[
        Literal["both", "processes", "threads"],
        Parameter(help="A process a core with one thread each, one process with a thread a core, or both in turn."),
    ] = "both",
    as_json: AsJson = False,
) -> None:
    """Measure whole studies: trials an hour, the time outside training steps, processes against threads."""
    from stepladder.bench.whole_study import measure_study

    at_least_one(seeds=seeds, epochs=epochs)
    console = make_console(as_json)
    compute = choose_compute("cpu")
    cores = available_cores()
    every = {"processes": (cores, 1), "threads": (1, cores)}
    ways = tuple(dict.fromkeys(every[name] for name in every if way in ("both", name)))
    with progress_of(console, len(ways)) as advance:
        studies = measure_study(data, ways, seeds, epochs, advance)
    table = table_of("", *(f"{one.workers} × {count(one.threads, 'thread')}" for one in studies))
    table.add_row("trials an hour", *(f"{one.trials_an_hour:,.1f}" for one in studies))
    table.add_row("wall time, s", *(f"{one.seconds:,.0f}" for one in studies))
    for what, shares in (
        ("outside training steps, %", [one.outside for one in studies]),
        ("  evaluation", [one.evaluating for one in studies]),
        ("  checkpoints", [one.keeping for one in studies]),
        ("  start, test, report, waiting", [one.beside for one in studies]),
    ):
        table.add_row(what, *(f"{100 * share:.1f}" for share in shares))
    console.print(table)
    words = (
        f"{data}, the six rungs of recipe report, {count(seeds, 'seed')}, {count(epochs, 'epoch')}, from the start of "
        f"the process to its end."
    )
    finish(console, words, compute, {"studies": studies} if as_json else None)


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
    from stepladder.bench.accuracy import Race, race
    from stepladder.data import load_image_set, make_splits
    from stepladder.recipe import load_recipe

    at_least_one(seeds=seeds)
    if not 0 < wanted < 100:
        raise RecipeError(f"--wanted is {wanted:g}; it must be a percentage, above 0 and below 100")
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    recipes = [load_recipe(name) for name in recipe or ("report", "strong", "express")]
    images = load_image_set(data)
    splits = make_splits(images)
    races: list[Race] = []
    with progress_of(console, seeds * sum(one.epochs + 1 for one in recipes)) as advance:
        for one in recipes:
            races += [
                race(one, splits, len(images.class_names), seed, wanted / 100, compute, advance)
                for seed in range(seeds)
            ]
    table = table_of("recipe", f"seconds to {wanted:g} %", "all epochs, s", "validation accuracy at the end, %")
    for one in recipes:
        mine = [run for run in races if run.recipe == one.name]
        times = [run.seconds for run in mine if run.seconds is not None]
        reached = spread(times, ".0f") if len(times) == len(mine) else f"reached by {len(times)} of {len(mine)}"
        ends = [100 * run.accuracy for run in mine]
        table.add_row(one.name, reached, spread([run.whole for run in mine], ".0f"), spread(ends, ".2f"))
    console.print(table)
    words = (
        f"{data}; one trial on all cores; training and evaluation after every epoch. Median of "
        f"{count(seeds, 'seed')} (minimum to maximum)."
    )
    finish(console, words, compute, {"wanted": wanted / 100, "races": races} if as_json else None)
