"""Which techniques the gain comes from, as bars of the Shapley values, and how they interact, as a matrix."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from stepladder.report.figures.style import (
    INK,
    MUTED,
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
from stepladder.report.marks import interval_of, verdict_word
from stepladder.report.sections.effects.figure import draw_interval, effect_axes
from stepladder.report.units import Scale, count
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.findings import Findings
from stepladder.studies.judging.statistics import Effect

_BAR = "#A9C8DE"
_NEITHER = "#E4E4E4"
_CELL, _SMALL_CELL = 1.08, 0.84  # inches
# Vermilion to blue over white; pale enough that black text keeps its contrast.
_COLORS = LinearSegmentedColormap.from_list("interaction", ["#F2B38A", "#FFFFFF", "#9CC9E6"])


def draw_shapley(findings: Findings, *, compact: bool = False) -> Figure:
    """Draw what each technique contributes to the whole gain, averaged over all orders, with its adjusted interval."""
    effects = [effect for effect in findings.effects if effect.design is ContrastKind.SHAPLEY]
    factor = Scale(findings.metric.unit).factor
    with house_style():
        figure, axes, heads = effect_axes(findings, effects, "Shares of the gain", compact)
        for level, effect in enumerate(reversed(effects)):
            if effect.mean is not None:
                axes.barh(level, factor * effect.mean, height=0.52, color=_BAR, zorder=1)
            draw_interval(axes, level, effect, factor)
        handles = [
            Patch(color=_BAR, label="Shapley value"),
            Line2D([], [], color=MUTED, lw=1.8, marker="|", ms=8, mew=1.6, label="adjusted interval"),
        ]
        write_legend(figure, handles, heads, 2, 1.6)
        return figure


def draw_interactions(findings: Findings, *, compact: bool = False) -> Figure:
    """Draw every pair of techniques as a cell: how much more the one adds where the other is on, and the verdict.

    Args:
        findings: of a factorial that estimates interactions.
        compact: for a narrow screen, smaller cells without intervals.
    """
    effects = [effect for effect in findings.effects if effect.is_interaction]
    names = list(dict.fromkeys(name for effect in effects for name in effect.name.split(" × ")))
    rows, columns = names[1:], names[:-1]
    cell, size = (_SMALL_CELL, 7.0) if compact else (_CELL, 8.0)
    with house_style():
        probe = new_figure(4, 4)
        labels = ["\n".join(textwrap.wrap(printable(name), 11 if compact else 13)) for name in names]
        side = 0.34 + max(text_width(probe, label, size, "bold") for label in labels)
        width = max(side + cell * len(columns) + 0.3, min(4.9, page_width(4.9)))
        header = _header(findings, int(width * 12))
        top = header_height(header) + 0.5
        bottom = 0.24 + 0.16 * max(label.count("\n") + 1 for label in labels)
        height = top + cell * len(rows) + bottom
        figure = new_figure(width, height)
        across, down = cell * len(columns) / width, cell * len(rows) / height
        axes = figure.add_axes((side / width, bottom / height, across, down))
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        axes.grid(False)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0)
        axes.set_xticks(
            [i + 0.5 for i in range(len(columns))], labels[:-1], fontsize=size, fontweight="bold", color=INK
        )
        axes.set_yticks([i + 0.5 for i in range(len(rows))], labels[1:], fontsize=size, fontweight="bold", color=INK)
        scale = Scale(findings.metric.unit)
        largest = max((abs(one.mean) for one in effects if one.verdict in ("helped", "hurt") and one.mean), default=1.0)
        norm = TwoSlopeNorm(0, -largest, largest)
        for effect in effects:
            x, below = sorted(names.index(name) for name in effect.name.split(" × "))
            y = below - 1
            decided = effect.verdict in ("helped", "hurt")
            # A color is a claim: what is undecided has none, whatever its mean.
            color = (
                _COLORS(norm(effect.mean or 0.0))
                if decided
                else _NEITHER
                if effect.verdict == "equivalent"
                else "#FFFFFF"
            )
            edge, line = (INK, 1.8) if decided else ("#D0D0D0", 0.8)
            axes.add_patch(Rectangle((x + 0.03, y + 0.03), 0.94, 0.94, fc=color, ec=edge, lw=line, zorder=2 + decided))
            _write(axes, (x + 0.5, y), effect, scale, compact)
        write_header(figure, "How techniques interact", header)
        handles = [
            Patch(fc="#9CC9E6", ec=INK, lw=1.8, label="stronger together"),
            Patch(fc="#F2B38A", ec=INK, lw=1.8, label="weaker together"),
            Patch(fc=_NEITHER, ec="#D0D0D0", label="independent"),
            Patch(fc="#FFFFFF", ec="#D0D0D0", label="undecided"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 2, 1.2)
        return figure


def _write(axes: Axes, place: tuple[float, float], effect: Effect, scale: Scale, compact: bool) -> None:
    """Write an interaction's figures into the cell whose upper edge has its middle at ``place``."""
    x, y = place
    lift = 0.5 if compact else 0.36
    mean = scale.difference(effect.mean)
    axes.text(x, y + lift, mean, ha="center", va="center", fontsize=10, fontweight="bold", zorder=4)
    if not compact:
        bounds = interval_of(scale, effect)
        axes.text(x, y + 0.6, bounds, ha="center", va="center", fontsize=6.6, color=MUTED, zorder=4)
        axes.text(x, y + 0.79, verdict_word(effect), ha="center", va="center", fontsize=6.6, color=MUTED, zorder=4)


def _header(findings: Findings, characters: int) -> list[tuple[str, str]]:
    record = findings.study.record
    facts = [
        record.data.name,
        f"{Scale(findings.metric.unit).step} more where both are on",
        count(len(record.seeds), "seed"),
        f"adjusted for {count(findings.interactions, 'interaction')}",
    ]
    return header_lines(facts, [] if findings.limits.read else ["test not read yet"], characters)
