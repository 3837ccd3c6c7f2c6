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
_PAPER, _INK, _MUTED, _FRAME = "#ffffff", "#1a1a1a", "#5a5a5a", "#e07a00"
# Of what a crop takes away so much stays to be seen.
_DIMMED = 0.35
_LONGEST_NAME = 22


def draw_sheet(image_set: ImageSet, uncropped: ImageSet | None = None) -> bytes:
    """Return the sheet as PNG: class name, count of training images, and up to :data:`COLUMNS` of them.

    Evenly spaced in the order of the source, so that the same set gives the same bytes. Of more than :data:`MOST_ROWS`
    classes the first are shown, which the last line says. Where images were cropped or padded, a frame shows what is
    theirs, and a line says so.

    Args:
        uncropped: the same images padded, of which the center was cropped out; then all of them is shown, and what the
            crop takes away is dim.
    """
    train = image_set.splits["train"]
    legend = ""
    if uncropped is not None:
        assert uncropped.fit == "pad", uncropped.fit
        assert len(uncropped.splits["train"]) == len(train), "not the same images"
        train, legend = uncropped.splits["train"], "The frame is what the crop keeps of an image."
    elif image_set.fit == "pad":
        legend = "The frame is the image; black around it is added."
    height, width, _ = image_set.image_shape
    scale = max(1, -(-_CELL // max(height, width)))
    cell_height, cell_width = (scale * side for side in (height, width))
    rows = min(image_set.num_classes, MOST_ROWS)
    hidden = image_set.num_classes - rows
    font = _font(_TEXT)
    names = [_short(name) for name in image_set.class_names[:rows]]
    gutter = int(max(font.getlength(text) for text in [*names, "100,000 images"])) + 2 * _MARGIN
    row_height = max(cell_height, 2 * _TEXT + 8) + _GAP
    lines = [*([f"and {hidden:,} more classes"] if hidden else []), *([legend] if legend else [])]
    total = rows * row_height + 2 * _MARGIN - _GAP + len(lines) * (_TEXT + 2 * _GAP)
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
            if legend:
                picture = _framed(picture, image, scale, cropped=uncropped is not None)
            sheet.paste(picture, (gutter + column * (cell_width + _GAP), top + (row_height - _GAP - cell_height) // 2))
    for number, line in enumerate(reversed(lines)):
        draw.text((_MARGIN, total - _MARGIN - _TEXT - number * (_TEXT + 2 * _GAP)), line, fill=_MUTED, font=font)
    return to_png(sheet)


def inner_box(image: np.ndarray) -> tuple[int, int, int, int]:
    """Return (left, top, right, bottom) of what a padded image (uint8, (H, W, C)) held before black was added to it.

    Told by the black itself, as much on both sides of one direction; black edges of its own count as added.
    """
    height, width, _ = image.shape
    lit = image.max(axis=2) > 0
    rows, columns = np.flatnonzero(lit.max(axis=1)), np.flatnonzero(lit.max(axis=0))
    if not len(rows):
        return 0, 0, width, height
    above = min(int(rows[0]), height - 1 - int(rows[-1]))
    left = min(int(columns[0]), width - 1 - int(columns[-1]))
    # Black was added in one direction alone.
    if above >= left:
        return 0, int(rows[0]) if above else 0, width, int(rows[-1]) + 1 if above else height
    return int(columns[0]), 0, int(columns[-1]) + 1, height


def _framed(picture: Image.Image, image: np.ndarray, scale: int, *, cropped: bool) -> Image.Image:
    """Return the picture of a padded image with a frame around what is of the image, or of that around its center."""
    left, top, right, bottom = (scale * edge for edge in inner_box(image))
    whole = left, top, right, bottom
    width, height = right - left, bottom - top
    if (width, height) == picture.size:
        return picture
    if cropped:
        side = min(width, height)
        left, top = left + (width - side) // 2, top + (height - side) // 2
        right, bottom = left + side, top + side
        paper = Image.new("RGB", picture.size, _PAPER)
        shown = paper.copy()
        shown.paste(Image.blend(paper, picture, _DIMMED).crop(whole), (whole[0], whole[1]))
        shown.paste(picture.crop((left, top, right, bottom)), (left, top))
        picture = shown
    ImageDraw.Draw(picture).rectangle((left, top, right - 1, bottom - 1), outline=_FRAME, width=2)
    return picture


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
