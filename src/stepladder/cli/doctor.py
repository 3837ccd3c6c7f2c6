"""``stepladder doctor``: what this machine is, and which arithmetic is taken on it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.bench.doctor import Checkup, examine_machine
from stepladder.cli.console import AsJson, make_console, print_json


def doctor(
    *,
    again: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Forget the arithmetic that was measured here before, and measure it anew. Studies that are continued "
            "keep theirs.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the machine, its matrix products, the arithmetic that is taken here and why, caches, extras and browser."""
    console = make_console(as_json)
    with console.status("Looking …") as status:
        found = examine_machine(again=again, on_step=lambda step: status.update(f"{step} …"))
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
    table.add_column("what", no_wrap=True, style="bold")
    table.add_column("which", overflow="fold")
    for what, which in _rows(found):
        table.add_row(Text(what), Text(which))
    console.print(table)
    if as_json:
        print_json(found.to_document())


def _rows(found: Checkup) -> list[tuple[str, str]]:
    machine = found.machine
    cores = f"{machine.cores} core{'' if machine.cores == 1 else 's'}"
    rows = [
        ("Machine", f"{machine.processor}, {cores}, {machine.memory_gb:g} GB, {machine.system}"),
        ("Features", ", ".join(found.features)),
        ("GPU", found.gpu or "none"),
        ("Versions", ", ".join(f"{name} {number}" for name, number in found.versions.items())),
    ]
    rows += [
        (f"2048² product, {precision}", f"{rate / 1e9:,.0f} GFLOP/s on all cores")
        for precision, rate in found.products.items()
    ]
    if "bfloat16" not in found.products:
        rows.append(("2048² product, bfloat16", "not measured: this processor has no instructions for it"))
    rows += [
        ("Network report", found.chosen.describe()),
        *([("Measured now", found.measured.describe())] if found.measured else []),
        ("By the features alone", found.by_features),
        ("Cache", f"{found.cache}, {found.cache_bytes / 1e6:,.0f} MB"),
    ]
    for extra, libraries in found.extras.items():
        each = [f"{name} {number}" if number else f"{name} missing" for name, number in libraries.items()]
        rows.append((f"Extra {extra}", ", ".join(each)))
    rows.append(("Browser", found.browser or "none; only the tests of the page need one"))
    return rows
