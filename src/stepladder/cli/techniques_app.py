"""``stepladder techniques`` and its commands, by name alone: listing them imports no torch."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from stepladder.cli.groups import BEFORE, COMMANDS

app = App(
    name="techniques",
    help="List the techniques by group, or show one in full.",
    help_epilogue="Examples:\n  stepladder techniques\n  stepladder techniques dropout\n"
    "  stepladder techniques dropout --bibtex",
    group=BEFORE,
    group_commands=COMMANDS,
    sort_key=100,
)


@app.default
def techniques(
    name: Annotated[
        str | None, Parameter(help="Show this one: what it does in plain words, its options, its papers, its cost.")
    ] = None,
    *,
    technique: Annotated[
        tuple[str, ...],
        Parameter(negative="", show_default=False, help="FILE.py:Class of one of your own, to list it too."),
    ] = (),
    as_json: Annotated[
        bool, Parameter(name="--json", negative="", show_default=False, help="Print the cards as one JSON document.")
    ] = False,
    bibtex: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Print the papers as BibTeX: of all, or of the one named."),
    ] = False,
) -> None:
    """List the techniques with what each does, or show one."""
    from stepladder.cli.technique_cards import list_techniques

    list_techniques(name, technique, as_json, bibtex)
