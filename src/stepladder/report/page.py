"""``report.html``: the sections of any report as one file that answers, and asks for nothing from anywhere.

Here is the frame: head, content policy, navigation, style and scripts. What stands in it, each section brings.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from stepladder.errors import printable
from stepladder.report.plotly_bundle import SHA256, VERSION, bundle_license, packed_bundle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stepladder.report.section import Head, Picture, Section

F = TypeVar("F")

_REPORT = Path(__file__).parent
_TEMPLATES = _REPORT / "templates"
#: Before the sections' scripts, which use them, and after; in the order in which they build on one another.
_FIRST, _LAST = ("base.js", "rows.js"), ("start.js",)
#: Unpacks plotly.js before all else, where a section draws with it.
_UNPACK = "unpack.js"
_STYLES = ("report.css", "page.css")
#: Letters of a PNG from which an image is taken for a photograph; drawings and digits have fewer, and stay exact.
_PHOTOGRAPH = 1_600


class Embedded(NamedTuple):
    """One figure as data URIs, drawn for a wide screen and again for a narrow one, and its size in CSS pixels."""

    wide: str
    narrow: str
    width: int
    height: int


def render_page(findings: F, sections: Sequence[Section[F]], head: Head) -> str:
    """Return the page, which needs no other file: style, scripts, figures and images are in it.

    Raises:
        StorageError: a saved file that a section shows is damaged.
    """
    shown = [section for section in sections if section.applies(findings)]
    charts = {section.key: chart for section in shown if (chart := section.chart(findings)) is not None}
    kinds = tuple(type(section) for section in sections)
    script = page_script(kinds)
    bundle = draws_charts(kinds)
    return (
        _environment()
        .get_template("templates/page.html.j2")
        .render(
            head=head,
            policy=content_policy((sha256_of(script), *([SHA256] if bundle else []))),
            style="\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in _STYLES),
            sections=[
                {
                    "key": section.key,
                    "title": section.title(findings),
                    "link": section.link(findings),
                    "html": section.html(findings),
                }
                for section in shown
            ],
            charts=as_json(charts),
            script=script,
            plotly={"version": VERSION, "license": bundle_license(), "packed": packed_bundle()} if bundle else None,
        )
    )


def fragment(template: Path, **values: Any) -> str:
    """Return a section's part of the page, from its own template or, where it has none, from the common one.

    A template imports tables, charts and pictures from ``templates/macros.html.j2``.
    """
    if not template.exists():
        template = _TEMPLATES / "section.html.j2"
    return _environment().get_template(template.relative_to(_REPORT).as_posix()).render(**values)


def embed(picture: Picture) -> Embedded:
    """Return a figure for the page."""
    return embed_figures(picture.draw(), picture.draw(compact=True))


def embed_figures(wide: Figure, narrow: Figure) -> Embedded:
    """Return a figure for the page, drawn for a wide screen and for a narrow one; the same one will do for both."""
    # As images and not inline: two SVGs of matplotlib share ids, which one document may not.
    width, height = (round(96 * inches) for inches in wide.get_size_inches())
    first = _data_uri(wide)
    return Embedded(first, first if narrow is wide else _data_uri(narrow), width, height)


def draws_charts(sections: tuple[type[Section[Any]], ...]) -> bool:
    """Whether a section draws with plotly.js, which is in the page only then."""
    return any(section.script() for section in sections)


@lru_cache
def page_script(sections: tuple[type[Section[Any]], ...]) -> str:
    """Return the page's own script: what unpacks plotly.js where a section draws with it, and each section's chart."""
    drawn = [script for section in sections if (script := section.script())]
    first, last = ([(_TEMPLATES / "scripts" / name).read_text(encoding="utf-8") for name in n] for n in (_FIRST, _LAST))
    unpack = [(_TEMPLATES / "scripts" / _UNPACK).read_text(encoding="utf-8")] if drawn else []
    body = "\n".join([*unpack, *first, *drawn, *last])
    return f'"use strict";\n(function () {{\n{body}\n}})();\n'


@lru_cache
def sha256_of(script: str) -> str:
    """Return the SHA-256 of a script in hexadecimal digits."""
    return hashlib.sha256(script.encode()).hexdigest()


@lru_cache
def content_policy(digests: tuple[str, ...]) -> str:
    """Return the Content-Security-Policy: nothing from anywhere, and no script but those of these SHA-256s.

    Styles are allowed inline, since plotly.js sets them on every element that it draws.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(bytes.fromhex(each)).decode('ascii')}'" for each in digests)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'"
    )


def image_uri(png: str) -> str:
    """Return a PNG in base64 as a data URI; a photograph as WebP of high quality, which has a fifth of the letters."""
    if len(png) > _PHOTOGRAPH:
        with Image.open(io.BytesIO(base64.b64decode(png))) as image, io.BytesIO() as file:
            image.save(file, "WEBP", quality=90)
            packed = base64.b64encode(file.getvalue()).decode("ascii")
        if len(packed) < len(png):
            return f"data:image/webp;base64,{packed}"
    return f"data:image/png;base64,{png}"


def as_json(document: Any) -> str:
    """Return a document as JSON that can stand inside a script element: no ``<`` is in it.

    >>> as_json({"name": "</script>"})
    '{"name":"\\\\u003c/script>"}'
    """
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return printable(text, as_json=True).replace("<", "\\u003c")


def unbroken(sentence: str) -> str:
    """Keep a figure with its unit, an interval with its other end, and a sign with its name on one line."""
    return re.sub(
        r"\[[^]]*\]|n = \d+|[\d.]+ (%|points)|(?<!\S)[+−] (?=\w)",
        lambda match: match[0].replace(" ", "\u00a0"),
        sentence,
    )


def page_environment(templates: Path) -> Environment:
    """Return what renders the templates of a folder: names are text in a page, and command nothing in it."""
    return Environment(
        # Explicit, as select_autoescape judges by the file's ending and would not escape in a ".j2".
        autoescape=True,
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What is no plain text has been through this, or is a script or style of ours.
        finalize=lambda value: printable(value) if type(value) is str else value,
    )


@lru_cache
def _environment() -> Environment:
    from stepladder.report.marks import SYMBOLS

    environment = page_environment(_REPORT)
    environment.filters |= {"unbroken": unbroken, "image_uri": image_uri}
    environment.globals |= {"embed": embed, "symbols": SYMBOLS}
    return environment


def _data_uri(figure: Figure) -> str:
    from stepladder.report.figures.style import to_svg

    return f"data:image/svg+xml;base64,{base64.b64encode(to_svg(figure)).decode('ascii')}"
