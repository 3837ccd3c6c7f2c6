"""Several studies rung by rung: a lane a study, the first rung at the bottom."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stepladder.report.figures.style import (
    GRID,
    INK,
    MARGIN,
    MUTED,
    TEST,
    TRAIN,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    page_width,
    printable,
    text_width,
    write_header,
    write_legend,
)
from stepladder.report.units import Scale, capital, count
from stepladder.studies.judging.comparison import Comparison, RungScores

_LANE = 0.32  # inches a study
_ABOVE = 0.1  # inches from a study's line up to its seeds
#: A color and a shape a study, so that gray paper tells them apart; beyond these they come again, hollow.
_MARKS = ((VALIDATION, "o"), (TRAIN, "s"), (TEST, "^"), ("#7A3E8E", "D"), ("#6B5A00", "v"), (INK, "P"))


def draw_comparison(comparison: Comparison, *, compact: bool = False) -> Figure:
    """Draw the figure of every rung of every study: a small mark a seed, the mean and its 95 % t-interval.

    Args:
        compact: for a narrow screen; the figures at the right are left out, as the table has them.
    """
    with house_style():
        labels = [
            textwrap.shorten(printable(label), 28 if compact else 40, placeholder="…") for label in comparison.labels
        ]
        images = comparison.test_images
        facts = [comparison.data, *([] if images is None else [count(images, "test image")])]
        facts += ["small marks: seeds", "large marks: means", "lines: 95 % intervals"]
        header = header_lines(facts, ["a comparison that was not planned"], 60 if compact else 110)
        columns = 1 if compact else 3
        legend = 0.2 * -(-len(labels) // columns) + 0.1
        row = 0.24 + _LANE * len(labels)
        top = header_height(header) + legend + 0.22
        width, height = page_width(4.9 if compact else 9.2), top + row * len(comparison.rungs) + 0.62
        figure = new_figure(width, height)
        names = [textwrap.shorten(printable(rung), 24 if compact else 32, placeholder="…") for rung in comparison.rungs]
        left = 0.32 + max(text_width(figure, name, 10.5, "bold") for name in names)
        right = 0.25 if compact else 1.5
        axes = figure.add_axes(
            (left / width, 0.62 / height, max(0.1, width - left - right) / width, row * len(comparison.rungs) / height)
        )
        axes.set_ylim(-0.5, len(names) - 0.5)
        scale = Scale(comparison.metric.unit)
        axes.set_xlim(*_limits(comparison.scores, scale))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(f"{comparison.metric.label}, {scale.unit}")
        for level, (rung, name) in enumerate(zip(comparison.rungs, names, strict=True)):
            if level:
                axes.axhline(level - 0.5, color=GRID, lw=1.2, zorder=0.5)
            figure.text(
                MARGIN / width,
                (0.62 + row * (level + 0.5)) / height,
                name,
                fontsize=10.5,
                fontweight="bold",
                va="center",
            )
            for lane, label in enumerate(comparison.labels):
                scores = comparison.find(label, rung)
                place = level + _LANE * ((len(labels) - 1) / 2 - lane) / row
                if scores is not None:
                    _draw_scores(axes, scores, place, place + _ABOVE / row, lane, scale, compact)
        write_header(figure, f"{capital(comparison.metric.label)}, study by study", header)
        handles = [
            Line2D([], [], ls="", marker=marker, ms=7, color=color, mfc=face, label=label)
            for label, (color, marker, face) in zip(labels, map(_mark, range(len(labels))), strict=True)
        ]
        write_legend(figure, handles, header_height(header) + 0.08, columns, 1.4)
        return figure


def _mark(lane: int) -> tuple[str, str, str]:
    color, marker = _MARKS[lane % len(_MARKS)]
    return color, marker, color if lane < len(_MARKS) else "white"


def _draw_scores(
    axes: Axes, scores: RungScores, place: float, seeds: float, lane: int, scale: Scale, compact: bool
) -> None:
    color, marker, face = _mark(lane)
    if scores.mean is None:
        across = axes.get_yaxis_transform()
        axes.text(0.01, place, "no result yet", transform=across, va="center", color=MUTED, fontsize=8.5)
        return
    if scores.interval is not None:
        axes.plot([scale.factor * end for end in scores.interval], [place, place], color=color, lw=1.6, zorder=2)
    values = [scale.factor * score for score in scores.scores.values()]
    axes.plot(values, [seeds] * len(values), ls="", marker=marker, ms=4.5, color=color, alpha=0.6, mew=0, zorder=3)
    mean = scale.factor * scores.mean
    axes.plot(mean, place, marker=marker, ms=8, color=color, mfc=face, mec="white", mew=0.8, zorder=4)
    if not compact:
        axes.annotate(
            f"{scale.spread(scores.mean, scores.sd)} ({len(values)})",
            (1, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=8.5,
            annotation_clip=False,
        )


def _limits(scores: tuple[RungScores, ...], scale: Scale) -> tuple[float, float]:
    values = [scale.factor * value for one in scores for value in one.scores.values()]
    if not values:
        return 0.0, 100.0
    low, high = min(values), max(values)
    # The t-interval of two seeds can be wider than everything else; it may widen the axis, not squeeze the marks.
    slack = max(high - low, 2.0 if scale.share else 0.0) / 2
    for one in scores:
        if one.interval is not None:
            low, high = (
                min(low, max(scale.factor * one.interval[0], low - slack)),
                max(high, min(scale.factor * one.interval[1], high + slack)),
            )
    margin = max(0.06 * (high - low), 0.25 if scale.share else 0.02 * max(abs(low), abs(high)) or 1.0)
    if not scale.share:
        return low - margin, high + margin
    return max(low - margin, -0.6 * margin), min(high + margin, 100 + 0.6 * margin)
