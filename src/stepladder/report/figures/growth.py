"""Time and memory of a study against its images, seeds, classes and their size, each on two logarithmic axes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from stepladder.bench.growth import Growth
from stepladder.report.figures.style import (
    INK,
    MUTED,
    TRAIN,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    write_header,
    write_legend,
)

_NAMES = {"images": "images", "seeds": "seeds", "classes": "classes", "size": "height and width, pixels"}
_PANEL, _HEIGHT, _GAP = 2.5, 1.75, 0.32  # inches
_NARROWEST = 5.6  # holds the legend
_LEFT, _RIGHT, _BOTTOM = 0.78, 0.2, 0.56


def draw_growth(grown: Sequence[Growth], facts: Sequence[str]) -> Figure:
    """Draw a column for each quantity that grew: seconds above, peak memory below, and what strict proportion would be.

    Args:
        facts: what was measured and on what, for the line under the title.
    """
    with house_style():
        gaps = _LEFT + _RIGHT + (len(grown) - 1) * _GAP
        width = max(_NARROWEST, gaps + len(grown) * _PANEL)
        panel = (width - gaps) / len(grown)
        header = header_lines(facts, [], int(14 * width))
        top = header_height(header) + 0.46
        height = top + 2 * _HEIGHT + _GAP + _BOTTOM
        figure = new_figure(width, height)
        limits = [_limits([cost for one in grown for cost in _costs(one, row)]) for row in (0, 1)]
        for column, one in enumerate(grown):
            for row, color in enumerate((VALIDATION, TRAIN)):
                left = _LEFT + column * (panel + _GAP)
                bottom = _BOTTOM + (1 - row) * (_HEIGHT + _GAP)
                axes = figure.add_axes((left / width, bottom / height, panel / width, _HEIGHT / height))
                _draw_panel(axes, one, row, color, limits[row])
                if column == 0:
                    axes.set_ylabel(("seconds", "peak memory, MB")[row])
                else:
                    axes.tick_params(axis="y", labelleft=False)
                if row == 1:
                    axes.set_xlabel(_NAMES[one.what])
                else:
                    axes.tick_params(axis="x", labelbottom=False)
        write_header(figure, "How a study grows", header)
        handles = [
            Line2D([], [], color=VALIDATION, marker="o", ms=5, lw=1.6, label="time"),
            Line2D([], [], color=TRAIN, marker="s", ms=5, lw=1.6, label="memory"),
            Line2D([], [], color=MUTED, lw=1.1, ls="--", label="in proportion, from the last point back"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 3, 1.8)
        return figure


def _costs(one: Growth, row: int) -> list[float]:
    return [measured.peak / 1e6 if row else measured.seconds for measured in one.measured]


def _limits(costs: Sequence[float]) -> tuple[float, float]:
    return min(costs) / 2, 2 * max(costs)


def _draw_panel(axes: Axes, one: Growth, row: int, color: str, limits: tuple[float, float]) -> None:
    values, costs = one.values, _costs(one, row)
    axes.plot(values, costs, color=color, marker="s" if row else "o", ms=5, lw=1.6, zorder=3)
    ends = (values[0], values[-1])
    axes.plot(ends, [costs[-1] * end / values[-1] for end in ends], color=MUTED, lw=1.1, ls="--", zorder=2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.set_xticks(values, [_short(value) for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    steepest = one.memory_exponent if row else one.time_exponent
    axes.text(0.05, 0.95, f"exponent {steepest:.2f}", transform=axes.transAxes, color=INK, fontsize=8.5, va="top")


def _short(value: int) -> str:
    return f"{value // 1000}k" if value >= 1000 and value % 1000 == 0 else f"{value}"
