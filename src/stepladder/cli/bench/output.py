"""What all measurements print alike: progress, tables, spread, and the machine and versions below."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from stepladder.bench.engine import summarize_rates
from stepladder.bench.product import matrix_rate
from stepladder.errors import DataError
from stepladder.study.files.machine import describe_machine, describe_versions
from stepladder.training.device import Compute

#: Matrix products that tell what the machine can do: a fraction of a second.
_PRODUCTS = 5


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
        print(json.dumps(plain | {"machine": described, "versions": versions}, indent=2))


def at_least_one(**counts: int) -> None:
    """Refuse options below 1, by name.

    Raises:
        DataError: one is.
    """
    for name, count in counts.items():
        if count < 1:
            raise DataError(f"--{name} is {count}; it must be at least 1")


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
