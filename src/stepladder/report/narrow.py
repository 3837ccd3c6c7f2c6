"""Tables on a narrow screen: stacked, a line a figure, where a column would be cut or a word broken."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from stepladder.errors import printable

#: Columns between a label and its figure.
_GAP = 2
_INDENT = 2


def fits(table: Table, width: int) -> bool:
    """Whether a table can be printed with no word broken, and no line of what must not wrap."""
    # Printed to see: rich makes columns narrower in proportion, whatever the words in them need.
    lines = Console(width=width, file=io.StringIO(), color_system=None).render_lines(table, pad=False)
    shown = "\n".join(printable("".join(segment.text for segment in line)) for line in lines)
    whole = Counter(
        printable(piece)
        for column in table.columns
        for cell in _all(table, column)
        for line in _text(cell).plain.split("\n")
        for piece in ([line] if column.no_wrap else line.split())
        if piece.strip()
    )
    return all(shown.count(piece) >= times for piece, times in whole.items())


def stacked(table: Table, width: int) -> RenderableType:
    """Return a table as a block a row: the first cell, and below it each other cell beside its column's head.

    A first cell that is a figure has its head before it. Empty cells are left out. A figure that does not fit beside
    its head stands below it.
    """
    first, *others = table.columns
    heads = [_one_line(column.header).plain for column in others]
    room = max(map(len, heads), default=0) + _GAP
    blocks: list[Text] = [] if table.title is None else [_one_line(table.title)]
    rows = [*zip(*(column.cells for column in table.columns), strict=True)]
    rows += [tuple(column.footer for column in table.columns)] if table.show_footer else []
    for number, cells in enumerate(rows):
        name, *below = _text(cells[0]).split("\n")
        name.stylize(first.style)
        if first.justify == "right" and name.plain:
            name = Text.assemble((f"{_one_line(first.header).plain} ", "dim"), name)
        blocks += [*([Text()] if number else []), name, *(_indented(line) for line in below if line.plain)]
        for head, cell in zip(heads, cells[1:], strict=True):
            figure = _one_line(cell)
            if not figure.plain:
                continue
            if not head:
                blocks.append(_indented(figure))
            elif _INDENT + room + figure.cell_len <= width:
                blocks.append(_indented(Text.assemble((head.ljust(room), "dim"), figure)))
            else:
                blocks += [_indented(Text(head, style="dim")), _indented(figure, twice=True)]
    return Group(*blocks)


def _indented(text: Text, *, twice: bool = False) -> Text:
    return Text.assemble(" " * (2 * _INDENT if twice else _INDENT), text)


def _all(table: Table, column: Column) -> Iterator[RenderableType]:
    yield column.header
    yield from column.cells
    if table.show_footer:
        yield column.footer


def _one_line(cell: RenderableType) -> Text:
    return Text(" ").join(_text(cell).split("\n"))


def _text(cell: RenderableType) -> Text:
    return (
        cell.copy() if isinstance(cell, Text) else Text.from_markup(cell) if isinstance(cell, str) else Text(str(cell))
    )
