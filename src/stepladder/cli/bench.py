"""``stepladder bench``: measurements on this machine, never timed tests."""

from __future__ import annotations

import json
from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.table import Table

from stepladder.bench.engine import EngineSpeed, measure_engine, summarize_rates
from stepladder.cli.options import AsJson, Device, Precision, make_console
from stepladder.study.machine import describe_machine, describe_versions
from stepladder.training.device import choose_compute


def engine(
    *,
    rounds: Annotated[int, Parameter(help="Measurements of each, taken in turn.")] = 9,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure training images a second: a plain PyTorch loop, Stepladder's, and the machine's matrix product.

    Example:

    stepladder bench engine
    """
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    with console.status("Measuring …") as status:
        speed = measure_engine(
            compute, rounds, on_round=lambda done, total: status.update(f"Measuring … {done} of {total}")
        )
    machine = describe_machine(compute.device)
    versions = ", ".join(f"{name} {version}" for name, version in describe_versions().items())
    console.print(_table(speed))
    console.print(
        f"Median of {rounds} rounds in turn (minimum to maximum). Network report with every technique of its recipe, "
        f"batch {speed.recipe.batch_size}, 32×32 color images in memory.\n"
        f"{machine.accelerator or machine.processor}, {machine.cores} cores; {versions}.",
        style="dim",
    )
    if as_json:
        figures = {
            "plain_images_per_second": speed.plain,
            "stepladder_images_per_second": speed.stepladder,
            "matrix_product_flop_per_second": speed.matrix_product,
            "flop_an_image": speed.flop_an_image,
            "ratio": speed.ratios,
            "share_of_matrix_product": speed.shares,
            "precision": compute.precision,
            "machine": machine.model_dump(),
            "versions": describe_versions(),
        }
        print(json.dumps(figures, indent=2))


def _table(speed: EngineSpeed) -> Table:
    precision = speed.compute.precision
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    table.add_column("median", justify="right", style="bold")
    table.add_column("range", justify="right")
    rows = (
        ("(a) plain PyTorch loop, float32, NCHW", speed.plain, "{:,.0f}", "images/s"),
        (f"(b) Stepladder, {precision}, everything on", speed.stepladder, "{:,.0f}", "images/s"),
        (f"(c) matrix product 2048², {precision}", [rate / 1e9 for rate in speed.matrix_product], "{:,.0f}", "GFLOP/s"),
        ("b / a", speed.ratios, "{:.2f}", "×"),
        ("b as a share of c", [100 * share for share in speed.shares], "{:.0f}", "%"),
    )
    for label, values, form, unit in rows:
        middle, low, high = (form.format(value) for value in summarize_rates(values))
        table.add_row(label, f"{middle} {unit}", f"{low} to {high}")
    return table
