"""The interaction matrix: which techniques add to each other and which are in each other's way."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from stepladder.report.effect_tables import verdict_word
from stepladder.report.figures.style import (
    INK,
    MUTED,
    header_height,
    header_lines,
    house_style,
    new_figure,
    printable,
    text_width,
    write_header,
    write_legend,
)
from stepladder.report.tables import scale_of
from stepladder.report.units import count
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.statistics import Effect, judged_together, weigh_effects

_CELL, _SMALL_CELL = 1.08, 0.84  # inches
# Vermilion to blue over white; pale enough that black text keeps its contrast.
_COLORS = LinearSegmentedColormap.from_list("interaction", ["#F2B38A", "#FFFFFF", "#9CC9E6"])


def draw_interactions(study: SavedStudy, *, compact: bool = False) -> Figure:
    """Draw every pair of techniques as a cell: how much more the one adds where the other is on, and the verdict.

    Args:
        study: a factorial that estimates interactions.
        compact: for a narrow screen, smaller cells without intervals.
    """
    effects = [effect for effect in weigh_effects(study) if effect.is_interaction]
    names = list(dict.fromkeys(name for effect in effects for name in effect.name.split(" × ")))
    rows, columns = names[1:], names[:-1]
    cell, size = (_SMALL_CELL, 7.0) if compact else (_CELL, 8.0)
    with house_style():
        probe = new_figure(4, 4)
        labels = ["\n".join(textwrap.wrap(printable(name), 11 if compact else 13)) for name in names]
        side = 0.34 + max(text_width(probe, label, size, "bold") for label in labels)
        width = max(side + cell * len(columns) + 0.3, 4.9)
        header = _header(study, int(width * 12))
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
        scale = scale_of(study)
        largest = max((abs(effect.mean) for effect in effects if effect.mean is not None), default=0) or 1
        norm = TwoSlopeNorm(0, -largest, largest)
        for effect in effects:
            one, other = effect.name.split(" × ")
            x, y = columns.index(one), rows.index(other)
            color = _COLORS(norm(effect.mean)) if effect.mean is not None else "#FFFFFF"
            decided = effect.verdict in ("helped", "hurt")
            edge, line = (INK, 1.8) if decided else ("#D0D0D0", 0.8)
            axes.add_patch(Rectangle((x + 0.03, y + 0.03), 0.94, 0.94, fc=color, ec=edge, lw=line, zorder=2 + decided))
            _write(axes, x + 0.5, y, effect, scale.difference(effect.mean), scale.interval(effect.interval), compact)
        write_header(figure, "How techniques interact", header)
        handles = [
            Patch(fc="#9CC9E6", ec="#D0D0D0", label="add to each other"),
            Patch(fc="#F2B38A", ec="#D0D0D0", label="in each other's way"),
            Patch(fc="#FFFFFF", ec=INK, lw=1.8, label="interval excludes zero"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 2 if compact else 3, 1.2)
        return figure


def _write(axes: Axes, x: float, y: float, effect: Effect, mean: str, bounds: str, compact: bool) -> None:
    lift = 0.5 if compact else 0.36
    axes.text(x, y + lift, mean, ha="center", va="center", fontsize=10, fontweight="bold", zorder=4)
    if not compact:
        axes.text(x, y + 0.6, bounds, ha="center", va="center", fontsize=6.6, color=MUTED, zorder=4)
        word = "undecided" if effect.verdict == "undecided" else verdict_word(effect)
        axes.text(x, y + 0.79, word, ha="center", va="center", fontsize=6.6, color=MUTED, zorder=4)


def _header(study: SavedStudy, characters: int) -> list[tuple[str, str]]:
    scale = scale_of(study)
    facts = [
        study.record.data.name,
        f"{scale.step} more where both are on",
        count(len(study.record.seeds), "seed"),
        f"adjusted for {count(judged_together(study.record, interaction=True), 'interaction')}",
    ]
    warnings = ["test not read yet"] if study.unread or not study.trials else []
    return header_lines(facts, warnings, characters)
