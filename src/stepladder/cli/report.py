"""``stepladder report``: from a study's files to its report, without training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson, OwnTechniques, make_console, register_own
from stepladder.errors import StudyError
from stepladder.report import describe, terminal_effects, terminal_table, write_report
from stepladder.report.document import build_document
from stepladder.study.files.records import SavedStudy
from stepladder.study.files.store import load_study, write_results


def report(
    folders: Annotated[list[Path], Parameter(negative="", help="The study's folder; several are compared.")],
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder of a comparison; comparison in the current folder by default.")
    ] = None,
    technique: OwnTechniques = (),
    as_json: AsJson = False,
) -> None:
    """Rebuild results.csv, report.md, report.html and the figures of a study from its files, or compare several."""
    console = make_console(as_json)
    register_own(technique)
    if len(folders) > 1:
        from stepladder.cli.compare import compare

        compare(console, folders, out or Path("comparison"), as_json)
        return
    if out is not None:
        raise StudyError("--out is for a comparison, and there is one study; a report is written into its own folder")
    study = load_study(folders[0])
    write_results(study)
    if study.record.sweep is not None:
        _report_sweep(console, study, as_json)
        return
    written = write_report(study)
    console.print(terminal_table(study))
    if len(study.record.seeds) > 1 and not study.unread and study.record.contrasts:
        console.print(terminal_effects(study))
    for sentence in describe(study):
        console.print(sentence, markup=False)
    console.print(f"\nReport: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if as_json:
        print(json.dumps(build_document(study), ensure_ascii=False, indent=2, allow_nan=False))


def _report_sweep(console: Console, study: SavedStudy, as_json: bool) -> None:
    from stepladder.cli.sweep import show_sweep, sweep_document

    written = write_report(study)
    show_sweep(console, study)
    console.print(f"\nReport: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if as_json:
        print(json.dumps(sweep_document(study), ensure_ascii=False, indent=2, allow_nan=False))
