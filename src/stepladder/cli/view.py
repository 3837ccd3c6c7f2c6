"""``stepladder view``: a page of all studies below a folder, live while they run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import EXIT_CODES, OwnTechniques, make_console, register_own
from stepladder.cli.flags import to_flags
from stepladder.cli.web_options import Host, OpenPage, Port, Token
from stepladder.web.server import require_serve


def view(
    folder: Annotated[Path, Parameter(help="A folder that holds studies, at any depth; or one study.")] = Path("."),  # noqa: PTH201
    /,
    *,
    port: Port = None,
    open_page: OpenPage = False,
    host: Host = "127.0.0.1",
    token: Token = None,
    control: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Let the page stop a study, as Ctrl-C does, and go on with one by the command that it keeps; without "
            "it, the page only looks.",
        ),
    ] = False,
    technique: OwnTechniques = (),
) -> int:
    """Show all studies below a folder in the browser, live while they run: it reads their files and writes none."""
    require_serve()
    from stepladder.web.server import Where, run
    from stepladder.web.studies.app import LIMITS, view_app

    where = Where(host, port, token)
    register_own(technique)
    app = view_app(folder, control=control, say=to_flags)
    console = make_console()

    def say(sentence: str) -> None:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)

    reason = run(app, where, limits=LIMITS, say=say, what="The view of your studies", open_page=open_page)
    return EXIT_CODES[reason]
