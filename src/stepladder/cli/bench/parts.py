"""``stepladder bench engine|data|predict``: the parts by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from rich.table import Table

from stepladder.bench.engine import EngineSpeed, measure_engine
from stepladder.bench.loading import measure_loading
from stepladder.bench.prediction import measure_prediction
from stepladder.cli.bench.output import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.options import Device, Precision
from stepladder.errors import DataError
from stepladder.recipe import load_recipe
from stepladder.study.design.plan import ladder
from stepladder.training.device import choose_compute


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
    with progress_of(console, len(measured) * (rounds + 1)) as advance:
        speeds = [measure_engine(rung, compute, rounds, advance) for rung in measured]
    console.print(_table(speeds))
    words = (
        f"Median of {rounds} rounds in turn (minimum to maximum); recipe report up to the rung, batch "
        f"{speeds[0].recipe.batch_size}, 32×32 color images in memory. (a) float32, NCHW, ReLU before pooling, nothing "
        f"augmented. (b) {compute.precision}, all techniques of the rung, {_how(speeds[0])}. (c) 2048² in "
        f"{compute.precision}."
    )
    document = {"rungs": [_figures(speed) for speed in speeds], "precision": compute.precision}
    finish(console, words, compute, document if as_json else None)


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
    at_least_one(rounds=rounds)
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    with progress_of(console, 3 * rounds + 1) as advance:
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
    table = table_of("", *(f"rung {speed.rung}" for speed in speeds))
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
        table.add_row(label, *(spread(values(speed), form) for speed in speeds))
    return table
