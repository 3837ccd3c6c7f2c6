"""``report.html``, and everything that a report writes."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from stepladder.files import replace_bytes, replace_json, replace_text
from stepladder.report.document import build_verdicts
from stepladder.report.facts import cautions, failures, platform, protocol
from stepladder.report.figures import to_png, to_svg
from stepladder.report.markdown import render_markdown
from stepladder.report.sections import report_sections
from stepladder.report.sweep import write_sweep
from stepladder.report.words import describe
from stepladder.study.records import SavedStudy

_TEMPLATES = Path(__file__).parent / "templates"


def write_report(study: SavedStudy) -> list[Path]:
    """Write ``report.md``, ``report.html``, ``verdicts.json`` and ``figures/`` into the study's folder.

    Returns their paths.

    Any study will do: unfinished, with failed trials, or with none that finished. The same study gives the same bytes.

    Raises:
        StorageError: a file cannot be written; each is replaced whole or left as it was.
    """
    if study.record.sweep is not None:
        return write_sweep(study)
    pictures = [picture for section in report_sections(study) for picture in section.pictures]
    figures = {picture.name: picture.draw(study) for picture in pictures}
    written = [study.folder / "verdicts.json"]
    replace_json(written[0], build_verdicts(study))
    for name, figure in figures.items():
        for suffix, content in (("png", to_png(figure)), ("svg", to_svg(figure))):
            path = study.folder / "figures" / f"{name}.{suffix}"
            replace_bytes(path, content)
            written.append(path)
    for name, text in (("report.md", render_markdown(study)), ("report.html", render_html(study))):
        # A path on disk may hold bytes that are no UTF-8; a report with a "?" is better than none.
        replace_text(study.folder / name, text.encode(errors="replace").decode())
        written.append(study.folder / name)
    return written


def render_html(study: SavedStudy) -> str:
    """Return the report as one HTML file that needs no other: style and figures are in it, and it asks for nothing."""
    environment = Environment(
        # Explicit, as select_autoescape judges by the file's ending and would not escape in a ".j2".
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = _unbroken
    return environment.get_template("report.html.j2").render(
        record=study.record,
        data=study.record.data,
        sentences=describe(study),
        sections=report_sections(study),
        embed=lambda picture: _embed(study, picture.draw),
        failures=failures(study),
        cautions=cautions(study),
        protocol=protocol(study),
        platform=platform(study),
        style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
    )


def _unbroken(sentence: str) -> str:
    """Keep a figure with its unit, and an interval with its other end, on one line."""
    return re.sub(r"\[[^]]*\]|n = \d+|[\d.]+ (%|points)", lambda match: match[0].replace(" ", "\u00a0"), sentence)


class Embedded(NamedTuple):
    """One figure as data URIs, drawn for a wide screen and again for a narrow one, and its size in CSS pixels."""

    wide: str
    narrow: str
    width: int
    height: int


def _embed(study: SavedStudy, draw: Callable[..., Figure]) -> Embedded:
    # As images and not inline: two SVGs of matplotlib share ids, which one document may not.
    wide, narrow = draw(study), draw(study, compact=True)
    width, height = (round(96 * inches) for inches in wide.get_size_inches())
    return Embedded(_data_uri(to_svg(wide)), _data_uri(to_svg(narrow)), width, height)


def _data_uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"
