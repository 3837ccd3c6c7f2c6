"""``stepladder bench soak``: kills at random moments, for an hour."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from stepladder.bench.soak import run_soak
from stepladder.bench.soak_records import MOST_FILES, MOST_GAIN, Part, Settings, Soak
from stepladder.cli.bench.output import finish, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import DataError
from stepladder.training.device import choose_compute


def soak(
    *,
    minutes: Annotated[float, Parameter(help="How long to kill; an undisturbed study comes before.")] = 60.0,
    gap: Annotated[float, Parameter(help="Mean seconds between two kills.")] = 10.0,
    seed: Annotated[int, Parameter(help="Of the random moments and victims.")] = 0,
    seeds: Annotated[int, Parameter(help="Seeds of the studies that are killed and begun anew.")] = 2,
    epochs: Annotated[int | None, Parameter(help="Of every trial; those of the recipe by default.")] = None,
    limit: Annotated[int | None, Parameter(help="Digits a class; all by default.")] = None,
    out: Annotated[
        Path | None, Parameter(help="Empty or new folder for the studies; otherwise a temporary one is removed.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Kill studies at random moments, and hold what they leave to the bits of an undisturbed one."""
    settings = Settings(minutes, gap, seed, seeds, epochs, limit)
    settings.check()
    console, news = make_console(as_json), Console(stderr=True, highlight=False, soft_wrap=True)
    news.print(f"Soaking for {minutes:g} minutes with --seed {seed}, after an undisturbed study.", markup=False)
    with ExitStack() as stack:
        root = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stepladder-soak-")))
        root.mkdir(parents=True, exist_ok=True)
        if any(root.iterdir()):
            raise DataError(f"--out is {out}, which holds files; choose a new folder")
        done = run_soak(settings, root.absolute(), lambda sentence: news.print(sentence, markup=False))
    console.print(_table(done))
    for sentence in _sentences(done, settings, kept=out is not None):
        console.print(sentence, markup=False)
    # The studies are on the digits, for which no accelerator is used unless there is one; as they choose, so here.
    compute = choose_compute("auto", "auto")
    finish(console, "", compute, _document(done, settings) if as_json else None)
    return 0 if done.passed else 1


def _table(done: Soak) -> Table:
    table = table_of("", "minutes", "kills", "studies", "trials", "all, MB", "largest, MB", "open files")
    rows = (("undisturbed", done.undisturbed), ("anything is killed", done.killed), ("workers are killed", done.long))
    for label, part in rows:
        table.add_row(
            label,
            f"{part.seconds / 60:.1f}",
            f"{part.kills.total():,}",
            f"{part.studies:,}",
            f"{part.trials:,}",
            *(f"{peak:,.0f}" if peak else "" for peak in _peaks(part).values()),
        )
    return table


def _peaks(part: Part) -> dict[str, float]:
    return {
        name: max((getattr(sample, name) for sample in part.samples), default=0)
        for name in ("sum_mb", "largest_mb", "sum_files")
    }


def _sentences(done: Soak, settings: Settings, kept: bool) -> list[str]:
    kills = done.killed.kills + done.long.kills
    found = [
        f"\nKilled {kills.total():,} times ({', '.join(f'{victim} {n:,}' for victim, n in sorted(kills.items()))}), "
        f"about every {settings.gap:g} s, --seed {settings.seed}. MB and open files are the most at one moment, "
        f"sampled every second: of all processes together, pages that they share counted in each, and of the largest."
    ]
    memory, files = done.quarters("main_mb"), done.quarters("main_files")
    slopes = [done.slope(name) for name in ("main_mb", "main_files")]
    if memory and None not in slopes:
        watched = (done.long.samples[-1].seconds - done.long.samples[0].seconds) / 60
        found.append(
            f"The main process that lived on, after its first trial, by quarters of {watched:.1f} minutes: "
            f"{' → '.join(f'{value:.0f}' for value in memory)} MB and {' → '.join(f'{value:.0f}' for value in files)} "
            f"open files (medians); {slopes[0]:+.1f} MB and {slopes[1]:+.1f} files an hour, by least squares."
        )
    else:
        found.append("The long study was too short to tell whether its main process grows; give more --minutes.")
    found += [f"Not flat: {sentence}." for sentence in done.growth()]
    if memory and not done.growth():
        found.append(
            f"Flat: from the first quarter to the last it gained no more than {MOST_GAIN:.0%} of memory and "
            f"{MOST_FILES} open files."
        )
    found += [f"Not as it should: {sentence}" for sentence in done.faults]
    for study, names in done.differing.items():
        found.append(f"{study} differs from the undisturbed study in {len(names)} files: {', '.join(names[:4])}.")
    if (done.differing or done.faults) and not kept:
        found.append("To keep such studies and their logs, run it with --out.")
    if not done.differing and not done.faults:
        found.append("Every study ended with the bits of the undisturbed one.")
    return found


def _document(done: Soak, settings: Settings) -> dict[str, Any]:
    parts = {"undisturbed": done.undisturbed, "killed": done.killed, "long": done.long}
    return {
        "settings": asdict(settings),
        "passed": done.passed,
        "parts": {
            name: {
                "seconds": part.seconds,
                "studies": part.studies,
                "trials": part.trials,
                "kills": dict(part.kills),
                "peaks": _peaks(part),
            }
            for name, part in parts.items()
        },
        "main_mb_by_quarter": done.quarters("main_mb"),
        "main_files_by_quarter": done.quarters("main_files"),
        "main_mb_an_hour": done.slope("main_mb"),
        "main_files_an_hour": done.slope("main_files"),
        "growth": done.growth(),
        "differing": done.differing,
        "faults": done.faults,
    }
