"""What is said of each technique: the catalogue's from a file beside this one, so that a list of them needs no torch.

``cards.json`` is made of the classes by ``tests/techniques/test_cards.py``; CONTRIBUTING.md has the command.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from stepladder.citations import Citation, to_bibtex

if TYPE_CHECKING:
    from stepladder.techniques.base import Technique

#: Where packages announce their techniques: ``blur = "my_package.blur:Blur"``.
ENTRY_POINTS = "stepladder.techniques"


@dataclass(frozen=True)
class Option:
    """One option of a technique: its default, what it takes in words, and what it is."""

    default: Any
    range: str
    description: str | None


@dataclass(frozen=True)
class Card:
    """What is said of one technique.

    Attributes:
        name, group, summary, plain, papers, paper, differs, caveat, cost, interactions, regularizes: see
            :class:`stepladder.techniques.Technique`.
        options: by name, in the order of the fields.
        explanation: the docstring as plain text, a line a paragraph.
    """

    name: str
    group: str
    summary: str
    plain: str
    papers: tuple[Citation, ...]
    paper: str
    differs: str
    caveat: str
    cost: str
    interactions: str
    regularizes: bool
    options: dict[str, Option]
    explanation: str


def all_cards(references: Sequence[str] = ()) -> list[Card]:
    """Return the cards of the catalogue, then those of packages, then those of files.

    Only the user's own techniques, where there are any, are loaded to be read.

    Args:
        references: ``FILE.py:Class`` of techniques of the user's own.

    Raises:
        RecipeError: one of them cannot be loaded.
    """
    cards = catalogue_cards()
    if references or entry_points(group=ENTRY_POINTS):
        from stepladder.techniques.catalogue import own_techniques, register

        for reference in references:
            register(reference)
        cards += [make_card(technique) for technique in own_techniques().values()]
    return cards


def find_card(name: str, references: Sequence[str] = ()) -> Card:
    """Return the card of the technique called ``name``; ``references`` as in :func:`all_cards`.

    Raises:
        RecipeError: there is none of that name, or a file cannot be loaded.
    """
    found = next((card for card in catalogue_cards() if card.name == name), None)
    if found is None or references:
        from stepladder.techniques.catalogue import find_technique, register

        for reference in references:
            register(reference)
        found = found or make_card(find_technique(name))
    return found


def make_card(technique: type[Technique]) -> Card:
    """Return what a class says of itself."""
    from stepladder.schema import range_of  # it needs pydantic, which a list does not

    text = (inspect.getdoc(technique) or "").replace("``", "")
    return Card(
        name=technique.name,
        group=technique.group,
        summary=technique.summary,
        plain=technique.plain,
        papers=technique.papers,
        paper=technique.paper,
        differs=technique.differs,
        caveat=technique.caveat,
        cost=technique.cost,
        interactions=technique.interactions,
        regularizes=technique.regularizes,
        options={
            option: Option(_as_json(field.default), range_of(technique, option), field.description)
            for option, field in technique.model_fields.items()
        },
        explanation=re.sub(r"(?<=[^\n:])\n(?: {8})?(?=\S)", " ", text),
    )


def to_json(cards: Iterable[Card]) -> str:
    """Return cards as one JSON document, as ``cards.json`` is and as a list is printed for programs."""
    return json.dumps([asdict(card) for card in cards], indent=2, ensure_ascii=False)


def catalogue_cards() -> list[Card]:
    """Return the cards of the techniques that come with Stepladder."""
    text = (resources.files("stepladder.techniques") / "cards.json").read_text(encoding="utf-8")
    return [_read(card) for card in json.loads(text)]


def cards_to_bibtex(cards: Iterable[Card]) -> str:
    """Return the papers of cards as BibTeX, each with the techniques that it is the paper of as keywords."""
    papers: dict[str, Citation] = {}
    techniques: dict[str, list[str]] = {}
    for card in cards:
        for paper in card.papers:
            papers[paper.key] = paper
            techniques.setdefault(paper.key, []).append(card.name)
    return to_bibtex(papers.values(), techniques)


def _read(card: dict[str, Any]) -> Card:
    options = {name: Option(**option) for name, option in card["options"].items()}
    papers = tuple(Citation(**{**paper, "authors": tuple(paper["authors"])}) for paper in card["papers"])
    return Card(**{**card, "options": options, "papers": papers})


def _as_json(value: Any) -> Any:
    """A default as the file of cards gives it back."""
    return list(value) if isinstance(value, tuple) else value
