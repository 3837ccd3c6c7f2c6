"""One image explained: where its class comes from, and the filters of the first layer."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stepladder.model.explain import Explanation
from stepladder.report.figures.style import MUTED, house_style, new_figure

_WIDTH = 9.6  # inches
_PANEL = 2.9
_COLUMNS = 16


def draw_explanation(explanation: Explanation) -> Figure:
    """Draw the image, its Grad-CAM and occlusion maps in a row, and the filters below."""
    filters = explanation.filters
    rows = 0 if filters is None else math.ceil(len(filters) / _COLUMNS)
    cell = (_WIDTH - 0.6) / _COLUMNS
    height = 0.75 + _PANEL + 0.2 + (rows * cell + 0.45 if rows else 0)
    with house_style():
        figure = new_figure(_WIDTH, height)
        figure.text(
            0.3 / _WIDTH,
            1 - 0.3 / height,
            f"{explanation.class_name}: {100 * explanation.probability:.1f} %",
            fontsize=12,
            fontweight="bold",
            va="center",
        )
        gray = explanation.pixels.mean(axis=2)
        bottom = (height - 0.75 - _PANEL) / height
        panels = (
            ("What the model was given", None, None),
            ("Grad-CAM: regions that support this class", explanation.grad_cam, ("YlOrRd", 0, 1)),
            ("Occlusion: red regions support this class", explanation.occlusion, ("RdBu_r", -1, 1)),
        )
        step = (_WIDTH - 0.6 - _PANEL) / 2
        for number, (title, values, scale) in enumerate(panels):
            box = ((0.3 + number * step) / _WIDTH, bottom, _PANEL / _WIDTH, _PANEL / height)
            axes = _empty_axes(figure, box)
            axes.set_title(title, fontsize=9, color=MUTED, loc="left")
            if values is None or scale is None:
                pixels = explanation.pixels
                axes.imshow(pixels if pixels.shape[2] == 3 else pixels[:, :, 0], cmap="gray", vmin=0, vmax=255)
            else:
                axes.imshow(gray, cmap="gray", vmin=0, vmax=255)
                name, low, high = scale
                axes.imshow(values, cmap=name, vmin=low, vmax=high, alpha=0.65, interpolation="bilinear")
        if filters is not None:
            title = f"The {len(filters)} kernels of the first convolution, each scaled to its own range"
            figure.text(0.3 / _WIDTH, (rows * cell + 0.28) / height, title, fontsize=9, color=MUTED)
            for number, kernel in enumerate(filters):
                row, column = divmod(number, _COLUMNS)
                box = ((0.3 + column * cell) / _WIDTH, (0.15 + (rows - 1 - row) * cell) / height, 0.9 * cell / _WIDTH,
                       0.9 * cell / height)  # fmt: skip
                axes = _empty_axes(figure, box)
                axes.imshow(kernel if kernel.shape[2] == 3 else np.repeat(kernel, 3, axis=2), interpolation="nearest")
    return figure


def _empty_axes(figure: Figure, box: tuple[float, float, float, float]) -> Axes:
    axes = figure.add_axes(box)
    axes.set_axis_off()
    return axes
