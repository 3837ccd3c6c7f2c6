"""Where words reach a terminal: names from outside are made printable, and command nothing there."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from stepladder.errors import printable


class Screen(Console):
    """A console that prints of every text what a reader sees, see :func:`stepladder.errors.printable`.

    Colors and moves of the cursor are its own, and no part of a text.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the pieces of whatever is printed, each of them printable."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else printable(segment.text)
            yield segment if text == segment.text else Segment(text, segment.style)
