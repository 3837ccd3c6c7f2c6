"""Where every command prints, and the option that says so."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
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


@contextmanager
def stdout_for_json(as_json: bool) -> Iterator[None]:
    """Send what a user's own technique prints to stderr while inside, where stdout belongs to a JSON document."""
    if not as_json:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield
