"""``stepladder report``: from a study's files to its report, without training; or several studies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson, OwnTechniques, make_console, print_json, register_own
from stepladder.cli.flags import to_flags
from stepladder.errors import StudyError
from stepladder.report.document import build_document
from stepladder.report.sections.comparison import build_comparison, describe_comparison, terminal_comparison
from stepladder.report.terminal import print_report
from stepladder.report.write import write_comparison, write_report
from stepladder.studies.files.store import load_study, write_results
from stepladder.studies.findings import work_out
from stepladder.studies.judging.comparison import compare_studies


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
        _compare(console, folders, out or Path("comparison"), as_json)
        return
    if out is not None:
        raise StudyError("--out is for a comparison, and there is one study; a report is written into its own folder")
    study = load_study(folders[0])
    write_results(study)
    findings = work_out(study)
    write_report(findings)
    print_report(console, findings, to_flags)
    if as_json:
        print_json(build_document(findings))


def _compare(console: Console, folders: Sequence[Path], out: Path, as_json: bool) -> None:
    comparison = compare_studies([load_study(folder) for folder in folders])
    written = write_comparison(comparison, out)
    console.print(terminal_comparison(comparison))
    console.print()
    for sentence in describe_comparison(comparison):
        console.print(to_flags(sentence), markup=False)
    console.print(f"\nComparison: {next(path for path in written if path.suffix == '.html')}", markup=False)
    if as_json:
        print_json(build_comparison(comparison))
