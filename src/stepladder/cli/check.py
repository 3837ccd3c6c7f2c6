"""``stepladder check``: is a folder of results what it says?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import AsJson, OwnTechniques, make_console, print_json, register_own
from stepladder.cli.flags import to_flags
from stepladder.cli.quick import without_collection
from stepladder.report.units import count


def check(
    folder: Annotated[Path, Parameter(help="A folder of results, or an exported .onnx file.")],
    *,
    repair: Annotated[
        bool,
        Parameter(
            negative="", show_default=False, help="Rebuild what is derived, and set broken trials aside to run again."
        ),
    ] = False,
    technique: OwnTechniques = (),
    as_json: AsJson = False,
) -> int:
    """Verify every checksum and hash of a folder of results, and that what is derived follows from its trials."""
    console = make_console(as_json)
    with without_collection():
        from stepladder.api.check import check_folder
    register_own(technique)
    found = check_folder(folder, repair=repair)
    for one in found.faults:
        style = "bold" if one.is_fault else "dim"
        console.print(to_flags(f"{one.place} {one.what}"), style=style, markup=False)
    for sentence in found.repaired:
        console.print(f"Repaired: {sentence}", markup=False)
    faults = [one for one in found.faults if one.is_fault]
    if found.holds:
        console.print("All checksums and hashes hold, and the results follow from the trials.")
    elif not repair:
        lost = [one.place for one in faults if one.kind == "plan"]
        fix = f"; restore {lost[0]} from a copy" if lost else "; mend what can be mended with --repair"
        console.print(f"{count(len(faults), 'fault')} found{fix}.", markup=False)
    if as_json:
        print_json({"faults": [asdict(one) for one in found.faults], "repaired": found.repaired})
    return 1 if faults and not repair else 0
