"""One part of a report, whatever the report is of: what it may show, and how that becomes page and Markdown.

A report is an ordered tuple of sections, and that tuple drives the page, its navigation and the Markdown. Each section
reads findings of one type and computes nothing. It has a folder of its own, with the template ``section.html.j2`` and
the script ``chart.js`` beside its code where it needs them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from stepladder.report.markdown import escape, render_picture, render_table
from stepladder.report.page import fragment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: A section that can show several kinds of findings can show each of them.
F = TypeVar("F", contravariant=True)


@dataclass(frozen=True)
class Head:
    """What stands around the sections of a report.

    Attributes:
        kicker: what kind of report it is, ``Stepladder study``.
        title: of what, ``ladder on digits``.
        question: what was asked and how it was tried, in plain words; empty where the title says it.
        command: what to type to make it or to continue it.
        unfinished: how far it is, ``3 of 4 trials have ended``; empty where it is finished.
    """

    kicker: str
    title: str
    command: str
    unfinished: str = ""
    question: str = ""


@dataclass(frozen=True)
class Picture:
    """A figure.

    Attributes:
        name: of its files, without their ending.
        draw: draws it; ``draw(compact=True)`` for a narrow screen.
        alt: what it shows, for those who cannot see it.
    """

    name: str
    draw: Callable[..., Figure]
    alt: str


@dataclass(frozen=True)
class TextTable:
    """A table ready to print.

    Attributes:
        rows: first ``text_columns`` columns of words, then figures; the first column names the row.
        title: stands above a table that is not the main one of its section; the page folds such a table up.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int
    title: str = ""

    def pick(self, heads: tuple[str, ...], caption: str, title: str = "") -> TextTable:
        """Return some columns in the given order; a head is a column's name, or all of it before a comma."""
        names = [name.partition(",")[0] for name in self.header]
        chosen = [place for head in heads for place, name in enumerate(names) if name == head]
        return TextTable(
            caption=caption,
            header=tuple(self.header[place] for place in chosen),
            rows=tuple(tuple(row[place] for place in chosen) for row in self.rows),
            text_columns=sum(place < self.text_columns for place in chosen),
            title=title,
        )


class Section(Generic[F]):
    """One part of a report of findings of type ``F``.

    A section gives what it has; the defaults make page and Markdown of it: sentences, then pictures, then tables. Where
    that will not do, a template ``section.html.j2`` beside the section's module replaces the page's part, and an
    overridden :meth:`markdown` the other.

    Attributes:
        key: a word, unique in a report: the part's address on the page, and its chart's name in the scripts.
        heading: what stands above it; where that depends on the findings, :meth:`title` is overridden instead.
        short: what the page's navigation calls it, where the heading is too long.
    """

    key: ClassVar[str]
    heading: ClassVar[str]
    short: ClassVar[str] = ""

    def title(self, findings: F) -> str:  # noqa: ARG002
        """Return the heading."""
        return self.heading

    def link(self, findings: F) -> str:
        """Return what the page's navigation calls it."""
        return self.short or self.title(findings)

    def applies(self, findings: F) -> bool:  # noqa: ARG002
        """Whether the report has this part at all. One that has nothing to show yet may apply and say why."""
        return True

    def sentences(self, findings: F) -> list[str]:  # noqa: ARG002
        """Return what it says in words, a paragraph an item."""
        return []

    def pictures(self, findings: F) -> tuple[Picture, ...]:  # noqa: ARG002
        """Return its figures, which are also written as files. Import what draws them in here: matplotlib is slow."""
        return ()

    def tables(self, findings: F) -> tuple[TextTable, ...]:  # noqa: ARG002
        """Return its tables."""
        return ()

    def chart(self, findings: F) -> dict[str, Any] | None:  # noqa: ARG002
        """Return the numbers that ``chart.js`` draws on the page, as plain values; None where there is no chart."""
        return None

    def values(self, findings: F) -> dict[str, Any]:  # noqa: ARG002
        """Return what the template reads beside what the methods above give it."""
        return {}

    def markdown(self, findings: F) -> str:
        """Return its part of the Markdown without the heading; empty where the Markdown leaves it out."""
        parts = [escape(sentence) for sentence in self.sentences(findings)]
        parts += [render_picture(picture) for picture in self.pictures(findings)]
        parts += [render_table(table) for table in self.tables(findings)]
        return "\n\n".join(parts)

    def html(self, findings: F) -> str:
        """Return its part of the page without the heading."""
        return fragment(
            self.home() / "section.html.j2",
            findings=findings,
            title=self.title(findings),
            sentences=self.sentences(findings),
            pictures=self.pictures(findings),
            tables=self.tables(findings),
            chart=self.chart(findings),
            **self.values(findings),
        )

    @classmethod
    def home(cls) -> Path:
        """Return the folder of the section."""
        return Path(str(sys.modules[cls.__module__].__file__)).parent

    @classmethod
    def script(cls) -> str:
        """Return the script that sets ``builders[key]``, or nothing where the section has no chart."""
        path = cls.home() / "chart.js"
        return path.read_text(encoding="utf-8") if path.exists() else ""
