"""The tables of a report as plain numbers, unrounded, and as CSV files: for spreadsheets, R and pandas.

What the report prints is rounded and signed for readers; here a share is a fraction of 1 and nothing is rounded.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, assert_never

from stepladder.errors import StudyError, printable
from stepladder.files import encoded, replace_bytes
from stepladder.report.marks import question, several_kinds, verdict_word
from stepladder.studies.files.store import result_rows
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings

#: Rows of plain values, all with the same keys.
Rows = list[dict[str, Any]]


def plain_tables(findings: AnyFindings) -> dict[str, Rows]:
    """Return the tables by name, the one that answers the question first; ``trials`` is ``results.csv``."""
    match findings:
        case Findings():
            answer = {"effects": _effects(findings), "rungs": _rungs(findings), "differences": _differences(findings)}
        case SweepFindings():
            answer = {"points": _points(findings)}
        case CurveFindings():
            answer = {"sizes": _sizes(findings)}
        case _:
            assert_never(findings)
    return {**answer, "trials": result_rows(findings.study)}


def write_csv(findings: AnyFindings, path: Path) -> list[Path]:
    """Write the tables as CSV in UTF-8, and return the paths of the files.

    Args:
        path: a folder, which gets a file a table; or a name that ends in ``.csv``, which gets the first table alone.

    Raises:
        StudyError: the name ends in something else that looks like a file's, or is in the way.
        StorageError: a file cannot be written.
    """
    tables = plain_tables(findings)
    if path.suffix.lower() == ".csv" and not path.is_dir():
        chosen = {path: next(iter(tables.values()))}
    elif path.is_file() or path.suffix:
        raise StudyError(f"`csv` is {path}; give a folder, which gets a file a table, or a name that ends in .csv")
    else:
        chosen = {path / f"{name}.csv": rows for name, rows in tables.items()}
    for file, rows in chosen.items():
        replace_bytes(file, encoded(csv_text(rows)))
    return list(chosen)


def csv_text(rows: Rows) -> str:
    """Return rows as CSV with a line of heads; None is an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    for row in rows:
        writer.writerow("" if one is None else printable(one) if isinstance(one, str) else one for one in row.values())
    return text.getvalue()


def summary_of(findings: AnyFindings) -> dict[str, str | int | float]:
    """Return what a study says as one flat table, for an experiment tracker: words and numbers by name.

    Of a study ``<technique>/verdict``, ``/mean``, ``/low`` and ``/high`` (the adjusted interval), ``/p`` and ``/n`` of
    every effect, ``rung/<name>/mean``, ``/sd`` and ``/n``, and ``recommended``; of a sweep each point's, and the best;
    of a curve each size's. Shares are fractions of 1; what is not defined is left out.
    """
    match findings:
        case Findings():
            told = _study_summary(findings)
        case SweepFindings():
            told = {}
            for point in findings.points:
                told |= {f"{point.name}/mean": point.mean, f"{point.name}/sd": point.sd, f"{point.name}/n": point.n}
            told["best"] = ", ".join(point.name for point in findings.best.points) if findings.best else None
        case CurveFindings():
            told = {}
            for size in findings.sizes:
                name = f"{100 * size.share:g} % of the images" if size.images is None else f"{size.images} images"
                told |= {f"{name}/mean": size.mean, f"{name}/n": len(size.scores)}
            told["gain of twice the images"] = findings.law.gain if findings.law else None
        case _:
            assert_never(findings)
    return {name: value for name, value in told.items() if value is not None}


def _study_summary(findings: Findings) -> dict[str, str | int | float | None]:
    told: dict[str, str | int | float | None] = {}
    several = several_kinds(findings.effects)
    for effect in findings.effects:
        name = f"{effect.name}, {question(effect.design)}" if several else effect.name
        low, high = effect.interval or (None, None)
        told |= {f"{name}/verdict": verdict_word(effect), f"{name}/mean": effect.mean}
        told |= {f"{name}/low": low, f"{name}/high": high, f"{name}/p": effect.p_value, f"{name}/n": effect.n}
    for rung in findings.rungs:
        told |= {f"rung/{rung.rung}/mean": rung.mean, f"rung/{rung.rung}/sd": rung.sd, f"rung/{rung.rung}/n": rung.n}
    told["metric"] = findings.metric.label
    told["recommended"] = findings.choice.rung
    return told


def _effects(findings: Findings) -> Rows:
    hidden = {"differences", "decided_by"}
    return [{**_row(asdict(effect), hidden), "seeds_needed": effect.seeds_needed} for effect in findings.effects]


def _rungs(findings: Findings) -> Rows:
    hidden = {"scores", "metrics"}
    names = dict.fromkeys(name for rung in findings.rungs for name in rung.metrics)  # a rung without a result has none
    return [
        {**_row(asdict(rung), hidden), "n": rung.n, **{name: rung.metrics.get(name) for name in names}}
        for rung in findings.rungs
    ]


def _differences(findings: Findings) -> Rows:
    return [
        {
            "name": effect.name,
            "design": effect.design.value,
            "rung": effect.rung,
            "below": effect.below,
            "seed": seed,
            "difference": difference,
            "failed": seed in effect.failed,
        }
        for effect in findings.effects
        for seed, difference in effect.differences.items()
    ]


def _points(findings: SweepFindings) -> Rows:
    keys = [axis.key for axis in findings.sweep.axes]
    return [
        {
            **dict(zip(keys, point.values, strict=True)),
            "mean": point.mean,
            "sd": point.sd,
            "n": point.n,
            "train": point.train,
            "seconds": point.seconds,
            "learned": point.learned,
        }
        for point in findings.points
    ]


def _sizes(findings: CurveFindings) -> Rows:
    return [
        {
            **({"share": size.share} if size.images is None else {"images": size.images}),
            "mean": size.mean,
            "sd": size.sd,
            "n": len(size.scores),
        }
        for size in findings.sizes
    ]


def _row(table: dict[str, Any], hidden: set[str]) -> dict[str, Any]:
    """Flatten one level: an interval becomes ``low`` and ``high``, and lists become words."""
    row: dict[str, Any] = {}
    for key, value in table.items():
        if key in hidden:
            continue
        if key == "interval":
            row["low"], row["high"] = value if value is not None else (None, None)
        elif isinstance(value, Sequence) and not isinstance(value, str):
            row[key] = " ".join(map(str, value))
        else:
            row[key] = value
    return row
