"""``stepladder readings``: which test images were read on this computer, and in how many plans."""

from __future__ import annotations

from dataclasses import asdict

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.cli.console import AsJson, make_console, print_json
from stepladder.report.units import count
from stepladder.studies.files.ledger import past_readings, state_folder


def readings(*, as_json: AsJson = False) -> None:
    """List the test images that were read on this computer, with the plans that read them."""
    console, found = make_console(as_json), past_readings()
    if not found:
        console.print("No test images were read on this computer yet.")
    for one in found:
        names = dict.fromkeys(plan.data for plan in one.plans)
        console.print(
            Text(f"{', '.join(names)}: {count(one.images, 'test image')}, read in {count(len(one.plans), 'plan')}"),
            style="bold",
        )
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for plan in one.plans:
            table.add_row(Text(plan.time), Text(plan.what), Text(plan.folder))
        console.print(table)
    if found:
        console.print(
            "\nEach plan that is chosen by its result on the same test images makes that result a little too good. The "
            f"list is in {state_folder()}; it is there to count, and no security.",
            markup=False,
            style="dim",
        )
    if as_json:
        print_json([asdict(one) for one in found])
