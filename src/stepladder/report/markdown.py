"""``report.md``: the report for a terminal, a repository and a pull request."""

from __future__ import annotations

import re
from collections.abc import Iterable

from stepladder.report.facts import cautions, failures, platform, protocol
from stepladder.report.sections import report_sections
from stepladder.report.text_table import TextTable
from stepladder.report.words import describe
from stepladder.study.files.records import SavedStudy

#: Names beyond these are counted, not listed: a report of 1,000 classes is still read.
_CLASSES_LISTED = 20


def render_markdown(study: SavedStudy) -> str:
    """Return the study's report in GitHub's Markdown, the figures as relative links to ``figures/``.

    Names, notes and reasons come from the user's data and are escaped: none can start markup, HTML or a table cell.
    """
    record, data = study.record, study.record.data
    parts = [
        f"# Stepladder study: {escape(record.plan)} on {escape(data.name)}",
        "\n\n".join(escape(sentence) for sentence in describe(study)),
    ]
    sections = report_sections(study)
    for section in sections:
        parts.append(f"## {section.title}")
        parts += [f"![{escape(picture.alt)}](figures/{picture.name}.png)" for picture in section.pictures]
        parts += [render_table(table) for table in section.tables]
    names = [picture.name for section in sections for picture in section.pictures]
    parts.append(f"The figures as SVG: {', '.join(f'[{name}](figures/{name}.svg)' for name in names)}.")
    if failed := failures(study):
        rows = tuple((one.rung, str(one.seed), one.reason, str(one.epochs)) for one in failed)
        table = TextTable("", ("rung", "seed", "reason", "epochs finished"), rows, 3)
        parts += ["## Failed trials", render_table(table)]
    if found := cautions(study):
        parts += ["## Warnings", _bullets(found)]
    parts.append("## Data")
    names = [escape(name) for name in data.class_names[:_CLASSES_LISTED]]
    more = len(data.class_names) - len(names)
    parts.append(f"Classes: {', '.join(names)}{f' and {more:,} more' if more else ''}.")
    if data.notes:
        parts.append(_bullets(data.notes))
    parts += ["## Protocol", _bullets(f"{what}: {how}" for what, how in protocol(study))]
    parts += ["## Versions and hardware", _bullets(f"{what}: {which}" for what, which in platform(study))]
    parts += ["## The command that makes or continues it", _code(record.command)]
    return "\n\n".join(parts) + "\n"


def render_table(table: TextTable) -> str:
    """Return a table in GitHub's Markdown with its caption beneath."""
    marks = ["---" if column < table.text_columns else "---:" for column in range(len(table.header))]
    lines = [table.header, marks, *table.rows]
    rows = [f"| {' | '.join(cells if cells is marks else map(escape, cells))} |" for cells in lines]
    return "\n".join(rows) + (f"\n\n{escape(table.caption)}" if table.caption else "")


def escape(text: str) -> str:
    """Return ``text`` as Markdown that shows exactly it, on one line.

    >>> escape("a|b <i> *c* random_crop")
    'a\\\\|b \\\\<i\\\\> \\\\*c\\\\* random_crop'
    """
    line = " ".join(text.split())
    line = re.sub(r"([\\`*\[\]<>|~&$])", r"\\\1", line)
    # An underscore within a word is no markup on GitHub; escaped, it would spoil the plain text of every technique.
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)
    # At the start of a line these begin a heading or a list.
    return re.sub(r"^(\d*)([.)]|#+|[+\-]+|=+)(?=\s|$)", r"\1\\\2", line)


def _bullets(items: Iterable[str]) -> str:
    return "\n".join(f"- {escape(item)}" for item in items)


def _code(text: str) -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}sh\n{text}\n{fence}"
