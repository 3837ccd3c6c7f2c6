"""``stepladder techniques``: what can be switched on."""

from __future__ import annotations

import inspect
import json
import re
from typing import Annotated, Any

from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stepladder.cli.console import AsJson
from stepladder.techniques import TECHNIQUES, Technique, find_technique


def techniques(
    name: Annotated[str | None, Parameter(help="Show this one with its options and its paper.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List the techniques with what each does, or show one."""
    shown = list(TECHNIQUES.values()) if name is None else [find_technique(name)]
    console = Console(highlight=False)
    if as_json:
        print(json.dumps([_card(technique) for technique in shown], indent=2, ensure_ascii=False))
    elif name is None:
        console.print(_table(shown))
        console.print("One in full: stepladder techniques NAME", style="dim")
    else:
        _show_card(console, shown[0])


def _card(technique: type[Technique]) -> dict[str, Any]:
    return {
        "name": technique.name,
        "group": technique.group,
        "summary": technique.summary,
        "paper": technique.paper,
        "caveat": technique.caveat,
        "options": {option: field.default for option, field in technique.model_fields.items()},
    }


def _table(shown: list[type[Technique]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("technique", style="bold", no_wrap=True)
    table.add_column("group", no_wrap=True)
    table.add_column("what it does")
    for technique in shown:
        table.add_row(technique.name, technique.group, technique.summary)
    return table


def _show_card(console: Console, technique: type[Technique]) -> None:
    card = _card(technique)
    console.print(f"[bold]{technique.name}[/bold] ({technique.group}): {technique.summary}")
    options = ", ".join(f"{option} = {default}" for option, default in card["options"].items()) or "none"
    for label, text in (("options", options), ("paper", technique.paper), ("mind", technique.caveat)):
        console.print(f"  {label:<8} {text}", markup=False)
    console.print(Padding(Text(_explanation(technique)), (1, 0, 0, 2)))


def _explanation(technique: type[Technique]) -> str:
    """Return the docstring, which says what each option means, without its marks, a line a paragraph or option."""
    text = (inspect.getdoc(technique) or "").replace("``", "").replace("Attributes:", "Options:")
    return re.sub(r"(?<=[^\n:])\n(?: {8})?(?=\S)", " ", text)
