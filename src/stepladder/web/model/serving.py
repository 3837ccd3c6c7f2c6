"""One call that serves a model: what ``stepladder serve`` is, and :func:`stepladder.serve`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stepladder.errors import printable
from stepladder.web.guard import Guard, Handled
from stepladder.web.server import Where, require_serve, run

if TYPE_CHECKING:
    from stepladder.web.model.app import ModelLimits

#: Letters of a trial's id that tell it from the others of its study.
_ID_LETTERS = 8


def serve(
    model: Any,
    *,
    host: str = "127.0.0.1",
    port: int | None = None,
    token: str | None = None,
    limits: ModelLimits | None = None,
    open_page: bool = False,
    say: Callable[[str], None] = print,
    log: Callable[[str], None] | None = print,
) -> str:
    """Answer by HTTP what a model says of images, until Ctrl-C or SIGTERM; return which: ``interrupt``, ``terminate``.

    Args:
        model: a folder of a trained model, an exported ``.onnx`` file, or a loaded model.
        host: who can reach it; by default this machine alone.
        port: 0 for any free one; None for 8000 or the next that is free.
        token: what whoever asks has to know; where others reach it and none is given, one is made, and is in the
            address that is printed.
        limits: how much at a time; :class:`stepladder.web.ModelLimits`.
        open_page: open its page in the browser.
        say: told its address, and how it ended.
        log: told of each request: time, address, status; nothing of what was sent. None for silence.

    Raises:
        StudyError: the extra ``serve`` is not installed.
        StepladderError: the model cannot be read, or the port is taken.
    """
    require_serve()
    from stepladder.model.classifier import Classifier
    from stepladder.web.model.app import ModelApp, ModelLimits

    name = _name_of(model)
    where = Where(host, port, token)
    access = where.make_access()
    if not isinstance(model, Classifier):
        from stepladder.model.find import load_model

        model = load_model(model)
    limits = ModelLimits() if limits is None else limits
    served = ModelApp(model, name, limits)

    def handled(one: Handled) -> None:
        served.metrics.handled(one)
        if log is not None:
            log(line_of(one))

    guard = Guard(served.app, access, limits, handled)
    served.metrics.watch(lambda: guard.open)
    return run(
        guard,
        where,
        say=say,
        what=f"{served.name} ({len(model.class_names):,} classes)",
        open_page=open_page,
    )


def line_of(one: Handled) -> str:
    """Return a request as a line of a log; nothing of what was sent, and no token."""
    return f"{datetime.now():%H:%M:%S}  {one.status}  {1000 * one.seconds:6.0f} ms  {one.method} {one.path}"


def _name_of(model: Any) -> str:
    """Return what people know a model by: its file, its folder, or its study and the start of its trial's id."""
    place = getattr(model, "folder", None) or getattr(model, "_place", None) or model
    if not isinstance(place, str | Path):
        return "model"
    parts = list(Path(place).expanduser().absolute().with_suffix("").parts)
    if parts[-1] == "model" and len(parts) > 1:
        parts.pop()
    if len(parts) > 2 and parts[-2] == "trials":
        return printable(f"{parts[-3]}, trial {parts[-1][:_ID_LETTERS]}")
    return printable(parts[-1])
