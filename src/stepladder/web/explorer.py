"""The network explorer at an address: the page of ``stepladder inspect --explore``, with the report's network."""

from __future__ import annotations

from functools import lru_cache

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response


async def explore(_: Request) -> Response:
    """Return the page; it holds its own script, which its policy names by its SHA-256, and asks for nothing more."""
    page, policy = await run_in_threadpool(_page)
    return HTMLResponse(page, headers={"Content-Security-Policy": f"{policy}; frame-ancestors 'none'"})


@lru_cache
def _page() -> tuple[bytes, str]:
    from stepladder.network.inspection import inspect_network  # here, as few viewers ask for this page
    from stepladder.report.explorer import explorer_policy, render_explorer

    return render_explorer(inspect_network("report")).encode(), explorer_policy()
