"""``stepladder pool``: what techniques do over several image sets, and on a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import AsJson, make_console, print_json, typed_command
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, OUTPUT


def pool(
    studies: Annotated[
        tuple[Path, ...],
        Parameter(
            negative="",
            show_default=False,
            help="Folders of studies of different image sets, and of findings that were saved.",
        ),
    ] = (),
    /,
    *,
    out: Annotated[
        Path | None, Parameter(group=FIRST, help="Folder of the report; pool in the current folder by default.")
    ] = None,
    save: Annotated[
        Path | None,
        Parameter(
            group=FIRST,
            help="Folder that keeps the findings for later pools, with names and paths removed; one study is enough.",
        ),
    ] = None,
    keep_names: Annotated[
        bool,
        Parameter(group=FIRST, negative="", show_default=False, help="Of --save: keep names of image sets and rungs."),
    ] = False,
    schema: Annotated[
        bool,
        Parameter(group=OUTPUT, negative="", show_default=False, help="Print the JSON schema of what --json prints."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what techniques do over several image sets: the mean, and what a new set will probably have."""
    from stepladder.api import pool as verbs
    from stepladder.errors import StudyError
    from stepladder.report.pool import POOL_NAME, build_pool_document, pool_schema
    from stepladder.report.sections.pool import describe_pool
    from stepladder.report.sections.pool_techniques import terminal_pool

    if schema:
        print(pool_schema(), end="")
        return
    if keep_names and save is None:
        raise StudyError("`keep_names` is for what `save` keeps; name a folder with `save`, or leave it out")
    console = make_console(as_json)
    found = verbs.pool(
        list(studies), out=out or Path(POOL_NAME), save=save, keep_names=keep_names, command=typed_command()
    )
    if found.techniques:
        console.print(terminal_pool(found.findings))
        console.print()
    if found.folder is not None:
        for sentence in describe_pool(found.findings):
            console.print(to_flags(sentence), markup=False)
        console.print(f"\nReport: {found.folder / f'{POOL_NAME}.html'}", markup=False)
    if save is not None:
        console.print(f"Saved: {save / 'findings.json'}", markup=False)
    if as_json:
        print_json(build_pool_document(found.findings))
