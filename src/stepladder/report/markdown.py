"""``report.md``: the sections of any report as GitHub's Markdown, for a terminal, a repository and a pull request.

Names, notes and reasons come from the user's data and are escaped: none can start markup, HTML or a table cell.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from stepladder.errors import printable

if TYPE_CHECKING:
    from stepladder.report.section import Head, Picture, Section, TextTable

F = TypeVar("F")


def render_markdown(findings: F, sections: Sequence[Section[F]], head: Head) -> str:
    """Return the report; figures are relative links to ``figures/``."""
    parts = [f"# {escape(head.kicker)}: {escape(head.title)}"]
    names = []
    for section in sections:
        if not section.applies(findings) or not (body := section.markdown(findings)):
            continue
        parts += [f"## {escape(section.title(findings))}", body]
        names += [picture.name for picture in section.pictures(findings)]
    parts += ["### The command that makes or continues it", render_code(head.command)]
    if names:
        parts.append(f"The figures as SVG: {', '.join(f'[{name}](figures/{name}.svg)' for name in names)}.")
    return "\n\n".join(parts) + "\n"


def render_table(table: TextTable) -> str:
    """Return a table with its title above it and its caption beneath."""
    marks = ["---" if column < table.text_columns else "---:" for column in range(len(table.header))]
    lines = [table.header, marks, *table.rows]
    rows = "\n".join(f"| {' | '.join(cells if cells is marks else map(escape, cells))} |" for cells in lines)
    title = f"### {escape(table.title)}" if table.title else ""
    return "\n\n".join(part for part in (title, rows, escape(table.caption)) if part)


def render_picture(picture: Picture) -> str:
    """Return a link to the figure's file."""
    return f"![{escape(picture.alt)}](figures/{picture.name}.png)"


def render_list(items: Iterable[str]) -> str:
    """Return a list, an item a line."""
    return "\n".join(f"- {escape(item)}" for item in items)


def render_code(text: str) -> str:
    """Return a block of shell code, whatever backticks are in it."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}sh\n{printable(text)}\n{fence}"


def escape(text: str) -> str:
    """Return ``text`` as Markdown that shows exactly it, on one line.

    >>> escape("a|b <i> *c* random_crop")
    'a\\\\|b \\\\<i\\\\> \\\\*c\\\\* random_crop'
    """
    line = printable(" ".join(text.split()))
    line = re.sub(r"([\\`*\[\]<>|~&$])", r"\\\1", line)
    # An underscore within a word is no markup on GitHub; escaped, it would spoil the plain text of every technique.
    line = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", line)
    # At the start of a line these begin a heading or a list.
    return re.sub(r"^(\d*)([.)]|#+|[+\-]+|=+)(?=\s|$)", r"\1\\\2", line)
