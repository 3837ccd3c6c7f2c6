"""The pages of ``stepladder view`` and what they ask for, as one application of ASGI.

Everything is asked for by a study's key. Pages have no script or style of their own text; a report, which may be
anybody's, is served into a sandbox, where it reaches neither these pages nor a network.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from html import escape
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from stepladder.errors import StepladderError, printable
from stepladder.web.explorer import explore
from stepladder.web.guard import Limits, Refused
from stepladder.web.studies.board import Board
from stepladder.web.studies.control import Control
from stepladder.web.studies.folders import check_folder, open_inside
from stepladder.web.studies.training_watch import TrainingWatch
from stepladder.web.studies.viewer import AnyWatch, Viewer
from stepladder.web.studies.watch import StudyWatch

_PAGE = Path(__file__).parent / "page"

#: Seconds over which changes are gathered before a page is told, and after which a silent line says that it is alive.
_GATHER, _SILENCE = 0.2, 15.0
#: Bytes of a report that is served: the largest that was made has a tenth.
_MOST_REPORT = 64_000_000
#: Studies that are compared at a time.
_MOST_COMPARED = 20

#: Pages ask for little, and a whole class may open one in the same second.
LIMITS = Limits(body_bytes=2**16, held_bytes=2**22, running=1_000)

#: A report in a sandbox: its scripts run, and reach no page of ours, no cookie and no network.
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def view_app(folder: Path | str, *, control: bool = False, say: Callable[[str], str] = str) -> Starlette:
    """Return the application that shows all studies below a folder; it reads files and writes none.

    It belongs behind :class:`stepladder.web.guard.Guard`, as :func:`stepladder.web.server.run` puts it.

    Args:
        folder: that holds studies, at any depth.
        control: whether its pages may stop a study and go on with one, by the command that the study keeps.
        say: puts the library's words into the reader's.

    Raises:
        StudyError: there is no such folder.
    """
    real = check_folder(Path(folder))
    viewer = Viewer(real, say, Control(real, Path.cwd()) if control else None)

    @asynccontextmanager
    async def living(_: Starlette) -> AsyncIterator[None]:
        viewer.start()
        yield
        viewer.close()

    pages = _Pages(viewer)
    app = Starlette(
        routes=[
            Route("/", pages.shell),
            Route("/study/{key}", pages.shell),
            Route("/study/{key}/report", pages.report),
            Route("/compare", pages.compare),
            Route("/explore", explore),
            Route("/view.css", pages.style),
            Route("/view.js", pages.script),
            Route("/events", pages.list_events),
            Route("/events/{key}", pages.study_events),
            Route("/curves/{key}/{rung:int}", pages.curves),
            Route("/stop/{key}", pages.stop, methods=["POST"]),
            Route("/go-on/{key}", pages.go_on, methods=["POST"]),
        ],
        lifespan=living,
        exception_handlers={404: _not_found, 405: _not_found, Refused: _refused, StepladderError: _wrong},
    )
    app.state.viewer = viewer
    return app


class _Pages:
    """Answers, each of one address."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._shell = (_PAGE / "view.html").read_bytes()
        templates = Path(__file__).parents[2] / "report" / "templates"
        styles = (templates / "report.css", templates / "page.css", _PAGE / "view.css")
        self._style = "\n".join(path.read_text(encoding="utf-8") for path in styles)
        self._script = (_PAGE / "view.js").read_bytes()

    async def shell(self, request: Request) -> Response:
        """Return the page, which asks for everything else itself."""
        key = request.path_params.get("key")
        if key is not None:
            await self._watch(key)
        return HTMLResponse(self._shell)

    async def style(self, _: Request) -> Response:
        return Response(self._style, media_type="text/css")

    async def script(self, _: Request) -> Response:
        return Response(self._script, media_type="text/javascript")

    async def list_events(self, request: Request) -> Response:
        return self._events(request, self._viewer.board)

    async def study_events(self, request: Request) -> Response:
        watch = await self._watch(request.path_params["key"])
        return self._events(request, watch.board)

    async def curves(self, request: Request) -> Response:
        """Return the curves of one rung."""
        watch = await self._watch(request.path_params["key"])
        if not isinstance(watch, StudyWatch | TrainingWatch):
            raise Refused(404, "only a study and a training have curves here")
        try:
            found = await run_in_threadpool(watch.curves, request.path_params["rung"])
        except IndexError:
            raise Refused(404, "this study has no such rung; load the page again") from None
        return JSONResponse(found)

    async def report(self, request: Request) -> Response:
        """Return the study's own page, into a sandbox."""
        watch = await self._watch(request.path_params["key"])
        content = await run_in_threadpool(self._read_report, watch)
        return HTMLResponse(content, headers={"Content-Security-Policy": REPORT_POLICY})

    def _read_report(self, watch: AnyWatch) -> bytes:
        try:
            with open_inside(self._viewer.folder, watch.found.place, "report.html") as file:
                if os.fstat(file.fileno()).st_size > _MOST_REPORT:
                    raise Refused(413, "its report.html is larger than Stepladder writes any; open the file itself")
                return file.read(_MOST_REPORT)
        except FileNotFoundError:
            raise Refused(404, "this study has no report yet; it gets one when its first trial has ended") from None
        except OSError as error:
            raise Refused(404, f"its report.html is not shown: {error.strerror or error}") from None

    async def compare(self, request: Request) -> Response:
        """Return studies side by side."""
        keys = request.query_params.getlist("study")
        if len(keys) > _MOST_COMPARED:
            raise Refused(422, f"{len(keys)} studies are too many for one page; compare {_MOST_COMPARED} at most")
        await run_in_threadpool(self._viewer.find)
        try:
            page = await run_in_threadpool(self._viewer.compare, keys)
        except StepladderError as error:
            return _sentence_page(422, "Not compared", self._viewer.say(str(error)))
        return HTMLResponse(page, headers={"Content-Security-Policy": REPORT_POLICY})

    async def stop(self, request: Request) -> Response:
        """Stop a study, where that is allowed."""
        control, watch = await self._controlled(request)
        return JSONResponse({"said": await run_in_threadpool(control.stop, watch)})

    async def go_on(self, request: Request) -> Response:
        """Go on with a study, where that is allowed."""
        control, watch = await self._controlled(request)
        return JSONResponse({"said": await run_in_threadpool(control.go_on, watch)})

    async def _controlled(self, request: Request) -> tuple[Control, StudyWatch]:
        control = self._viewer.control
        if control is None:
            raise Refused(403, "this view only looks; start it with --control to stop studies and go on with them")
        watch = await self._watch(request.path_params["key"])
        if not isinstance(watch, StudyWatch):
            raise Refused(422, "only a study is stopped and gone on with from here; type the command of this one")
        return control, watch

    async def _watch(self, key: str) -> AnyWatch:
        watch = self._viewer.watch(key)
        if watch is None:
            await run_in_threadpool(self._viewer.find)
            watch = self._viewer.watch(key)
        if watch is None:
            raise Refused(404, "there is no such study here (any more); the list has those that there are")
        return watch

    def _events(self, request: Request, board: Board) -> Response:
        stopping: asyncio.Event | None = request.scope.get("stepladder.stopping")

        async def events() -> AsyncIterator[str]:
            board.readers += 1
            self._viewer.wake()
            version, silent = -1, 0.0
            try:
                yield "retry: 3000\n\n"
                while stopping is None or not stopping.is_set():
                    version, text = board.text_since(version)
                    if text:
                        silent = 0.0
                        yield f"data: {text}\n\n"
                        await asyncio.sleep(_GATHER)
                        continue
                    # Woken now and then, to hear that the server stops.
                    await board.wait(version, 1.0)
                    silent += 1.0
                    if silent >= _SILENCE:
                        silent = 0.0
                        yield ": still here\n\n"
            finally:
                board.readers -= 1

        return StreamingResponse(events(), media_type="text/event-stream")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    if "text/html" in request.headers.get("accept", ""):  # somebody reads it
        return _sentence_page(error.status, "Not here", error.sentence)
    return JSONResponse({"error": error.sentence}, error.status, error.headers)


async def _wrong(request: Request, error: Exception) -> Response:
    return await _refused(request, Refused(409, str(error)))


async def _not_found(request: Request, _: Exception) -> Response:
    return await _refused(request, Refused(404, "there is no such page; the list of studies is at /"))


def _sentence_page(status: int, title: str, sentence: str) -> Response:
    """Return a page of one sentence."""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark"><title>Stepladder view</title><link rel="icon" href="data:,">'
        f'<link rel="stylesheet" href="/view.css"></head><body class="report view"><main><h1>{escape(title)}</h1>'
        f'<p>{escape(printable(sentence))}</p><p><a href="/">All studies</a></p></main></body></html>'
    )
    return HTMLResponse(page, status_code=status)
