"""What a citation is, and how it is written: in one line, and as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stepladder.errors import RecipeError, unknown

#: Of a work with more authors than this, the line names the first alone.
_NAMED = 4

#: The BibTeX types that are used, and the field that each has the venue in.
VENUE_FIELDS: Mapping[str, str] = {
    "article": "journal",
    "inproceedings": "booktitle",
    "incollection": "booktitle",
    "book": "publisher",
    "phdthesis": "school",
    "techreport": "institution",
    "misc": "howpublished",
}

#: What LaTeX reads as a command, and how it is written.
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


@dataclass(frozen=True)
class Citation:
    """A published work, and the part of it that is meant.

    Attributes:
        key: what names it, in BibTeX too: ``he2016deep``.
        authors: ``Family, Given`` each, in the order of the paper.
        title: in full.
        year: of the version that is cited.
        venue: the journal, the proceedings or the publisher.
        link: ``doi:…``, ``arXiv:…``, ``isbn:…`` or an address.
        kind: the type of the BibTeX entry, one of :data:`VENUE_FIELDS`.
        where: the section, equation, table or algorithm that is meant; empty for the whole work.
    """

    key: str
    authors: tuple[str, ...]
    title: str
    year: int
    venue: str
    link: str
    kind: str = "article"
    where: str = ""

    def __post_init__(self) -> None:
        """Refuse what would make no entry of BibTeX.

        Raises:
            RecipeError: a key with spaces, authors that are one text, an unknown kind.
        """
        if not re.fullmatch(r"[A-Za-z0-9_:.+-]+", self.key):
            raise RecipeError(f"key is {self.key!r}; it must be letters, digits and _:.+- alone, as doe2026blur")
        if isinstance(self.authors, str) or not self.authors:
            raise RecipeError(f'authors is {self.authors!r}; it must be a tuple of texts, as ("Doe, Jo", "Roe, Al")')
        if self.kind not in VENUE_FIELDS:
            raise RecipeError(unknown("kind of citation", self.kind, VENUE_FIELDS))

    @property
    def families(self) -> tuple[str, ...]:
        """The authors' family names."""
        return tuple(author.partition(",")[0] for author in self.authors)

    @property
    def short(self) -> str:
        """As in running text: ``He et al. 2016``."""
        return f"{_names(self.families, 3)} {self.year}"

    @property
    def brief(self) -> str:
        """As in running text, with the part: ``He et al. 2016, section 4.2``."""
        return ", ".join(filter(None, (self.short, self.where)))

    @property
    def line(self) -> str:
        """Authors, title, year and part: ``Wu and He, Group Normalization, 2018, section 3``."""
        return ", ".join(filter(None, (_names(self.families, _NAMED), self.title, str(self.year), self.where)))

    @property
    def url(self) -> str:
        """The address of the work; empty where it has none."""
        kind, _, rest = self.link.partition(":")
        homes = {"doi": f"https://doi.org/{rest}", "arXiv": f"https://arxiv.org/abs/{rest}", "isbn": ""}
        return homes.get(kind, self.link)


def _names(families: tuple[str, ...], most: int) -> str:
    if len(families) > most:
        return f"{families[0]} et al."
    return " and ".join(filter(None, (", ".join(families[:-1]), families[-1])))


def written(citations: Iterable[Citation]) -> str:
    """Return the lines of several citations as one text, with a semicolon between them."""
    return "; ".join(citation.line for citation in citations)


def to_bibtex(citations: Iterable[Citation], used_by: Mapping[str, Iterable[str]] | None = None) -> str:
    """Return an entry of BibTeX a work, sorted by key, whatever parts of it are cited.

    The text is UTF-8, as biber and BibTeX since 2010 read it. What LaTeX would take for a command is escaped.

    Args:
        used_by: by key, the names that go into ``keywords``.
    """
    works = {citation.key: citation for citation in citations}
    return "\n\n".join(_entry(works[key], tuple((used_by or {}).get(key, ()))) for key in sorted(works))


def _entry(work: Citation, keywords: tuple[str, ...]) -> str:
    kind, _, rest = work.link.partition(":")
    fields = {
        "author": " and ".join(map(_escaped, work.authors)),
        # The inner braces keep the capitals, which styles would take away.
        "title": f"{{{_escaped(work.title)}}}",
        VENUE_FIELDS[work.kind]: _escaped(work.venue),
        "year": str(work.year),
        "doi": rest if kind == "doi" else "",
        "eprint": rest if kind == "arXiv" else "",
        "eprinttype": "arxiv" if kind == "arXiv" else "",
        "isbn": rest if kind == "isbn" else "",
        "url": work.url if kind not in ("doi", "arXiv") else "",
        "keywords": _escaped(", ".join(keywords)),
    }
    lines = (f"  {name} = {{{value}}}," for name, value in fields.items() if value)
    return "\n".join([f"@{work.kind}{{{work.key},", *lines, "}"])


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(character, character) for character in " ".join(text.split()))
