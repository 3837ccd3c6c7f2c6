"""What a notebook shows of a study, a sweep or a curve: verdicts, the chart, the sentences, a link to the report."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import assert_never

from matplotlib.figure import Figure

from stepladder.errors import printable
from stepladder.report.figures.style import to_svg
from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.section import Picture
from stepladder.report.sections.ladder.figure import draw_ladder
from stepladder.report.sections.meaning import verdict_marks
from stepladder.report.sections.sizes import SizesSection
from stepladder.report.sections.sweep_points import SweepPointsSection
from stepladder.report.terminal import sentences_of
from stepladder.report.write import REPORT_PAGE
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings

#: Sentences beyond these stand in the report.
_SHOWN = 4

#: Of the signs: a contrast of 3 on a white notebook and on a black one; the words have the notebook's own color.
SIGN_COLORS = {
    "helped": "#007053",
    "hurt": "#b04600",
    "equivalent": "#3a8fd0",
    "undecided": "#8a8a8a",
    "none": "#8a8a8a",
}


def notebook_view(findings: AnyFindings) -> str:
    """Return HTML that needs no other file, readable on a light and on a dark page."""
    record = findings.study.record
    parts = [f"<p><strong>{escape(record.plan.capitalize())} on {escape(record.data.name)}</strong></p>"]
    opening = opening_sentences(findings)
    parts += [f"<p>{escape(sentence)}</p>" for sentence in opening]
    if isinstance(findings, Findings):
        parts.append(_marks(findings))
    figure = _figure(findings)
    if figure is not None:
        picture = base64.b64encode(to_svg(figure)).decode("ascii")
        parts.append(
            f'<img alt="Chart of the results" style="max-width:100%;background:white" '
            f'src="data:image/svg+xml;base64,{picture}">'
        )
    said = sentences_of(findings)[len(opening) :]
    parts += [f"<p>{escape(sentence)}</p>" for sentence in said[:_SHOWN]]
    page = findings.study.folder / REPORT_PAGE
    more = f" ({len(said) - _SHOWN} more sentences)" if len(said) > _SHOWN else ""
    parts.append(f'<p><a href="{escape(_address(page), quote=True)}" target="_blank">The whole report</a>{more}</p>')
    return printable(f'<div class="stepladder">{"".join(parts)}</div>')


def _marks(findings: Findings) -> str:
    cells = [
        f'<tr><td style="color:{SIGN_COLORS[mark.kind]}">{mark.symbol}</td>'
        f'<td style="text-align:left"><strong>{escape(mark.name)}</strong></td>'
        f'<td style="text-align:left">{escape(mark.word)}</td>'
        f'<td style="text-align:left">{escape(mark.figures)}</td></tr>'
        for mark in verdict_marks(findings)
    ]
    return f"<table>{''.join(cells)}</table>" if cells else ""


def _figure(findings: AnyFindings) -> Figure | None:
    pictures: tuple[Picture, ...]
    match findings:
        case Findings():
            return draw_ladder(findings)
        case SweepFindings():
            pictures = SweepPointsSection().pictures(findings)
        case CurveFindings():
            pictures = SizesSection().pictures(findings)
        case _:
            assert_never(findings)
    return pictures[0].draw() if pictures else None


def _address(page: Path) -> str:
    """A notebook opens what lies below its own folder by a relative address."""
    try:
        return page.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return page.resolve().as_uri()
