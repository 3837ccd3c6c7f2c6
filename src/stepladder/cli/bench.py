"""``stepladder bench``: what a user asks of their own machine. What developers measure has its own ``benchmarks/``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from functools import partial
from typing import Annotated, Any, Literal

import torch
from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stepladder.bench.engine import EngineSpeed, matrix_rate, measure_engine, settle_engine, summarize_rates
from stepladder.bench.gpu import LADDER_TARGET, TRIAL_TARGET, WORKERS_AND_STREAMS, GpuSpeed, measure_gpu
from stepladder.bench.loading import measure_loading
from stepladder.bench.prediction import measure_prediction
from stepladder.bench.processes import TARGETS, measure_start, measure_study
from stepladder.cli.console import AsJson, make_console, print_json
from stepladder.cli.training_options import Device, Precision
from stepladder.datasets import load_image_set, make_splits
from stepladder.errors import DataError
from stepladder.recipe import load_recipe
from stepladder.report.units import count
from stepladder.studies.design.rungs import ladder
from stepladder.studies.files.machine import describe_machine, describe_versions
from stepladder.training.device import Compute, available_cores, choose_compute

#: Matrix products that tell what the machine can do: a fraction of a second.
_PRODUCTS = 5


def engine(
    *,
    rounds: Annotated[int, Parameter(help="Measurements of each, taken in turn.")] = 9,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure training images a second: a plain PyTorch loop, Stepladder's, and the machine's matrix products."""
    at_least_one(rounds=rounds)
    console = make_console(as_json)
    # The whole ladder, and the rung below it: batch norm costs time that the matrix product does not have.
    measured = ladder(load_recipe("report"))[-2:]
    compute, arithmetic = settle_engine(measured[-1].recipe, device, precision)
    with progress_of(console, len(measured) * (rounds + 1)) as advance:
        speeds = [measure_engine(rung, compute, rounds, advance) for rung in measured]
    console.print(_engine_table(speeds))
    words = (
        f"Median of {rounds} rounds in turn (minimum to maximum); recipe report up to the rung, batch "
        f"{speeds[0].recipe.batch_size}, 32×32 color images in memory. (a) float32, NCHW, ReLU before pooling, nothing "
        f"augmented. (b) {compute.precision}, all techniques of the rung, {_how(speeds[0])}. (c) 2048² on all cores; "
        f"the faster one counts.\n{arithmetic.describe()}"
    )
    figures = [_figures(speed) for speed in speeds]
    document = {"rungs": figures, "precision": compute.precision, "arithmetic": arithmetic}
    finish(console, words, compute, document if as_json else None)


def _how(speed: EngineSpeed) -> str:
    if speed.trials_at_a_time == 1:
        return "one trial"
    trials = speed.trials_at_a_time
    return f"{trials} trials at a time with a thread each, as a study runs them; above it, one with {trials}"


def _figures(speed: EngineSpeed) -> dict[str, Any]:
    return {
        "rung": speed.rung,
        "plain_images_per_second": speed.plain,
        "one_trial_images_per_second": speed.alone,
        "stepladder_images_per_second": speed.stepladder,
        "trials_at_a_time": speed.trials_at_a_time,
        "matrix_products_flop_per_second": speed.matrix_products,
        "flop_an_image": speed.flop_an_image,
        "ratio": speed.ratios,
        "share_of_matrix_product": speed.shares,
    }


def _engine_table(speeds: list[EngineSpeed]) -> Table:
    table = table_of("", *(f"rung {speed.rung}" for speed in speeds))
    rows: tuple[tuple[str, Callable[[EngineSpeed], list[float]], str], ...] = (
        ("(a) plain PyTorch, images/s", lambda speed: speed.plain, ",.0f"),
        ("one trial on all cores, images/s", lambda speed: speed.alone, ",.0f"),
        ("(b) Stepladder, images/s", lambda speed: speed.stepladder, ",.0f"),
        *((f"(c) {one} product, GFLOP/s", partial(_gflops, precision=one), ",.0f") for one in ("float32", "bfloat16")),
        ("b / a", lambda speed: speed.ratios, ".2f"),
        ("b as a share of c, %", lambda speed: [100 * share for share in speed.shares], ".0f"),
    )
    for label, values, form in rows:
        found = [values(speed) for speed in speeds]
        table.add_row(label, *(spread(one, form) if one else "no instructions for it" for one in found))
    return table


def _gflops(speed: EngineSpeed, precision: str) -> list[float]:
    return [rate / 1e9 for rate in speed.matrix_products.get(precision, [])]


def data(
    *,
    images: Annotated[int, Parameter(help="How many 32×32 JPEGs to make, in a temporary folder.")] = 60_000,
    rounds: Annotated[int, Parameter(help="Measurements of each.")] = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure loading: JPEGs in folders, a zip and parquet, first and from the cache; training from the mapped file."""
    fewest = 1000
    if images < fewest:
        raise DataError(f"`images` is {images}; it must be at least {fewest:,}, or there is nothing to measure")
    at_least_one(rounds=rounds)
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    with progress_of(console, 4 * rounds + 1) as advance:
        recipe = ladder(load_recipe("report"))[0].recipe
        speed = measure_loading(recipe, compute, images=images, rounds=rounds, on_part=advance)
    table = table_of("", "first, s", "again, s", "peak memory, decoded sets")
    for loading in speed.layouts:
        figures = (loading.first, loading.again, loading.peak_shares)
        table.add_row(loading.layout, *(spread(values, ".2f") if values else "not told" for values in figures))
    console.print(table)
    console.print(
        f"Training from the mapped file: {spread(speed.mapped, ',.0f')} images/s, from memory: "
        f"{spread(speed.in_memory, ',.0f')}; {spread([100 * share for share in speed.mapped_shares], '.0f')} %."
    )
    words = (
        f"Median of {rounds} rounds (minimum to maximum); {speed.images:,} color JPEGs of 32×32 pixels, each load in a "
        f"process of its own. Training: recipe report, rung baseline, in turn."
    )
    finish(console, words, compute, asdict(speed) if as_json else None)


def predict(
    *,
    rounds: Annotated[int, Parameter(help="Measurements of each, taken in turn.")] = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a trained network report asked by PyTorch and by its exported file: one file, many images, a process."""
    at_least_one(rounds=rounds)
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    with progress_of(console, rounds + 1) as advance:
        top = ladder(load_recipe("report"))[-1].recipe
        speeds = measure_prediction(top, compute, rounds=rounds, on_round=advance)
    table = table_of("", "one file, ms", "many in memory, images/s", "a whole process, s")
    for speed in speeds:
        figures = ((speed.file_ms, ".1f"), (speed.images_per_second, ",.0f"), (speed.process_seconds, ".2f"))
        table.add_row(speed.form, *(spread(values, form) for values, form in figures))
    console.print(table)
    words = (
        f"Median of {rounds} rounds in turn (minimum to maximum); network report with batch norm, 32×32 color images; "
        f"torch in {compute.precision}, onnx in float32. One file: from PNG to label, model loaded."
    )
    finish(console, words, compute, {"forms": speeds} if as_json else None)


def start(
    *, rounds: Annotated[int, Parameter(help="Measurements of each, in turn.")] = 5, as_json: AsJson = False
) -> None:
    """Measure what one waits for: help, lists, a check, one prediction, the first training step of a study."""
    at_least_one(rounds=rounds)
    console = make_console(as_json)
    with progress_of(console, rounds + 2) as advance:
        starts = measure_start(rounds, advance)
    table = table_of("", "seconds", "processor time, s", "target, s")
    for one in starts:
        processor = spread(one.processor_seconds, ".2f") if one.processor_seconds else ""
        table.add_row(one.what, spread(one.seconds, ".2f"), processor, f"{TARGETS[one.what]:g}")
    console.print(table)
    words = (
        f"From the start of the process; median of {rounds} rounds in turn (minimum to maximum). Beside other work the "
        f"processor time tells more; the target is for the seconds on two quiet cores."
    )
    finish(console, words, choose_compute("cpu"), {"starts": starts} if as_json else None)


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
        ("  checkpoints", [one.checkpointing for one in studies]),
        ("  start, test, report, waiting", [one.remaining for one in studies]),
    ):
        table.add_row(what, *(f"{100 * share:.1f}" for share in shares))
    console.print(table)
    words = (
        f"{data}, the six rungs of recipe report, {count(seeds, 'seed')}, {count(epochs, 'epoch')}, from the start of "
        f"the process to its end."
    )
    finish(console, words, compute, {"studies": studies} if as_json else None)


def gpu(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "cifar10",
    *,
    seeds: Annotated[int, Parameter(help="Of every rung of the ladder.")] = 5,
    rounds: Annotated[int, Parameter(help="Trials of each kind, in turn.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure the reference study on a GPU: one trial, its steps replayed and launched one by one; the ladder."""
    at_least_one(seeds=seeds, rounds=rounds)
    console = make_console(as_json)
    recipe = load_recipe("report")
    measured: GpuSpeed | None = None
    if torch.cuda.is_available():
        images = load_image_set(data)
        with progress_of(console, 1 + 2 * rounds + len(WORKERS_AND_STREAMS)) as advance:
            measured = measure_gpu(
                data,
                make_splits(images),
                len(images.class_names),
                recipe,
                choose_compute("cuda"),
                seeds,
                rounds,
                advance,
            )

    absent = "not measured"
    trial = f"a trial of {recipe.epochs} epochs, all rungs"
    table = table_of("", "seconds", "target on one H200")
    table.add_row(
        f"{trial}, steps replayed", spread(measured.replayed, ".2f") if measured else absent, f"{TRIAL_TARGET:g}"
    )
    table.add_row("the same, kernel after kernel", spread(measured.launched, ".2f") if measured else absent, "")
    for position, (workers, streams) in enumerate(WORKERS_AND_STREAMS):
        how = f"{workers} process" + ("es" if workers > 1 else "")
        if streams > 1:
            how += f" × {streams} trials"
        found = f"{measured.ladders[position]:.1f}" if measured else absent
        table.add_row(f"the ladder, {seeds} seeds, {how}", found, f"{LADDER_TARGET:g}")
    console.print(table)
    words = (
        f"{data}; median of {rounds} rounds in turn (minimum to maximum) after a warm-up; ladders once each, from the "
        f"start of the process to its end."
        if measured
        else "PyTorch finds no CUDA device here, so nothing of this could be measured."
    )
    compute = choose_compute("cuda" if measured else "cpu")
    finish(console, words, compute, {"gpu": measured} if as_json else None)


@contextmanager
def progress_of(console: Console, total: int) -> Iterator[Callable[..., None]]:
    """Show a bar of ``total`` measurements; the function that it gives is called after each.

    It may be told a phrase of what is measured next.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Measuring", total=total)

        def advance(phrase: str = "Measuring") -> None:
            progress.update(task, description=phrase, advance=1)

        yield advance


def table_of(*headings: str) -> Table:
    """Return an empty table, the first column to the left and the others to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    return table


def spread(values: list[float], form: str) -> str:
    """Return ``median (minimum to maximum)``, each in the format ``form``."""
    middle, low, high = (format(value, form) for value in summarize_rates(values))
    return f"{middle} ({low} to {high})"


def finish(console: Console, words: str, compute: Compute, document: dict[str, Any] | None) -> None:
    """Print what was measured and how, below the table, with machine and versions.

    Two machines of the same name may differ by a factor of two, so what this one multiplies in a second is among it.

    Args:
        document: to print as JSON on stdout, with machine and versions; values may be dataclasses. None prints none.
    """
    machine, versions = describe_machine(compute.device), describe_versions()
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    rate = matrix_rate(compute, _PRODUCTS)
    product = f"matrix product of 2048² in {compute.precision} {rate / 1e9:,.0f} GFLOP/s"
    place = f"{machine.accelerator or machine.processor}, {machine.cores} cores, {product}; {named}."
    console.print(f"{words}\n{place}".lstrip("\n"), style="dim", markup=False)
    if document is not None:
        plain = {key: _plain(value) for key, value in document.items()}
        described = machine.model_dump() | {"matrix_product_flop_per_second": rate}
        print_json(plain | {"machine": described, "versions": versions})


def at_least_one(**counts: int) -> None:
    """Refuse options below 1, by name.

    Raises:
        DataError: one is.
    """
    for name, number in counts.items():
        if number < 1:
            raise DataError(f"`{name}` is {number}; it must be at least 1")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
