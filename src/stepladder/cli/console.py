"""Where messages go, and the option that sends them elsewhere; without the imports that training needs."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        show_default=False,
        help="Print the result as one JSON document; all else goes to stderr.",
    ),
]


def make_console(as_json: bool) -> Console:
    """Return where messages go: stdout, or stderr where stdout belongs to a JSON document."""
    console = Console(stderr=as_json, highlight=False)
    # Between words where somebody reads; not at all where a program or a log does.
    console.soft_wrap = not console.is_terminal
    return console
