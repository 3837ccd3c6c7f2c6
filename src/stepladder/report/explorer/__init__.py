"""The network explorer: one page in which a line is edited, and every figure of its network seen at once.

It needs no other file and asks for nothing from anywhere. Its arithmetic is a second writing of the library's, in
``scripts/line.js``, ``arithmetic.js`` and ``workings.js``; a test compares the two on thousands of random networks.
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from stepladder.answers import find_questions
from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError
from stepladder.files import replace_text
from stepladder.model.effective import EffectiveFields
from stepladder.network import preset_names, read_preset
from stepladder.network.inspection import Inspection, inspect_network
from stepladder.network.line import format_line
from stepladder.report.explorer.language import language
from stepladder.report.page import as_json, content_policy, image_uri, page_environment, sha256_of

__all__ = ["ARITHMETIC", "check_page", "explorer_policy", "render_explorer", "script_text", "write_explorer"]

_HOME = Path(__file__).parent
_STYLES = (_HOME.parent / "templates" / "report.css", _HOME / "explorer.css")
#: The page's arithmetic, in the order in which its files build on one another; it needs no page.
ARITHMETIC = ("line.js", "arithmetic.js", "workings.js")
#: What it draws with: the canvases before the table, as they ask for their widths, and it would be laid out twice.
_PAGE = ("page.js", "completion.js", "seen.js", "layers.js", "compare.js", "hand.js", "questions.js", "start.js")
#: Questions of the lab report that the page answers.
_QUESTIONS = "1-11"
#: Images that are in the page, and pixels of their longer side: it stays far below a megabyte.
_IMAGES, _SIDE = 4, 256


def render_explorer(
    inspection: Inspection, images: ImageSet | None = None, measured: EffectiveFields | None = None
) -> str:
    """Return the page, which begins with a network as it was inspected.

    Args:
        images: the set whose first training images of four classes are shown under the receptive fields; without it a
            drawn pattern.
        measured: effective receptive fields of that network, to be shown beside the others.
    """
    return (
        page_environment(_HOME)
        .get_template("explorer.html.j2")
        .render(
            policy=explorer_policy(),
            style="\n".join(path.read_text(encoding="utf-8") for path in _STYLES),
            version=version("stepladder").partition("+")[0],
            questions=find_questions([_QUESTIONS]),
            data=as_json(_document(inspection, images, measured)),
            script=_script(),
        )
    )


def write_explorer(
    path: Path, inspection: Inspection, images: ImageSet | None = None, measured: EffectiveFields | None = None
) -> None:
    """Write the page into ``path``, whole or not at all; see :func:`render_explorer`.

    Raises:
        RecipeError: a name that ends in no ``.html``, by which a browser would know the page.
        StorageError: the file cannot be written.
    """
    check_page(path)
    replace_text(path, render_explorer(inspection, images, measured))


def check_page(path: Path) -> None:
    """Refuse a file for the page that no browser would take for one.

    Raises:
        RecipeError: another ending than ``.html`` or ``.htm``.
    """
    if path.suffix.lower() not in (".html", ".htm"):
        raise RecipeError(f"`explore` is {path}; give a name that ends in .html, or the network before it")


def explorer_policy() -> str:
    """Return the page's Content-Security-Policy: nothing from anywhere, and no script but its own."""
    return content_policy((sha256_of(_script()),))


@lru_cache
def _script() -> str:
    return f'"use strict";\n(function () {{\n{script_text(ARITHMETIC + _PAGE)}\n}})();\n'


@lru_cache
def script_text(names: tuple[str, ...]) -> str:
    """Return scripts of the page one behind another."""
    return "\n".join((_HOME / "scripts" / name).read_text(encoding="utf-8") for name in names)


def _document(inspection: Inspection, images: ImageSet | None, measured: EffectiveFields | None) -> dict[str, Any]:
    """Return what the page begins with, and what it knows of lines and published networks."""
    found = inspection.found
    usual = inspect_network(found.network, inspection.input_shape).num_classes if found.num_classes is None else None
    free = inspection.training_images is None and inspection.num_classes == usual
    return {
        "language": language(),
        "presets": [_preset(name) for name in preset_names()],
        "start": {
            "line": format_line(found.network),
            "input": _written(inspection.input_shape),
            # Where neither images nor a model fix them, they go by the line that is typed.
            "classes": "" if free else str(inspection.num_classes),
            "batch": str(inspection.batch_size),
            "precision": inspection.precision,
            "training": str(inspection.training_images or ""),
        },
        "images": _pictures(images) if images is not None else [],
        "effective": _effective(measured) if measured is not None else None,
    }


def _preset(name: str) -> dict[str, str]:
    preset = read_preset(name)
    return {
        "name": name,
        "line": format_line(preset.network),
        "input": _written(preset.input_shape),
        "classes": str(preset.classes),
        "paper": preset.paper,
    }


def _effective(measured: EffectiveFields) -> dict[str, Any]:
    """Return the gradients of the central outputs as gray pictures, lighter where more, by the layer's name."""
    fields = {}
    for name, field in measured.fields.items():
        levels = np.round(255 * np.sqrt(field.gradient)).astype(np.uint8)  # the root, or only the middle would be seen
        fields[name] = {"size": round(field.size, 1), "uri": _uri(levels[:, :, None])}
    return {"note": measured.note, "fields": fields}


def _written(shape: tuple[int, int, int]) -> str:
    return "x".join(map(str, shape))


def _pictures(images: ImageSet) -> list[dict[str, str]]:
    """Return the first training image of each of the first classes, and where it comes from."""
    train = images.splits["train"]
    found: list[dict[str, str]] = []
    for label, name in enumerate(images.class_names):
        places = np.flatnonzero(train.labels == label)
        if len(places) and len(found) < _IMAGES:
            found.append({"label": f"{images.name}: {name}", "uri": _uri(train.images[places[0]])})
    return found


def _uri(pixels: np.ndarray) -> str:
    """Return an image (uint8, (H, W, C)) as a data URI, at most 256 pixels on its longer side."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((_SIDE, _SIDE))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return image_uri(base64.b64encode(file.getvalue()).decode("ascii"))
