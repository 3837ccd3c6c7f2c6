"""``stepladder report``: from a study's files to its report, without training; or several studies side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson, OwnTechniques, make_console, print_json, register_own
from stepladder.cli.flags import to_flags
from stepladder.errors import StudyError
from stepladder.files import replace_text
from stepladder.report.document import build_document
from stepladder.report.latex import render_latex
from stepladder.report.plain_tables import write_csv
from stepladder.report.sections.comparison import build_comparison, describe_comparison, terminal_comparison
from stepladder.report.terminal import print_report
from stepladder.report.write import write_comparison, write_paper_figures, write_report
from stepladder.studies.files.store import load_study, write_results
from stepladder.studies.findings import AnyFindings, work_out
from stepladder.studies.judging.comparison import Comparison, compare_studies

if TYPE_CHECKING:
    from stepladder.report.figures.paper import PaperStyle


@Parameter(name="*")
@dataclass(frozen=True)
class ForPaper:
    """What a paper takes of a report."""

    latex: Annotated[Path | None, Parameter(help="Write the tables to this .tex file, for booktabs.")] = None
    csv: Annotated[
        Path | None,
        Parameter(help="Write the tables with every digit: a folder, or a name that ends in .csv for the first alone."),
    ] = None
    figures: Annotated[
        Path | None, Parameter(help="Write the figures for a paper into this folder, without titles.")
    ] = None
    width: Annotated[str, Parameter(help="Their width, in in, mm, cm or pt.")] = "3.3in"
    font_size: Annotated[float, Parameter(help="Points of most of their text, 4 to 24.")] = 8.0
    font: Annotated[
        str, Parameter(help="Their font: serif (to go with Times), sans, monospace, or a family that is installed.")
    ] = "sans"
    format: Annotated[
        tuple[Literal["pdf", "svg", "png"], ...],
        Parameter(help="Their format, pdf by default; more than one may be given.", negative="", show_default=False),
    ] = ("pdf",)

    def style(self) -> PaperStyle | None:
        """Return how figures are drawn, checked; None where none are asked for.

        Raises:
            StudyError: how they are drawn was said, and none are asked for.
            RecipeError: they cannot be drawn so.
        """
        if self.figures is None:
            plain = ForPaper()
            for name in ("width", "font_size", "font", "format"):
                if getattr(self, name) != getattr(plain, name):
                    flag = f"--{name.replace('_', '-')}"
                    raise StudyError(f"{flag} is of the figures for a paper; say where they go with --figures FOLDER")
            return None
        from stepladder.report.figures.paper import PaperStyle  # it loads matplotlib, which refusals do not wait for

        style = PaperStyle(self.width, self.font_size, self.font, self.format)
        style.check()
        return style


def report(
    folders: Annotated[list[Path], Parameter(negative="", help="The study's folder; several are compared.")],
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder of a comparison; comparison in the current folder by default.")
    ] = None,
    paper: ForPaper | None = None,
    technique: OwnTechniques = (),
    as_json: AsJson = False,
) -> None:
    """Rebuild results.csv, report.md, report.html and the figures of a study from its files, or compare several.

    For a paper: --latex writes the tables for booktabs, --csv the same with every digit, and --figures the figures as
    wide as a column and in its type.
    """
    console = make_console(as_json)
    paper = paper or ForPaper()
    style = paper.style()
    register_own(technique)
    if len(folders) > 1:
        if paper.csv is not None:
            raise StudyError("--csv is for one study; --latex and --figures take a comparison too")
        _compare(console, folders, out or Path("comparison"), (paper, style), as_json)
        return
    if out is not None:
        raise StudyError("--out is for a comparison, and there is one study; a report is written into its own folder")
    study = load_study(folders[0])
    write_results(study)
    findings = work_out(study)
    write_report(findings)
    print_report(console, findings, to_flags)
    _write_for_paper(console, findings, paper, style)
    if as_json:
        print_json(build_document(findings))


def _write_for_paper(
    console: Console, findings: AnyFindings | Comparison, paper: ForPaper, style: PaperStyle | None
) -> None:
    """Write what a paper takes, and say where it is."""
    written = []
    if paper.latex is not None:
        replace_text(paper.latex, render_latex(findings))
        written.append(f"Tables for LaTeX: {paper.latex}")
    if paper.csv is not None and not isinstance(findings, Comparison):
        written.append(f"Tables as CSV: {', '.join(map(str, write_csv(findings, paper.csv)))}")
    if paper.figures is not None and style is not None:
        figures = write_paper_figures(findings, paper.figures, style)
        names = ", ".join(figure.name for figure in figures) or "none, as nothing has been measured yet"
        written.append(f"Figures, {paper.width} wide, in {paper.figures}: {names}")
        smaller = [f"{one.name} {one.font_size:.1f}" for one in figures if one.font_size < 0.95 * paper.font_size]
        if smaller:
            written.append(
                f"There is no room for text of {paper.font_size:g} points beside the names, so it is smaller: "
                f"{', '.join(smaller)}. Give more --width, or shorter names."
            )
    if written:
        console.print()
    for sentence in written:
        console.print(sentence, markup=False)


def _compare(
    console: Console, folders: Sequence[Path], out: Path, how: tuple[ForPaper, PaperStyle | None], as_json: bool
) -> None:
    comparison = compare_studies([load_study(folder) for folder in folders])
    written = write_comparison(comparison, out)
    console.print(terminal_comparison(comparison))
    console.print()
    for sentence in describe_comparison(comparison):
        console.print(to_flags(sentence), markup=False)
    console.print(f"\nComparison: {next(path for path in written if path.suffix == '.html')}", markup=False)
    _write_for_paper(console, comparison, *how)
    if as_json:
        print_json(build_comparison(comparison))
