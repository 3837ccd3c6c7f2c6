"""The pictures of reports in tests of other things: drawn and not rendered, which is a third of a small study's time.

All tests have dots for pictures but those of ``tests/report``, which renders every kind of picture, and those that ask
for ``pictures_rendered``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stepladder.report.figures import style

RENDER = style._save
#: One white pixel, and an empty drawing.
DOTS = {
    "png": base64.b64decode(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAsTj2FAAAAABJRU5ErkJggg=="
    ),
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="1pt" height="1pt" viewBox="0 0 1 1"></svg>',
}


@contextmanager
def as_dots() -> Iterator[None]:
    """Write a dot in place of every picture, once it is drawn."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_save", lambda figure, **options: DOTS[options["format"]])
        yield


@contextmanager
def rendered() -> Iterator[None]:
    """Render pictures after all, within ``as_dots``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "_save", RENDER)
        yield
