"""Options of commands that serve a page: where it listens, and who may ask."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

Port = Annotated[
    int | None, Parameter(show_default=False, help="By default 8000 or the next that is free; 0 is any free one.")
]
OpenPage = Annotated[
    bool, Parameter(name="--open", negative="", show_default=False, help="Open the page in your browser.")
]
Host = Annotated[
    str, Parameter(help="Who can reach it: by default this machine alone; 0.0.0.0 lets others, who need the token.")
]
Token = Annotated[
    str | None,
    Parameter(
        show_default=False,
        help="What whoever asks has to know, 16 letters or more; STEPLADDER_TOKEN of the environment will do as well. "
        "With another --host one is made where none is given.",
    ),
]
