"""``stepladder bench``: measurements on this machine, never timed tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from rich import box
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stepladder.bench.engine import EngineSpeed, measure_engine, summarize_rates
from stepladder.bench.loading import measure_loading
from stepladder.bench.prediction import measure_prediction
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.options import Device, Precision
from stepladder.errors import DataError
from stepladder.recipe import load_recipe
from stepladder.study.machine import describe_machine, describe_versions
from stepladder.study.plan import ladder
from stepladder.training.device import Compute, choose_compute


def engine(
    *,
    rounds: Annotated[int, Parameter(help="Measurements of each, taken in turn.")] = 9,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure training images a second: a plain PyTorch loop, Stepladder's, and the machine's matrix product."""
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    # The whole ladder, and the rung below it: batch norm costs time that the matrix product does not have.
    measured = ladder(load_recipe("report"))[-2:]
    columns = (TextColumn("Measuring"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=len(measured) * (rounds + 1))
        speeds = [measure_engine(rung, compute, rounds, lambda: progress.advance(task)) for rung in measured]
    console.print(_table(speeds))
    console.print(
        f"Median of {rounds} rounds in turn (minimum to maximum); recipe report up to the rung, batch "
        f"{speeds[0].recipe.batch_size}, 32×32 color images in memory. (a) float32, NCHW, ReLU before pooling, nothing "
        f"augmented. (b) {compute.precision}, all techniques of the rung, {_how(speeds[0])}. (c) 2048² in "
        f"{compute.precision}.\n"
        f"{describe_place(compute)}",
        style="dim",
    )
    if as_json:
        document = {
            "rungs": [_figures(speed) for speed in speeds],
            "precision": compute.precision,
            "machine": describe_machine(compute.device).model_dump(),
            "versions": describe_versions(),
        }
        print(json.dumps(document, indent=2))


def data(
    *,
    images: Annotated[int, Parameter(help="How many 32×32 JPEGs to make, in a temporary folder.")] = 60_000,
    rounds: Annotated[int, Parameter(help="Measurements of each.")] = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure loading: a folder of JPEGs and parquet, first and from the cache; and training from the mapped file."""
    fewest = 1000
    if images < fewest:
        raise DataError(f"--images is {images}; it must be at least {fewest:,}, or there is nothing to measure")
    if rounds < 1:
        raise DataError(f"--rounds is {rounds}; it must be at least 1")
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    columns = (TextColumn("Measuring"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=3 * rounds + 1)
        recipe = ladder(load_recipe("report"))[0].recipe
        speed = measure_loading(recipe, compute, images=images, rounds=rounds, on_part=lambda: progress.advance(task))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("", "first, s", "again, s", "peak memory, decoded sets"):
        table.add_column(heading, justify="right" if heading else "left")
    for loading in speed.layouts:
        figures = (loading.first, loading.again, loading.peak_shares)
        table.add_row(loading.layout, *(_cell(values, ".2f") if values else "not told" for values in figures))
    console.print(table)
    console.print(
        f"Training from the mapped file: {_cell(speed.mapped, ',.0f')} images/s, from memory: "
        f"{_cell(speed.in_memory, ',.0f')}; {_cell([100 * share for share in speed.mapped_shares], '.0f')} %."
    )
    console.print(
        f"Median of {rounds} rounds (minimum to maximum); {speed.images:,} color JPEGs of 32×32 pixels, each load in a "
        f"process of its own. Training: recipe report, rung baseline, in turn.\n{describe_place(compute)}",
        style="dim",
    )
    if as_json:
        place = {"machine": describe_machine(compute.device).model_dump(), "versions": describe_versions()}
        print(json.dumps(asdict(speed) | place, indent=2))


def predict(
    *,
    rounds: Annotated[int, Parameter(help="Measurements of each, taken in turn.")] = 5,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure a trained network report asked by PyTorch and by its exported file: one file, many images, a process."""
    if rounds < 1:
        raise DataError(f"--rounds is {rounds}; it must be at least 1")
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    columns = (TextColumn("Measuring"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=rounds + 1)
        top = ladder(load_recipe("report"))[-1].recipe
        speeds = measure_prediction(top, compute, rounds=rounds, on_round=lambda: progress.advance(task))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in ("", "one file, ms", "many in memory, images/s", "a whole process, s"):
        table.add_column(heading, justify="right" if heading else "left")
    for speed in speeds:
        figures = ((speed.file_ms, ".1f"), (speed.images_per_second, ",.0f"), (speed.process_seconds, ".2f"))
        table.add_row(speed.form, *(_cell(values, form) for values, form in figures))
    console.print(table)
    console.print(
        f"Median of {rounds} rounds in turn (minimum to maximum); network report with batch norm, 32×32 color images; "
        f"torch in {compute.precision}, onnx in float32. One file: from PNG to label, model loaded.\n"
        f"{describe_place(compute)}",
        style="dim",
    )
    if as_json:
        place = {"machine": describe_machine(compute.device).model_dump(), "versions": describe_versions()}
        print(json.dumps({"forms": [asdict(speed) for speed in speeds]} | place, indent=2))


def describe_place(compute: Compute) -> str:
    """Return the processor, the cores and the versions, as the last words of a measurement."""
    machine = describe_machine(compute.device)
    versions = ", ".join(f"{name} {version}" for name, version in describe_versions().items())
    return f"{machine.accelerator or machine.processor}, {machine.cores} cores; {versions}."


def _how(speed: EngineSpeed) -> str:
    if speed.lanes == 1:
        return "one trial"
    return f"{speed.lanes} trials at a time with a thread each, as a study runs them; above it, one with {speed.lanes}"


def _figures(speed: EngineSpeed) -> dict[str, Any]:
    return {
        "rung": speed.rung,
        "plain_images_per_second": speed.plain,
        "one_trial_images_per_second": speed.alone,
        "stepladder_images_per_second": speed.stepladder,
        "trials_at_a_time": speed.lanes,
        "matrix_product_flop_per_second": speed.matrix_product,
        "flop_an_image": speed.flop_an_image,
        "ratio": speed.ratios,
        "share_of_matrix_product": speed.shares,
    }


def _table(speeds: list[EngineSpeed]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    for speed in speeds:
        table.add_column(f"rung {speed.rung}", justify="right")
    rows: tuple[tuple[str, Callable[[EngineSpeed], list[float]], str], ...] = (
        ("(a) plain PyTorch, images/s", lambda speed: speed.plain, ",.0f"),
        ("one trial on all cores, images/s", lambda speed: speed.alone, ",.0f"),
        ("(b) Stepladder, images/s", lambda speed: speed.stepladder, ",.0f"),
        (
            "(c) matrix product, GFLOP/s",
            lambda speed: [rate / 1e9 for rate in speed.matrix_product],
            ",.0f",
        ),
        ("b / a", lambda speed: speed.ratios, ".2f"),
        ("b as a share of c, %", lambda speed: [100 * share for share in speed.shares], ".0f"),
    )
    for label, values, form in rows:
        table.add_row(label, *(_cell(values(speed), form) for speed in speeds))
    return table


def _cell(values: list[float], form: str) -> str:
    middle, low, high = (format(value, form) for value in summarize_rates(values))
    return f"{middle} ({low} to {high})"
