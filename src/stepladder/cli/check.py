"""``stepladder check``: is a study what it says?"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import AsJson, OwnTechniques, make_console, register_own
from stepladder.report.check import check_folder, repair_folder
from stepladder.report.units import count


def check(
    folder: Annotated[Path, Parameter(help="The study's folder.")],
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
    """Verify every checksum and hash of a study, and that results and verdicts follow from its trials."""
    console = make_console(as_json)
    register_own(technique)
    findings = check_folder(folder)
    for finding in findings:
        style = "bold" if finding.fault else "dim"
        console.print(f"{finding.place} {finding.what}", style=style, markup=False)
    faults = [finding for finding in findings if finding.fault]
    done = repair_folder(folder, findings) if repair and faults else []
    for sentence in done:
        console.print(f"Repaired: {sentence}", markup=False)
    if not faults:
        console.print("All checksums and hashes hold, and the results follow from the trials.")
    elif not repair:
        mendable = all(finding.kind != "plan" for finding in faults)
        fix = "; mend what can be mended with --repair" if mendable else "; restore study.json from a copy"
        console.print(f"{count(len(faults), 'fault')} found{fix}.", markup=False)
    if as_json:
        print(json.dumps({"findings": [asdict(one) for one in findings], "repaired": done}, indent=2))
    return 1 if faults and not repair else 0
