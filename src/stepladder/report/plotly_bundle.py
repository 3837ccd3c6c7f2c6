"""The charts' library of the page: plotly.js, its basic bundle from npm, packed beside the templates.

``.ci/vendor-plotly VERSION`` fetches another version and writes both pins here. In the page it stays packed: 0.5 MB in
place of 1.2. ``unpack.js`` unpacks it there, and the browser runs it only if its SHA-256 is the one pinned here.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from pathlib import Path

VERSION = "4.1.1"
#: Of the script as the browser runs it, unpacked.
SHA256 = "99784e3abfb07b142a15e521a439e6d9addceadb3f79553fd24c72774f0649ba"

_VENDOR = Path(__file__).parent / "templates" / "vendor"


@lru_cache
def packed_bundle() -> str:
    """Return the gzip file of the script in base64: no letter of it means anything in a page."""
    return base64.b64encode((_VENDOR / "plotly-basic.min.js.gz").read_bytes()).decode("ascii")


@lru_cache
def bundle_license() -> str:
    """Return the license of plotly.js, which goes wherever the script goes."""
    return (_VENDOR / "plotly-LICENSE.txt").read_text(encoding="utf-8").strip()
