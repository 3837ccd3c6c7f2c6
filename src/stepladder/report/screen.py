"""Where words reach a terminal: names are made printable and command nothing there, and no table is cut."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table

from stepladder.errors import printable
from stepladder.report.narrow import fits, stacked


class Screen(Console):
    """A console that prints of every text what a reader sees, see :func:`stepladder.errors.printable`.

    Colors and moves of the cursor are its own, and no part of a text. A table that is wider than the screen is stacked.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of whatever is printed, each of them printable."""
        if isinstance(renderable, Table) and renderable.show_header:
            width = (options or self.options).max_width
            if not fits(renderable, width):
                renderable = stacked(renderable, width)
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
