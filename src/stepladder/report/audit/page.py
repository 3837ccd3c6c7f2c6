"""The audit as one HTML page that opens offline, with the contact sheet and the copies as pictures."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from stepladder.datasets.audit import ImageAudit, draw_sheet
from stepladder.datasets.audit.sheet import to_picture, to_png
from stepladder.report.audit.words import audit_sections, place, relation

_TEMPLATES = Path(__file__).parent.parent / "templates"

#: Pairs shown of each relation, the closest and evenly spaced ones among the rest; all would make a heavy page.
_SHOWN = 24
_SIDE = 72


class ShownPair(NamedTuple):
    """Two copies side by side, as a data URI, with their places and what they are."""

    picture: str
    first: str
    second: str
    kind: str


class Album(NamedTuple):
    """The copies of one relation: some shown, and how many there are."""

    title: str
    pairs: list[ShownPair]
    total: int


def render_audit_page(audit: ImageAudit) -> str:
    """Return the page. It asks for nothing from anywhere, and names from the data are text in it."""
    environment = Environment(
        # Explicit, as select_autoescape judges by the file's ending and would not escape in a ".j2".
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "audit.css"))
    return environment.get_template("audit.html.j2").render(
        name=audit.image_set.name,
        fingerprint=audit.image_set.fingerprint,
        sections=audit_sections(audit),
        sheet=_data_uri(draw_sheet(audit.image_set)),
        albums=_albums(audit),
        style=style,
    )


def _albums(audit: ImageAudit) -> list[Album]:
    albums = []
    for copies in audit.copies:
        listed = [(one, other, "exact", False) for one, other in copies.exact]
        listed += [
            (one, other, f"near, {texture:.2f}", bool(mirrored))
            for (one, other), texture, mirrored in zip(copies.near, copies.texture, copies.mirrored, strict=True)
        ]
        if not listed:
            continue
        step = max(1, len(listed) // _SHOWN)
        pairs = []
        for one, other, kind, mirrored in listed[::step][:_SHOWN]:
            first, second = audit.image_set.splits[copies.first], audit.image_set.splits[copies.second]
            names = audit.image_set.class_names
            pairs.append(
                ShownPair(
                    _picture(first.take(np.array([one])).images[0], second.take(np.array([other])).images[0]),
                    f"{place(copies.first, int(one))}, {names[first.labels[one]]}",
                    f"{place(copies.second, int(other))}, {names[second.labels[other]]}",
                    f"{kind}, mirrored" if mirrored else kind,
                )
            )
        albums.append(Album(relation(copies), pairs, len(listed)))
    # What spoils a test comes first.
    return sorted(albums, key=lambda album: album.title.startswith("inside"))


def _picture(*images: np.ndarray) -> str:
    pictures = [to_picture(image) for image in images]
    scale = _SIDE / max(pictures[0].size)
    width, height = (max(1, round(scale * side)) for side in pictures[0].size)
    both = Image.new("RGB", (2 * width + 4, height), "white")
    for number, picture in enumerate(pictures):
        how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        both.paste(picture.resize((width, height), how), (number * (width + 4), 0))
    return _data_uri(to_png(both))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
