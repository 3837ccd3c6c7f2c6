"""Do readers of foreign bytes end in a value or in a sentence, whatever is damaged, in bounded time and memory?

Each target of :mod:`benchmarks.fuzz.targets` gets thousands of damaged files. A case fails where it raises anything but
one of our own errors, ends the process, takes more than five seconds, or more than a gigabyte.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.table import Table

from benchmarks.fuzz.worker import Fault, Tally
from stepladder.cli.console import make_console
from stepladder.errors import StudyError, unknown

#: Cases of a target that a process reads before another takes its place.
_CASES_A_PROCESS = 2_500
_WORKER = "import sys; from benchmarks.fuzz.worker import main; main(sys.argv[1:])"


def fuzz(
    targets: Annotated[list[str] | None, Parameter(negative="", help="Readers to try; all by default.")] = None,
    *,
    cases: Annotated[int, Parameter(help="Damaged files a reader.")] = 10_000,
    seed: Annotated[int, Parameter(help="Of the damage.")] = 0,
    keep: Annotated[Path | None, Parameter(help="Folder for files that break a promise.")] = None,
) -> int:
    """Read damaged files of every kind; exit code 1 where a promise is broken."""
    from benchmarks.fuzz.targets import TARGETS

    for name in targets or ():
        if name not in TARGETS:
            raise StudyError(unknown("reader", name, TARGETS))
    if cases < 1:
        raise StudyError(f"`cases` is {cases}; it must be at least 1")
    console = make_console()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        tallies = []
        for name in targets or TARGETS:
            tallies.append(fuzz_target(name, cases, seed, Path(scratch), keep or Path(scratch)))
            console.print(_line(tallies[-1]), markup=False)
            for what, count in Counter(fault.what for fault in tallies[-1].faults).most_common(20):
                console.print(f"  {count} × {what}", markup=False)
    table = Table("reader", "read", "refused", "faults", "slowest, s", "most memory, MB", box=None)
    for one in tallies:
        figures = one.read, one.refused, len(one.faults), f"{one.slowest:.2f}", round(one.memory / 1e6)
        table.add_row(one.target, *map(str, figures))
    console.print(table)
    return 1 if any(one.faults for one in tallies) else 0


def fuzz_target(name: str, cases: int, seed: int, scratch: Path, keep: Path) -> Tally:
    """Read the cases of one target in processes of their own, so that one which ends is a fault and no end."""
    whole = Tally(name)
    first = 0
    progress = scratch / "progress"
    while first < cases:
        end = min(first + _CASES_A_PROCESS, cases)
        progress.unlink(missing_ok=True)
        command = [sys.executable, "-c", _WORKER, name, str(first), str(end), str(seed)]
        done = subprocess.run(
            [*command, str(progress), str(keep)],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            cwd=Path(__file__).parents[2],
        )
        if done.returncode == 0:
            part = json.loads(done.stdout.splitlines()[-1])
            _add(whole, part)
            first = end
            continue
        if not progress.exists():
            raise StudyError(f"{name} cannot be tried: {done.stderr.strip()[-2000:]}")
        number = int(progress.read_text() or -1)
        last = done.stderr.strip().splitlines()[-12:]
        whole.faults.append(
            Fault(name, f"{seed}/{number}", f"ended the process ({done.returncode}): {' | '.join(last)}", "")
        )
        first = max(first, number) + 1
    return whole


def _add(whole: Tally, part: dict[str, object]) -> None:
    found = Tally(**{**part, "faults": [Fault(**fault) for fault in part["faults"]]})  # type: ignore[arg-type, attr-defined]
    whole.read += found.read
    whole.refused += found.refused
    whole.slowest, whole.memory = max(whole.slowest, found.slowest), max(whole.memory, found.memory)
    whole.faults += found.faults


def _line(tally: Tally) -> str:
    count = len(tally.faults)
    return f"{tally.target}: {tally.read:,} read, {tally.refused:,} refused, {count:,} fault{'s' if count != 1 else ''}"
