"""Everything that a report writes into a study's folder."""

from __future__ import annotations

from pathlib import Path

from stepladder.files import replace_bytes, replace_json
from stepladder.report.document import build_verdicts
from stepladder.report.figures import to_png, to_svg
from stepladder.report.html.render import render_html
from stepladder.report.markdown import render_markdown
from stepladder.report.sections import report_sections
from stepladder.report.sweep import write_sweep
from stepladder.study.files.records import SavedStudy

__all__ = ["render_html", "write_page", "write_report"]


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
    written.append(_write(study, "report.md", render_markdown(study)))
    written.append(write_page(study))
    return written


def write_page(study: SavedStudy) -> Path:
    """Write ``report.html`` alone, as after every trial of a study that is running; see :func:`write_report`."""
    return _write(study, "report.html", render_html(study))


def _write(study: SavedStudy, name: str, text: str) -> Path:
    # A path on disk may hold bytes that are no UTF-8; a report with a "?" is better than none.
    replace_bytes(study.folder / name, text.encode(errors="replace"))
    return study.folder / name
