"""The files of a report: written whole, the same findings to the same bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from stepladder.files import encoded, json_text, replace_bytes
from stepladder.report.markdown import render_markdown
from stepladder.report.page import render_page
from stepladder.report.question import describe_question
from stepladder.report.recipe_file import RECIPE_FILE, sweep_recipe_file
from stepladder.report.section import Head, Section
from stepladder.report.sections import (
    COMPARISON_SECTIONS,
    CURVE_SECTIONS,
    SCORE_CURVE_SECTIONS,
    SCORE_SECTIONS,
    SCORE_SWEEP_SECTIONS,
    STUDY_SECTIONS,
    SWEEP_SECTIONS,
)
from stepladder.report.sections.comparison import comparison_head
from stepladder.report.sections.sweep_meaning import sweep_document
from stepladder.report.units import count
from stepladder.studies.files.checksums import forget_files, note_files
from stepladder.studies.findings import AnyFindings, Findings, to_document
from stepladder.studies.judging.comparison import Comparison
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings, to_curve_document

if TYPE_CHECKING:
    from stepladder.report.figures.paper import PaperFigure, PaperStyle

F = TypeVar("F")

#: The page of a report, in the folder that it is about.
REPORT_PAGE = "report.html"


def write_report(findings: AnyFindings) -> list[Path]:
    """Write ``verdicts.json`` (of a sweep, ``points.json``), ``figures/``, ``report.md`` and ``report.html``.

    They are written into the folder of the study, sweep or curve, and their paths returned. Any will do: unfinished,
    with failed trials, or with none that finished. A sweep has its best point as ``recipe.toml`` too.

    Raises:
        StorageError: a file cannot be written; each is replaced whole or left as it was.
    """
    head = study_head(findings)
    match findings:
        case Findings():
            files = render_sections(findings, sections_of(findings), head)
        case SweepFindings():
            files = render_sections(findings, sweep_sections_of(findings), head) | sweep_recipe_file(findings)
            if RECIPE_FILE not in files:  # a better one may have been there before more seeds came
                (findings.study.folder / RECIPE_FILE).unlink(missing_ok=True)
        case CurveFindings():
            files = render_sections(findings, curve_sections_of(findings), head)
        case _:
            assert_never(findings)
    documents = {name: encoded(json_text(document)) for name, document in derived_documents(findings).items()}
    written = write_files(findings.study.folder, documents | files)
    if not findings.study.missing and not findings.study.unread:
        note_files(findings.study.folder, documents | files)
    else:
        forget_files(findings.study.folder)  # trials that are still to come change more than the report
    return written


def derived_documents(findings: AnyFindings) -> dict[str, dict[str, Any]]:
    """Return the findings as the JSON files that stand in the folder, by their names."""
    match findings:
        case Findings():
            return {"verdicts.json": to_document(findings)}
        case SweepFindings():
            return {"points.json": sweep_document(findings)}
        case CurveFindings():
            return {"verdicts.json": to_curve_document(findings)}
        case _:
            assert_never(findings)


def write_page(findings: AnyFindings) -> Path:
    """Write ``report.html`` alone, as after every trial of a study that is running.

    Raises:
        StorageError: it cannot be written.
    """
    head = study_head(findings)
    match findings:
        case Findings():
            page = render_page(findings, sections_of(findings), head)
        case SweepFindings():
            page = render_page(findings, sweep_sections_of(findings), head)
        case CurveFindings():
            page = render_page(findings, curve_sections_of(findings), head)
        case _:
            assert_never(findings)
    (path,) = write_files(findings.study.folder, {REPORT_PAGE: encoded(page)})
    return path


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write ``comparison.md``, ``comparison.html`` and ``figures/`` into the folder ``out``, and return their paths.

    Raises:
        StorageError: a file cannot be written; each is replaced whole or left as it was.
    """
    files = render_sections(comparison, COMPARISON_SECTIONS, comparison_head(comparison), "comparison")
    return write_files(out, files)


def write_paper_figures(findings: AnyFindings | Comparison, folder: Path, style: PaperStyle) -> list[PaperFigure]:
    """Write the figures of a report for a paper into ``folder``, and return them as they came out.

    Raises:
        RecipeError: the style is none that figures can have.
        StorageError: a file cannot be written.
    """
    from stepladder.report.figures.paper import paper_figures

    match findings:
        case Findings():
            drawn = list(paper_figures(findings, sections_of(findings), style))
        case SweepFindings():
            drawn = list(paper_figures(findings, sweep_sections_of(findings), style))
        case CurveFindings():
            drawn = list(paper_figures(findings, curve_sections_of(findings), style))
        case Comparison():
            drawn = list(paper_figures(findings, COMPARISON_SECTIONS, style))
        case _:
            assert_never(findings)
    for figure in drawn:
        for ending, content in figure.files.items():
            replace_bytes(folder / f"{figure.name}.{ending}", content)
    return drawn


def render_sections(findings: F, sections: Sequence[Section[F]], head: Head, name: str = "report") -> dict[str, bytes]:
    """Return the files of a report of any sections by their names: the figures, ``report.md`` and ``report.html``."""
    from stepladder.report.figures.style import to_png, to_svg

    files = {}
    for section in sections:
        for picture in section.pictures(findings) if section.applies(findings) else ():
            figure = picture.draw()
            files[f"figures/{picture.name}.png"] = to_png(figure)
            files[f"figures/{picture.name}.svg"] = to_svg(figure)
    files[f"{name}.md"] = encoded(render_markdown(findings, sections, head))
    files[f"{name}.html"] = encoded(render_page(findings, sections, head))
    return files


def write_files(folder: Path, files: Mapping[str, bytes]) -> list[Path]:
    """Write files into ``folder`` and return their paths; a link in place of one, or of ``figures``, is replaced.

    Raises:
        StorageError: a file cannot be written.
    """
    for name, content in files.items():
        replace_bytes(folder / name, content, within=folder)
    return [folder / name for name in files]


def sections_of(findings: Findings) -> tuple[Section[Findings], ...]:
    """Return the parts of the report of a study that compares rungs: fewer where another program made the scores."""
    return STUDY_SECTIONS if findings.study.record.scores is None else SCORE_SECTIONS


def sweep_sections_of(findings: SweepFindings) -> tuple[Section[SweepFindings], ...]:
    """Return the parts of the report of a sweep or a search: fewer where it is of a user's own command."""
    return SWEEP_SECTIONS if findings.study.record.scores is None else SCORE_SWEEP_SECTIONS


def curve_sections_of(findings: CurveFindings) -> tuple[Section[CurveFindings], ...]:
    """Return the parts of the report of a curve: fewer where it is of a user's own command."""
    return SCORE_CURVE_SECTIONS if findings.of_command else CURVE_SECTIONS


def study_head(findings: AnyFindings) -> Head:
    """Return what stands around the sections of the report of a study, a sweep or a curve."""
    study, record = findings.study, findings.study.record
    match findings:
        case Findings():
            kind, of = "study", record.plan
            if record.scores is not None and record.scores.source != "command":
                kind, of = "judgment", f"variants by {findings.metric.label}"
        case SweepFindings():
            kind, of = record.plan, f"values of {' × '.join(axis.key for axis in findings.sweep.axes)}"
        case CurveFindings():
            kind, of = "curve", "accuracy by number of training images"
            if findings.of_command:
                of = f"{findings.metric.label} by share of the training images"
        case _:
            assert_never(findings)
    ended, planned = len(study.trials), count(record.planned_trials, "trial")
    return Head(
        kicker=f"Stepladder {kind}",
        title=f"{of} on {record.data.name}",
        command=record.command,
        unfinished=f"{ended} of {planned} {'has' if ended == 1 else 'have'} ended" if study.missing else "",
        question=describe_question(findings),
    )
