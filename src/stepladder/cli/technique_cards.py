"""What ``stepladder techniques`` prints: the list, or one technique in full. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stepladder.answers import see_answers
from stepladder.errors import RecipeError
from stepladder.report.screen import Screen
from stepladder.studies import pool
from stepladder.techniques.cards import Card, Option, all_cards, cards_to_bibtex, find_card, to_json


def list_techniques(name: str | None, references: tuple[str, ...], as_json: bool, bibtex: bool) -> None:
    """Print the list by group, or one card; as JSON, or of either the papers alone."""
    if as_json and bibtex:
        raise RecipeError("--json and --bibtex exclude one another; give one of them (--json has the papers too)")
    cards = all_cards(references) if name is None else [find_card(name, references)]
    console = Screen(highlight=False)
    if as_json:
        print(to_json(cards))
    elif bibtex:
        print(cards_to_bibtex(cards) or f"% {cards[0].name} names no paper as data; its card says: {cards[0].paper}")
    elif name is None:
        console.print(_table(cards, console.width))
        console.print("One in full: stepladder techniques NAME", style="dim")
    else:
        _show_card(console, cards[0])


def _table(cards: list[Card], width: int) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    names = 2 + max(len(card.name) for card in cards)
    room = width - names - 2
    table.add_column("technique", no_wrap=True, min_width=names)
    table.add_column("what it does")
    group = None
    for card in cards:
        if card.group != group:
            group = card.group
            table.add_row(Text(group, style="bold"), "")
        table.add_row(f"  {card.name}", Text(_cut(card.summary, room)))
    return table


def _cut(text: str, room: int) -> str:
    """Cut at a word: wrapped, the list would be longer than a screen. The card has the whole sentence."""
    return text if len(text) <= room else f"{text[: room - 1].rpartition(' ')[0]} …"


def _show_card(console: Console, card: Card) -> None:
    console.print(Text.assemble((card.name, "bold"), f" ({card.group}): {card.summary}"))
    if card.plain:
        console.print(Padding(Text(card.plain), (1, 0, 1, 2)))
    rows = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column()
    options: Mapping[str, Option | None] = card.options or {"": None}
    for number, (option, facts) in enumerate(options.items()):
        default = f"{option} = {written_value(facts.default)}" if facts else ""
        described = f"{facts.description} ({facts.range})" if facts else "none"
        rows.add_row("  options" if number == 0 else "", Text(default), Text(described))
    console.print(rows)
    texts = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    texts.add_column(no_wrap=True)
    texts.add_column(overflow="fold")  # an address must stay whole
    # A technique of the user's own may have a line of text alone.
    papers = [f"{paper.line}. {paper.venue}. {paper.url or paper.link}".strip() for paper in card.papers] or [
        card.paper
    ]
    told = {"differs": card.differs, "cost": card.cost, "mind": card.caveat, "with others": card.interactions}
    told["in the atlas"] = _in_atlas(card.name)
    told["questions"] = see_answers(card.name) or ""
    rows_of_text = [("paper" if number == 0 else "", text) for number, text in enumerate(papers)]
    for label, text in [*rows_of_text, *told.items()]:
        if text:
            texts.add_row(f"  {label}", Text(text))
    console.print(texts)
    console.print(Padding(Text(card.explanation), (1, 0, 0, 2)))


def _in_atlas(technique: str) -> str:
    """Return what the atlas has of a technique; empty, and without an import, where Stepladder comes with none."""
    if not pool.ATLAS_FILE.is_file():
        return ""
    from stepladder.report.atlas import describe_card

    return describe_card(technique)


def written_value(value: Any) -> str:
    """Return the default of an option in words: ``automatic`` where the images decide."""
    if value in (None, "", []):
        return "automatic"
    return str(value).lower() if isinstance(value, bool) else str(value)
