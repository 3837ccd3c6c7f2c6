"""Techniques over image sets, all on one axis; and what a forest plot of one of them shares with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stepladder.report.figures.style import (
    INK,
    MARGIN,
    MUTED,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    printable,
    text_width,
    verdict_color,
    write_beside,
    write_header,
    write_legend,
)
from stepladder.report.sections.pool_techniques import sets_of, smallest_effect
from stepladder.report.units import Scale, amount, listing
from stepladder.studies.pool.findings import PooledTechnique, PoolFindings

#: Color of the band of effects too small to matter.
ZONE = "#EAF2F8"
#: Inches of a row.
ROW = 0.34
#: Inches right of the axes in which an effect's figures stand.
_FIGURES = 2.1


def draw_techniques(
    findings: PoolFindings, title: str, techniques: Sequence[PooledTechnique] | None = None, *, compact: bool = False
) -> Figure:
    """Draw techniques below one another, the highest mean on top: a dot a set, the mean, what a new set lies within.

    Args:
        techniques: of the findings; all of them by default.
        compact: for a narrow screen; the figures at the right are left out.
    """
    scale = Scale(findings.unit)
    shown = sorted(techniques or findings.techniques, key=lambda one: -(one.points.mean or 0.0))
    with house_style():
        seeds = sorted({record.seeds for record in findings.studies})
        facts = [f"{sets_of(findings)}, {listing([str(each) for each in seeds])} seeds each"]
        header = header_lines(facts, [], 60 if compact else 100)
        top = header_height(header) + (0.66 if compact else 0.46)
        width, height = (4.9 if compact else 9.2), top + ROW * len(shown) + 0.62
        figure = new_figure(width, height)
        names = [printable(one.name) for one in shown]
        left = 0.3 + max(text_width(figure, name, 9, "bold") for name in names)
        right = (
            0.25 if compact else _FIGURES + 0.16 + max(text_width(figure, _counts(one), 8.5, "bold") for one in shown)
        )
        axes = figure.add_axes((left / width, 0.62 / height, (width - left - right) / width, ROW * len(shown) / height))
        axes.set_ylim(-0.5, len(shown) - 0.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=INK, lw=0.9, zorder=0.8)
        axes.set_xlabel(f"difference, {scale.step}; right is better")
        axes.set_xlim(_common_limits(findings, shown, scale))
        small = scale.factor * smallest_effect(findings)
        axes.axvspan(-small, small, color=ZONE, lw=0, zorder=0.4)
        for level, (one, name) in enumerate(zip(shown[::-1], names[::-1], strict=True)):
            write_name(figure, level, name, "bold")
            draw_band(axes, level, one, scale)
            for member in one.members:
                color = verdict_color(member.effect.verdict)
                x = scale.factor * member.effect.mean
                axes.plot(x, level, marker="o", ms=5, color=color, alpha=0.85, mew=0, zorder=3)
                draw_arrows(axes, level, [x, x], color)
            if one.points.mean is not None:
                x = scale.factor * one.points.mean
                axes.plot([x, x], [level - 0.3, level + 0.3], color=INK, lw=2.2, solid_capstyle="butt", zorder=4)
            if not compact:
                told = f"{scale.difference(one.points.mean)}  {scale.interval(one.points.prediction)}"
                write_figures(axes, level, told, _counts(one), MUTED)
        write_header(figure, printable(title), header)
        handles = [
            Line2D([], [], color=MUTED, lw=0, marker="o", ms=5, label="a set, in the color of its verdict"),
            Line2D([], [], color=INK, lw=2.2, label="mean of the sets"),
            Line2D([], [], color=VALIDATION, lw=5.5, alpha=0.4, label="a new set, 95 %"),
            Patch(color=ZONE, label=f"± {amount(scale, smallest_effect(findings))}"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 2 if compact else 4, 1.6)
        return figure


def _counts(one: PooledTechnique) -> str:
    return f"helped {one.counted.get('helped', 0)}, hurt {one.counted.get('hurt', 0)} of {one.sets}"


def draw_band(axes: Axes, level: float, one: PooledTechnique, scale: Scale) -> None:
    """Draw what a new set lies within, as far as the axis goes; nothing where that is not known."""
    if one.points.prediction is None:
        return
    low, high = axes.get_xlim()
    ends = [scale.factor * end for end in one.points.prediction]
    wide: Any = {"lw": 5.5, "alpha": 0.4, "solid_capstyle": "butt"}
    axes.plot([max(ends[0], low), min(ends[1], high)], [level, level], color=VALIDATION, **wide)
    draw_arrows(axes, level, ends, VALIDATION)


def draw_arrows(axes: Axes, level: float, ends: list[float], color: str) -> None:
    """Draw an arrow at each edge of the axes that an end lies beyond."""
    low, high = axes.get_xlim()
    for end, edge, marker in ((ends[0], low, "<"), (ends[1], high, ">")):
        if not low <= end <= high:
            axes.plot(edge, level, marker=marker, ms=6, color=color, clip_on=False, zorder=3)


def write_name(figure: Figure, level: float, name: str, weight: str) -> None:
    """Write what a row is of, left of the axes."""
    width, height = figure.get_size_inches()
    middle = (0.62 + ROW * (level + 0.5)) / height
    figure.text(MARGIN / width, middle, name, fontsize=9, fontweight=weight, va="center")


def write_figures(axes: Axes, level: float, figures: str, word: str, color: str) -> None:
    """Write an effect in figures and the verdict right of the axes."""
    write_beside(axes, level, _FIGURES - 0.08, figures)
    write_beside(axes, level, _FIGURES + 0.04, word, color, "left", "bold")


def _common_limits(findings: PoolFindings, shown: Sequence[PooledTechnique], scale: Scale) -> tuple[float, float]:
    """Return limits that hold every mean, and of the bands what does not stretch the axis to twice as much."""
    small = scale.factor * smallest_effect(findings)
    means = [scale.factor * member.effect.mean for one in shown for member in one.members]
    low, high = min(0.0, *means), max(0.0, *means)
    slack = 0.5 * (high - low)
    for one in shown:
        for end in one.points.prediction or ():
            low, high = (
                min(low, max(scale.factor * end, min(means) - slack)),
                max(high, min(scale.factor * end, max(means) + slack)),
            )
    margin = 0.04 * (high - low)
    return min(low - margin, -1.3 * small), max(high + margin, 1.3 * small)
