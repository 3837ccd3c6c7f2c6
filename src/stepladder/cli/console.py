"""Where every command prints, and the options that say so."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.groups import OUTPUT

AsJson = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        show_default=False,
        group=OUTPUT,
        help="Print the result as one JSON document; all else goes to stderr.",
    ),
]

OwnTechniques = Annotated[
    tuple[str, ...],
    Parameter(
        name="--technique",
        negative="",
        show_default=False,
        help="FILE.py:Class of a technique of your own that was used; code is run only when you name it.",
    ),
]


def register_own(references: Sequence[str]) -> None:
    """Make the techniques of a user's own files known; without any, nothing heavy is imported.

    Raises:
        RecipeError: a file cannot be loaded, or has no such class.
    """
    if references:
        from stepladder.techniques import register

        for reference in references:
            register(reference)


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


def typed_command() -> str:
    """Return what the user typed, as a shell would read it."""
    return shlex.join(["stepladder", *sys.argv[1:]])
