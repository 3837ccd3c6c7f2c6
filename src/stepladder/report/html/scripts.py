"""The page's scripts: plotly.js as its package brings it, ours, and the policy that lets these run and no other."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

_SCRIPTS = Path(__file__).parent.parent / "templates" / "scripts"
#: In the order in which they build on one another.
_OURS = ("base.js", "ladder.js", "curves.js", "model.js", "start.js")


@lru_cache
def plotly_script() -> str:
    """Return plotly.js, 4.8 MB: in the page, so that it opens offline."""
    # Read as a file: importing plotly would take longer than rendering the page.
    return (resources.files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")


@lru_cache
def page_script() -> str:
    """Return the page's own script."""
    parts = "\n".join((_SCRIPTS / name).read_text(encoding="utf-8") for name in _OURS)
    return f'"use strict";\n(function () {{\n{parts}\n}})();\n'


@lru_cache
def content_policy() -> str:
    """Return the Content-Security-Policy: nothing from anywhere, no script but those two, by their SHA-256.

    Styles are allowed inline, since plotly.js sets them on every element that it draws.
    """
    hashes = " ".join(f"'sha256-{_digest(script)}'" for script in (plotly_script(), page_script()))
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def as_json(document: Any) -> str:
    """Return a document as JSON that can stand inside a script element: no ``<`` is in it.

    >>> as_json({"name": "</script>"})
    '{"name":"\\\\u003c/script>"}'
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
