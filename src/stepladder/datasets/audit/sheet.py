"""The contact sheet: a row a class, evenly spaced training images."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from stepladder.datasets.image_set import ImageSet

#: Rows and columns at most; a sheet of 1,000 classes would not open anywhere.
MOST_ROWS, COLUMNS = 100, 12

# A cell is at least so many pixels a side; small images are enlarged by a whole number, pixel for pixel.
_CELL = 64
_GAP, _MARGIN, _TEXT = 6, 12, 14
_PAPER, _INK, _MUTED = "#ffffff", "#1a1a1a", "#5a5a5a"
_LONGEST_NAME = 22


def draw_sheet(image_set: ImageSet) -> bytes:
    """Return the sheet as PNG: class name, count of training images, and up to :data:`COLUMNS` of them.

    Evenly spaced in the order of the source, so that the same set gives the same bytes. Of more than :data:`MOST_ROWS`
    classes the first are shown, which the last line says.
    """
    train = image_set.splits["train"]
    height, width, _ = image_set.image_shape
    scale = max(1, -(-_CELL // max(height, width)))
    cell_height, cell_width = (scale * side for side in (height, width))
    rows = min(image_set.num_classes, MOST_ROWS)
    hidden = image_set.num_classes - rows
    font = _font(_TEXT)
    names = [_short(name) for name in image_set.class_names[:rows]]
    gutter = int(max(font.getlength(text) for text in [*names, "100,000 images"])) + 2 * _MARGIN
    row_height = max(cell_height, 2 * _TEXT + 8) + _GAP
    total = rows * row_height + 2 * _MARGIN - _GAP + (_TEXT + 2 * _GAP if hidden else 0)
    sheet = Image.new("RGB", (gutter + COLUMNS * (cell_width + _GAP) - _GAP + _MARGIN, total), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(names):
        top = _MARGIN + row * row_height
        positions = np.flatnonzero(train.labels == row)
        middle = top + (row_height - _GAP) // 2
        draw.text((_MARGIN, middle - _TEXT - 2), name, fill=_INK, font=font)
        draw.text((_MARGIN, middle + 2), f"{len(positions):,} images", fill=_MUTED, font=_font(_TEXT - 2))
        spread = np.unique(np.linspace(0, len(positions) - 1, min(COLUMNS, len(positions))).astype(np.int64))
        for column, image in enumerate(train.take(positions[spread]).images):
            picture = to_picture(image).resize((cell_width, cell_height), Image.Resampling.NEAREST)
            sheet.paste(picture, (gutter + column * (cell_width + _GAP), top + (row_height - _GAP - cell_height) // 2))
    if hidden:
        draw.text((_MARGIN, total - _MARGIN - _TEXT), f"and {hidden:,} more classes", fill=_MUTED, font=font)
    return to_png(sheet)


def to_picture(image: np.ndarray) -> Image.Image:
    """Return one image (uint8, (H, W, C)) as a picture in RGB."""
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).convert("RGB")


def to_png(picture: Image.Image) -> bytes:
    """Return a picture as PNG."""
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _short(name: str) -> str:
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 1]}…"


@lru_cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has no Greek or Cyrillic letters; matplotlib, which the report needs anyway, brings DejaVu.
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
