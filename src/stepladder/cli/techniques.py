"""What ``stepladder techniques`` prints and writes: the list, a card, a sheet, a template."""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stepladder.cli.data_options import Data
from stepladder.cli.groups import FIRST
from stepladder.datasets import load_image_set
from stepladder.errors import RecipeError
from stepladder.files import replace_bytes
from stepladder.recipe import TechniqueSetting, read_value
from stepladder.report.figures.style import to_png
from stepladder.report.figures.technique_sheet import draw_sheet
from stepladder.schema import range_of
from stepladder.techniques import Technique, find_technique, known_techniques, register
from stepladder.techniques.template import write_template


def list_techniques(name: str | None, references: tuple[str, ...], as_json: bool) -> None:
    """Print the list by group, or one card."""
    for reference in references:
        register(reference)
    shown = list(known_techniques().values()) if name is None else [find_technique(name)]
    console = Console(highlight=False)
    if as_json:
        print(json.dumps([_card(technique) for technique in shown], indent=2, ensure_ascii=False))
    elif name is None:
        console.print(_table(shown, console.width))
        console.print("One in full: stepladder techniques NAME", style="dim")
    else:
        _show_card(console, shown[0])


def show(
    name: Annotated[str, Parameter(group=FIRST, help="A technique, or FILE.py:Class of one of your own.")],
    *,
    data: Data = "digits",
    settings: Annotated[
        tuple[str, ...],
        Parameter(
            name="--set", group=FIRST, negative="", show_default=False, help="An option of the technique: degrees=45."
        ),
    ] = (),
    limit: Annotated[int | None, Parameter(group=FIRST, help="Use only the first N images a class.")] = None,
    out: Annotated[Path | None, Parameter(group=FIRST, help="The picture to write; <name>.png by default.")] = None,
) -> None:
    """Draw what a technique does to images, before and after, with their targets; or to the learning rate."""
    found = register(name)
    table: dict[str, Any] = {"name": found.name}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise RecipeError(f"--set {setting} has no value; write it as --set {key}=VALUE")
        table[key.strip().removeprefix(f"{found.name}.")] = read_value(value.strip())
    technique = TechniqueSetting.model_validate(table).make()
    path = out or Path(f"{found.name}.png")
    replace_bytes(path, to_png(draw_sheet(technique, load_image_set(data, limit=limit))))
    Console(highlight=False).print(f"Sheet: {path}", markup=False)


def new(
    name: Annotated[str, Parameter(help="The class, as Blur.")],
    *,
    out: Annotated[Path, Parameter(help="The folder to write into.")] = Path(),
) -> None:
    """Write <name>.py with a technique that works, and test_<name>.py, to start from."""
    file, test = write_template(name, out)
    console = Console(highlight=False)
    console.print(
        f"Wrote {file} and {test}. Try them:\n  python -m pytest {test}\n  stepladder techniques show {file}:{name}\n"
        f"  stepladder study digits --technique {file}:{name}",
        markup=False,
        soft_wrap=True,  # commands to copy must stay one line
    )


def _card(technique: type[Technique]) -> dict[str, Any]:
    return {
        "name": technique.name,
        "group": technique.group,
        "summary": technique.summary,
        "paper": technique.paper,
        "caveat": technique.caveat,
        "cost": technique.cost,
        "interactions": technique.interactions,
        "options": {
            option: {"default": field.default, "range": range_of(technique, option), "description": field.description}
            for option, field in technique.model_fields.items()
        },
    }


def _table(shown: list[type[Technique]], width: int) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    names = 2 + max(len(technique.name) for technique in shown)
    room = width - names - 2
    table.add_column("technique", no_wrap=True, min_width=names)
    table.add_column("what it does")
    group = None
    for technique in shown:
        if technique.group != group:
            group = technique.group
            table.add_row(Text(group, style="bold"), "")
        table.add_row(f"  {technique.name}", Text(_cut(technique.summary, room)))
    return table


def _cut(text: str, room: int) -> str:
    """Cut at a word: wrapped, the list would be longer than a screen. The card has the whole sentence."""
    return text if len(text) <= room else f"{text[: room - 1].rpartition(' ')[0]} …"


def _show_card(console: Console, technique: type[Technique]) -> None:
    card = _card(technique)
    console.print(Text.assemble((technique.name, "bold"), f" ({technique.group}): {technique.summary}"))
    rows = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    rows.add_column(no_wrap=True)
    rows.add_column(no_wrap=True)
    rows.add_column()
    options = card["options"] or {"": {"default": None, "range": "", "description": "none"}}
    for number, (option, facts) in enumerate(options.items()):
        default = f"{option} = {_written(facts['default'])}" if option else ""
        described = f"{facts['description']} ({facts['range']})" if option else "none"
        rows.add_row("  options" if number == 0 else "", Text(default), Text(described))
    console.print(rows)
    texts = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
    texts.add_column(no_wrap=True)
    texts.add_column()
    for label in ("paper", "cost", "mind", "with others"):
        key = {"mind": "caveat", "with others": "interactions"}.get(label, label)
        texts.add_row(f"  {label}", Text(card[key]))
    console.print(texts)
    console.print(Padding(Text(_explanation(technique)), (1, 0, 0, 2)))


def _written(value: Any) -> str:
    if value is None:
        return "automatic"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _explanation(technique: type[Technique]) -> str:
    """Return the docstring without its marks, a line a paragraph."""
    text = (inspect.getdoc(technique) or "").replace("``", "")
    return re.sub(r"(?<=[^\n:])\n(?: {8})?(?=\S)", " ", text)
