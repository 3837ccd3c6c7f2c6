"""Where every command prints, and the options that say so."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from stepladder.cli.groups import MORE, OUTPUT
from stepladder.cli.streams import print_utf_8
from stepladder.errors import StudyError
from stepladder.files import json_text
from stepladder.report.screen import Screen

if TYPE_CHECKING:
    from stepladder.studies.running.execution import Execution

#: Exit status by reason. 75 is "temporary failure, try again" (sysexits.h), which batch queues understand.
EXIT_CODES = {"interrupt": 130, "terminate": 143, "hangup": 129, "time": 75}

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

Quiet = Annotated[
    bool,
    Parameter(
        name="--quiet", negative="", show_default=False, group=OUTPUT, help="Print only the result and what went wrong."
    ),
]

Verbose = Annotated[
    bool,
    Parameter(
        name="--verbose",
        negative="",
        show_default=False,
        group=OUTPUT,
        help="Print a line an epoch as well, and of a bag of words a line a step.",
    ),
]

OwnTechniques = Annotated[
    tuple[str, ...],
    Parameter(
        name="--technique",
        negative="",
        show_default=False,
        group=MORE,
        help="FILE.py:Class of a technique of your own that was used; code is run only when you name it.",
    ),
]


OwnNetwork = Annotated[
    str | None,
    Parameter(
        name="--network",
        show_default=False,
        group=MORE,
        help="FILE.py:function that builds the model's network, where it is your own; it is run only when you name it.",
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


def make_console(as_json: bool = False) -> Screen:
    """Return where messages go: stdout, or stderr where stdout belongs to a JSON document, which is UTF-8."""
    if as_json:
        print_utf_8()
    console = Screen(stderr=as_json, highlight=False)
    # Between words where somebody reads; not at all where a program or a log does.
    console.soft_wrap = not console.is_terminal
    return console


def make_aside(console: Screen, *, quiet: bool, verbose: bool = False) -> Screen:
    """Return where that goes which is said on the way to a result: the same screen, or nowhere with ``--quiet``.

    Raises:
        StudyError: both are asked for.
    """
    if quiet and verbose:
        raise StudyError("--quiet and --verbose contradict each other; give one")
    return Screen(quiet=True, force_terminal=False) if quiet else console


def print_json(document: Any) -> None:
    """Print the one JSON document of a command, strict and in UTF-8, as our files are."""
    print(json_text(document), end="")


@contextmanager
def at_work(console: Screen, execution: Execution, as_json: bool) -> Iterator[None]:
    """Do a job inside. Ctrl-C, SIGTERM and the clock end it, and what is kept and how to go on is said.

    Raises:
        SystemExit: it was stopped; the code tells why.
    """
    from stepladder.api.job import SAME_CALL_GOES_ON
    from stepladder.api.signals import stopping_politely
    from stepladder.cli.flags import to_flags

    # Until the reason is said: the second signal of an impatient user may come when the first has done its work.
    with stopping_politely(execution.stop), stdout_for_json(as_json):
        try:
            yield
        except KeyboardInterrupt as stopped:
            kept = (getattr(stopped, "__notes__", None) or [f"Stopped{SAME_CALL_GOES_ON}"])[-1]
            said = to_flags(kept.removesuffix(SAME_CALL_GOES_ON))
            how = f"; continue with:\n  {execution.command}" if kept.endswith(SAME_CALL_GOES_ON) else ""
            console.print(f"\n{said}{how}", markup=False, soft_wrap=True)  # a command to copy must stay one line
            raise SystemExit(EXIT_CODES.get(getattr(stopped, "reason", "interrupt"), 130)) from None


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
