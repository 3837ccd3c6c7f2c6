"""What each technique does: a forest plot of the effects, a dot a seed, with each verdict in words and color."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from stepladder.report.figures.style import (
    GRID,
    INK,
    MARGIN,
    MUTED,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    page_width,
    printable,
    text_width,
    verdict_color,
    write_beside,
    write_header,
    write_legend,
)
from stepladder.report.marks import WATCHED, interval_of, question, several_kinds, verdict_word
from stepladder.report.units import Scale, amount, count
from stepladder.studies.findings import Findings
from stepladder.studies.judging.statistics import Effect

_ZONE = "#EAF2F8"
_WIDER: Any = {"lw": 5.5, "alpha": 0.28, "solid_capstyle": "butt"}
_MEAN: Any = {"marker": "D", "ms": 6.5, "mfc": "white", "mew": 1.6, "zorder": 4}


def draw_forest(findings: Findings, *, compact: bool = False) -> Figure:
    """Draw every effect but the interactions: a dot a seed, the mean, both its adjusted intervals, and the verdict.

    The band is ± the smallest effect of interest. An interval far wider than everything else is cut at the frame.

    Args:
        findings: of any study, finished or not.
        compact: for a narrow screen; the figures at the right are left out, as the page's table has them.
    """
    effects, scale = findings.techniques, Scale(findings.metric.unit)
    with house_style():
        figure, axes, heads = effect_axes(findings, effects, "What each technique does", compact)
        small = scale.factor * findings.study.record.smallest_effect
        axes.axvspan(-small, small, color=_ZONE, lw=0, zorder=0.4)
        for level, effect in enumerate(reversed(effects)):
            values = [scale.factor * value for value in list(effect.differences.values())[: effect.n]]
            axes.scatter(values, [level + 0.2] * len(values), s=22, color=VALIDATION, alpha=0.6, lw=0, zorder=3)
            if bounds := findings.on_new_images(effect):
                ends = [scale.factor * end for end in bounds]
                axes.plot(ends, [level, level], color=verdict_color(effect.verdict), **_WIDER)
            draw_interval(axes, level, effect, scale.factor)
            if effect.mean is not None:
                axes.plot(scale.factor * effect.mean, level, **_MEAN, mec=verdict_color(effect.verdict))
        handles = [
            Line2D([], [], ls="", marker="o", ms=5, color=VALIDATION, alpha=0.6, mew=0, label="one seed"),
            Line2D(
                [],
                [],
                color=MUTED,
                lw=1.8,
                marker="D",
                mfc="white",
                mew=1.6,
                ms=6,
                label="mean" if findings.study.record.scores else "mean, these test images",
            ),
            *([] if findings.study.record.scores else [Line2D([], [], color=MUTED, **_WIDER, label="new images")]),
            Patch(color=_ZONE, label=f"± {amount(scale, findings.study.record.smallest_effect)}"),
        ]
        write_legend(figure, handles, heads, 2 if compact else 4, 1.6)
        return figure


def effect_axes(findings: Findings, effects: Sequence[Effect], title: str, compact: bool) -> tuple[Figure, Axes, float]:
    """Draw the frame of a figure with a row an effect: its name, and its figures in words where there is room.

    Return the figure with its labels, its axes, and how far below the top the legend goes, in inches."""
    scale = Scale(findings.metric.unit)
    several = several_kinds(effects)
    names = [printable(effect.name) for effect in effects]
    notes = [question(effect.design) if several else "" for effect in effects]
    header = _header(findings, 60 if compact else 110)
    top = header_height(header) + (0.62 if compact else 0.46)
    row = 0.5
    width, height = page_width(4.9 if compact else 9.2), top + row * max(len(effects), 1) + 0.62
    figure = new_figure(width, height)
    widths = [text_width(figure, name, 10, "bold") for name in names]
    widths += [text_width(figure, note, 8.5) for note in notes if note]
    left = 0.32 + max(widths, default=1.0)
    right = 0.25 if compact else 3.15
    across = max(0.1, width - left - right) / width
    axes = figure.add_axes((left / width, 0.62 / height, across, row * len(effects) / height))
    axes.set_ylim(-0.5, len(effects) - 0.5)
    axes.set_xlim(_limits(effects, scale, findings.study.record.smallest_effect))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.axvline(0, color=INK, lw=0.9, zorder=0.8)
    axes.hlines(range(len(effects)), 0, 1, transform=axes.get_yaxis_transform(), color=GRID, lw=0.8, zorder=0.5)
    axes.set_xlabel(f"difference, {scale.step}; right is better")
    for level, (effect, name, note) in enumerate(zip(effects[::-1], names[::-1], notes[::-1], strict=True)):
        middle = 0.62 + row * (level + 0.5)
        figure.text(
            MARGIN / width, (middle + (0.08 if note else 0)) / height, name, fontsize=10, fontweight="bold", va="center"
        )
        if note:
            figure.text(MARGIN / width, (middle - 0.1) / height, note, fontsize=8.5, color=MUTED, va="center")
        if not compact:
            _write_figures(axes, level, effect, scale)
    write_header(figure, title, header)
    return figure, axes, header_height(header) + 0.08


def _limits(effects: Sequence[Effect], scale: Scale, smallest: float) -> tuple[float, float]:
    factor = scale.factor
    values = [value for effect in effects for value in effect.differences.values()]
    values += [effect.mean for effect in effects if effect.mean is not None]
    low, high = min([-smallest, *values]) * factor, max([smallest, *values]) * factor
    # An interval of two seeds may be a hundred times as wide as anything seen; it may widen the axis by its half.
    slack = (high - low) / 2
    for effect in effects:
        if effect.interval:
            low = min(low, max(factor * effect.interval[0], low - slack))
            high = max(high, min(factor * effect.interval[1], high + slack))
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def draw_interval(axes: Axes, level: int, effect: Effect, factor: float) -> None:
    """Draw an effect's interval in the color of its verdict, with an arrow where it goes on beyond the frame."""
    color = verdict_color(effect.verdict)
    if effect.interval:
        ends = [factor * end for end in effect.interval]
        axes.plot(ends, [level, level], color=color, lw=1.8, zorder=2)
        axes.plot(ends, [level, level], color=color, ls="", marker="|", ms=8, mew=1.8, zorder=2)
        low, high = axes.get_xlim()
        for end, edge, marker in ((ends[0], low, "<"), (ends[1], high, ">")):
            if not low <= end <= high:
                axes.plot(edge, level, marker=marker, ms=6, color=color, clip_on=False, zorder=3)


def _write_figures(axes: Axes, level: int, effect: Effect, scale: Scale) -> None:
    """Write mean, interval and verdict in columns right of the axes."""

    write = partial(write_beside, axes, level)
    if effect.mean is not None:
        write(0.68, scale.difference(effect.mean))
    if effect.interval:
        write(2.12, interval_of(scale, effect), MUTED)
    write(2.24, verdict_word(effect), verdict_color(effect.verdict), "left", "bold")


def _header(findings: Findings, characters: int) -> list[tuple[str, str]]:
    record, limits = findings.study.record, findings.limits
    facts = [record.data.name, record.plan, count(len(record.seeds), "seed")]
    if findings.together > 1:
        facts.append(f"intervals adjusted for {findings.together} comparisons")
    warnings = [WATCHED] if limits.watched_test else []
    warnings += [] if limits.read else ["test not read yet"]
    return header_lines(facts, warnings, characters)
