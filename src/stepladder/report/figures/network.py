"""A network drawn to scale, and what its layers see of an image."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from numpy.typing import NDArray

from stepladder.datasets import ImageSet
from stepladder.model.effective import EffectiveFields
from stepladder.network.arithmetic import LayerCost, Shape, format_shape
from stepladder.network.inspection import Inspection
from stepladder.network.spec import Conv, DepthwiseConv, Linear, LocallyConnected
from stepladder.report.figures.style import (
    ALARM,
    GRID,
    INK,
    MARGIN,
    MUTED,
    TRAIN,
    VALIDATION,
    check_picture,
    house_style,
    new_figure,
    text_width,
    write_figure,
    write_header,
)

_HEIGHT = 1.5  # inches of the tallest map
_DEPTH = 0.32  # of a pixel's height, along the slanted axis, both right and up
_THICK = 0.9  # inches of the layer with most channels
_SQUARE = 1.05  # inches: the side of the largest square of weights
_GAP = 0.16
_THUMB = 1.12  # inches: an image with a receptive field
_MOST_THUMBS = 12
_CAPTION = (
    "Height and depth of a slab are its maps' pixels, its thickness the channels; bars are rows of values, on a scale "
    "of their own. Squares: weights, by area."
)


@dataclass(frozen=True)
class _Slab:
    name: str
    shape: Shape
    weights: int


def draw_network(
    inspection: Inspection, images: ImageSet | None = None, measured: EffectiveFields | None = None
) -> Figure:
    """Draw maps as slabs to scale, weights as squares by area, and the central outputs' receptive fields.

    Args:
        images: the fields are drawn over its first training image; without it over an empty frame.
        measured: effective receptive fields, drawn as a row of their own.
    """
    with house_style():
        slabs = _slabs(inspection)
        probe = new_figure(1, 1)
        widths = [_column_width(probe, slab, slabs) for slab in slabs]
        shown = _layers_with_fields(inspection)
        rows = 1 if measured is None else 2
        width = max(2 * MARGIN + sum(widths) + _GAP * len(widths), 2 * MARGIN + len(shown) * (_THUMB + _GAP), 6.2)
        top, network, seen = 0.66, _HEIGHT * (1 + _DEPTH) + _SQUARE + 1.05, 0.58 + _THUMB + (rows - 1) * (_THUMB + 0.3)
        height = top + network + (seen if shown else 0) + 0.1
        figure = new_figure(width, height)
        axes = figure.add_axes((0, 1 - (top + network) / height, 1, network / height))
        _draw_slabs(axes, slabs, widths, (width, network))
        title = f"{inspection.found.label} on {format_shape(inspection.input_shape)}"
        facts = f"{inspection.weights:,} weights · {inspection.macs:,} MACs an image"
        write_header(figure, title, [(facts, MUTED)])
        if shown:
            _draw_fields(figure, inspection, shown, images, measured, seen)
        return figure


def write_picture(
    path: Path, inspection: Inspection, images: ImageSet | None = None, measured: EffectiveFields | None = None
) -> None:
    """Draw the network into ``path``, an SVG or PNG file by its name.

    Raises:
        RecipeError: another ending.
        StorageError: the file cannot be written.
    """
    check_picture(path)
    write_figure(path, draw_network(inspection, images, measured))


def _slabs(inspection: Inspection) -> list[_Slab]:
    """Return the image and every layer that has weights or changes the shape; the weights of a norm go to its layer."""
    slabs = [_Slab("input", inspection.input_shape, 0)]
    for cost in inspection.costs:
        heavy = isinstance(cost.layer, Conv | DepthwiseConv | LocallyConnected | Linear)
        flat = len(cost.output_shape) == 1 and len(cost.input_shape) == 3
        if heavy or flat or cost.output_shape != slabs[-1].shape:
            slabs.append(_Slab(cost.layer.name, cost.output_shape, cost.weights))
        elif cost.weights:
            slabs[-1] = _Slab(slabs[-1].name, slabs[-1].shape, slabs[-1].weights + cost.weights)
    return slabs


def _box(slab: _Slab, slabs: list[_Slab]) -> tuple[float, float, float]:
    """Return thickness, height and depth of a slab in inches; a row of values is a bar on a scale of its own."""
    if len(slab.shape) == 1:
        longest = max(other.shape[0] for other in slabs if len(other.shape) == 1)
        return 0.06, max(0.03, _HEIGHT * slab.shape[0] / longest), 0.0
    maps = [other.shape for other in slabs if len(other.shape) == 3]
    pixel = _HEIGHT / max(max(shape[1:]) for shape in maps)
    channel = _THICK / max(shape[0] for shape in maps)
    channels, rows, columns = slab.shape
    return max(0.012, channels * channel), rows * pixel, columns * pixel * _DEPTH


def _side(slab: _Slab, slabs: list[_Slab]) -> float:
    return _SQUARE * float(np.sqrt(slab.weights / max(1, max(other.weights for other in slabs))))


def _labels(slab: _Slab) -> tuple[str, str, str]:
    return slab.name, "×".join(map(str, slab.shape)), f"{slab.weights:,}" if slab.weights else ""


def _column_width(probe: Figure, slab: _Slab, slabs: list[_Slab]) -> float:
    thick, _, depth = _box(slab, slabs)
    return max(thick + depth, _side(slab, slabs), *(text_width(probe, label, 7.5) for label in _labels(slab)))


def _draw_slabs(axes: Axes, slabs: list[_Slab], widths: list[float], size: tuple[float, float]) -> None:
    axes.set_xlim(0, size[0])
    axes.set_ylim(0, size[1])
    axes.axis("off")
    floor = _SQUARE + 0.72
    x = MARGIN + 0.04
    for slab, width in zip(slabs, widths, strict=True):
        thick, tall, depth = _box(slab, slabs)
        left = x + (width - thick - depth) / 2
        color = TRAIN if len(slab.shape) == 1 else VALIDATION
        if slab.name == "input":
            color = MUTED
        faces = [
            ([(left, floor), (left + thick, floor), (left + thick, floor + tall), (left, floor + tall)], 0.75),
            (
                [
                    (left + thick, floor),
                    (left + thick + depth, floor + depth),
                    (left + thick + depth, floor + tall + depth),
                    (left + thick, floor + tall),
                ],
                0.42,
            ),
            (
                [
                    (left, floor + tall),
                    (left + thick, floor + tall),
                    (left + thick + depth, floor + tall + depth),
                    (left + depth, floor + tall + depth),
                ],
                0.25,
            ),
        ]
        for corners, shade in faces:
            axes.add_patch(Polygon(corners, facecolor=_tint(color, shade), edgecolor=color, linewidth=0.6))
        middle = x + width / 2
        name, shape, weights = _labels(slab)
        axes.text(middle, floor - 0.13, name, fontsize=7.5, ha="center", va="center", color=INK, fontweight="bold")
        axes.text(middle, floor - 0.28, shape, fontsize=7.5, ha="center", va="center", color=MUTED)
        side = _side(slab, slabs)
        if slab.weights:
            top = floor - 0.42
            axes.add_patch(
                Rectangle(
                    (middle - side / 2, top - side),
                    side,
                    side,
                    facecolor=_tint(ALARM, 0.35),
                    edgecolor=ALARM,
                    linewidth=0.6,
                )
            )
            axes.text(middle, top - side - 0.1, weights, fontsize=7.5, ha="center", va="center", color=ALARM)
        x += width + _GAP
    caption = textwrap.wrap(_CAPTION, int((size[0] - 2 * MARGIN) * 17))
    axes.text(MARGIN, size[1], "\n".join(caption), fontsize=7.5, color=MUTED, va="top")


def _tint(color: str, share: float) -> tuple[float, ...]:
    """Mix a color with white."""
    channels = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return tuple(1 - share * (1 - channel) for channel in channels)


def _layers_with_fields(inspection: Inspection) -> list[LayerCost]:
    """Return the layers that widen the field, at most as many as fit beside one another, evenly chosen."""
    found = inspection.widening
    if len(found) <= _MOST_THUMBS:
        return list(found)
    chosen = np.linspace(0, len(found) - 1, _MOST_THUMBS).round().astype(int)
    return [found[position] for position in chosen]


def _draw_fields(
    figure: Figure,
    inspection: Inspection,
    shown: list[LayerCost],
    images: ImageSet | None,
    measured: EffectiveFields | None,
    height: float,
) -> None:
    width, total = figure.get_size_inches()
    over = f"the first training image of {images.name}" if images is not None else "an empty image"
    text = f"What the central output of a layer sees, over {over}"
    figure.text(MARGIN / width, (height - 0.12) / total, text, fontsize=9, fontweight="bold", va="center")
    picture = _picture(inspection, images)
    for place, cost in enumerate(shown):
        left = MARGIN + 0.04 + place * (_THUMB + _GAP)
        bottom = height - 0.5 - _THUMB
        axes = figure.add_axes((left / width, bottom / total, _THUMB / width, _THUMB / total))
        rows, columns = inspection.fields[cost.layer.name][1]
        axes.set_title(f"{cost.layer.name}: {rows.size}", fontsize=7.5, pad=3, color=INK)
        axes.imshow(picture, interpolation="nearest", extent=_extent(inspection), cmap="gray", vmin=0, vmax=255)
        spans = [field.seen_from(size // 2) for field, size in zip((rows, columns), cost.output_shape[1:], strict=True)]
        (first_row, _), (first_column, _) = spans
        _frame(axes, inspection, spans)
        axes.add_patch(
            Rectangle(
                (first_column - 0.5, first_row - 0.5),
                columns.size,
                rows.size,
                fill=False,
                edgecolor=ALARM,
                linewidth=1.6,
            )
        )
        if measured is not None and cost.layer.name in measured.fields:
            field = measured.fields[cost.layer.name]
            below = bottom - 0.3 - _THUMB
            axes = figure.add_axes((left / width, below / total, _THUMB / width, _THUMB / total))
            axes.set_title(f"effective: {field.size:.1f}", fontsize=7.5, pad=3, color=INK)
            axes.imshow(np.sqrt(field.gradient), cmap="magma", extent=_extent(inspection), vmin=0, vmax=1)
            _frame(axes, inspection, spans)


def _extent(inspection: Inspection) -> tuple[float, float, float, float]:
    _, rows, columns = inspection.input_shape
    return -0.5, columns - 0.5, rows - 0.5, -0.5


def _frame(axes: Axes, inspection: Inspection, spans: list[tuple[int, int]]) -> None:
    """Show the image and the whole field, with a margin."""
    sizes = inspection.input_shape[1:]
    reach = max(max(-first, last - size + 1) for (first, last), size in zip(spans, sizes, strict=True))
    side = max(sizes) + 2 * max(0.1 * max(sizes), reach + 0.06 * (max(sizes) + 2 * reach))
    rows, columns = sizes
    axes.set_xlim(columns / 2 - side / 2 - 0.5, columns / 2 + side / 2 - 0.5)
    axes.set_ylim(rows / 2 + side / 2 - 0.5, rows / 2 - side / 2 - 0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(False)
    axes.set_facecolor("#F4F4F4")
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(GRID)


def _picture(inspection: Inspection, images: ImageSet | None) -> NDArray[np.uint8]:
    _, rows, columns = inspection.input_shape
    if images is None:
        return np.full((rows, columns), 225, np.uint8)
    image: NDArray[np.uint8] = images.splits["train"].images[0]
    # As evaluation sees them: techniques may cut the center out.
    top, left = (max(0, (have - want) // 2) for have, want in zip(image.shape, (rows, columns), strict=False))
    image = image[top : top + rows, left : left + columns]
    return image[:, :, 0] if image.shape[2] == 1 else image
