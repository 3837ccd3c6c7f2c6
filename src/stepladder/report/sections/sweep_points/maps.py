"""Heat maps of a grid: what decides, or time, a cell a point, its figures written in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from statistics import fmean
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
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
from stepladder.report.units import Scale, capital, count, duration
from stepladder.studies.design.sweeps import AxisRecord, Value, as_text
from stepladder.studies.judging.points import Point, SweepFindings

Measure = Literal["score", "time"]

#: White to dark blue: darker is more, in gray too, and for every kind of color vision.
_COLORS = LinearSegmentedColormap.from_list("sweep", ["#F4F8FC", "#9CC4E4", "#2F78B3", "#08306B"])
_NOTHING = "#FFFFFF"
#: More panels than these are summed up as pairs of keys.
_MOST_PANELS = 12
_CELL, _SMALL_CELL, _ROW = 0.98, 0.72, 0.56  # inches
_BOTTOM, _GAP = 0.62, 0.3
_INSET = 0.035  # of a cell


@dataclass(frozen=True)
class _Panel:
    """One map: what its title says, its two keys, and the points of every cell."""

    title: str
    across: AxisRecord
    down: AxisRecord
    cells: dict[tuple[int, int], list[Point]]


@dataclass(frozen=True)
class _Shown:
    """What a cell shows: its value, and how that is written."""

    measure: Measure
    value: Callable[[Sequence[Point]], float | None]
    scale: Scale


def draw_score_map(findings: SweepFindings, *, compact: bool = False) -> Figure:
    """Draw mean ± standard deviation of what decides in every cell of a grid of two keys or more.

    The first key goes across, the second down; further keys make a panel for each of their combinations, or, where
    those are more than twelve, there is a panel for each pair of keys with the best point of each cell.
    """
    return _draw(findings, "score", compact)


def draw_time_map(findings: SweepFindings, *, compact: bool = False) -> Figure:
    """Draw the mean wall time of a trial in every cell; panels as :func:`draw_score_map` has them."""
    return _draw(findings, "time", compact)


def _draw(findings: SweepFindings, measure: Measure, compact: bool) -> Figure:
    points, best = findings.points, findings.best
    panels, pairs = _panels(findings.sweep.axes, points)
    value = _score if measure == "score" else _seconds
    known = [number for panel in panels for cell in panel.cells.values() if (number := value(cell)) is not None]
    norm = Normalize(min(known, default=0.0), max(known, default=1.0) or 1.0)
    top_names = {point.name for point in best.points} if best and measure == "score" else set()
    with house_style():
        cell = _SMALL_CELL if compact else _CELL
        most = max(len(panel.across.values) for panel in panels)
        cell = max(0.5, min(cell, (5.6 if compact else 10.6) / most))
        probe = new_figure(4, 4)
        labels = [printable(as_text(each)) for panel in panels for each in panel.down.values]
        side = 0.62 + max(text_width(probe, label, 8.5) for label in labels)
        widths = [side + cell * len(panel.across.values) + _GAP for panel in panels]
        room = page_width(6.0 if compact else 11.5)
        abreast = max(1, min(len(panels), int(room // max(widths)), 4))
        rows = [panels[start : start + abreast] for start in range(0, len(panels), abreast)]
        width = max(abreast * max(widths), min(4.9, page_width(4.9)))
        facts = facts_of(findings, measure)
        if measure == "score":
            facts.append(
                "mean ± standard deviation" if len(findings.study.record.seeds) > 1 else "no spread with one seed"
            )
        if pairs:
            facts.append(f"each cell the {'best' if measure == 'score' else 'mean'} over the other keys")
        header = header_lines(facts, ["unfinished"] if findings.study.missing else [], int(width * 11))
        titled = 0.3 if any(panel.title for panel in panels) else 0.06
        top = header_height(header) + 0.42
        heights = [titled + _ROW * max(len(panel.down.values) for panel in row) + _BOTTOM for row in rows]
        height = top + sum(heights) + 0.04
        figure = new_figure(width, height)
        y = height - top
        for row, tall in zip(rows, heights, strict=True):
            for position, panel in enumerate(row):
                left = position * max(widths) + side
                high = _ROW * len(panel.down.values)
                box = (left, y - titled - high, cell * len(panel.across.values), high)
                axes = figure.add_axes(
                    (box[0] / width, box[1] / height, box[2] / width, box[3] / height), label=f"{position}-{y}"
                )
                _draw_panel(axes, panel, _Shown(measure, value, Scale(findings.metric.unit)), norm, top_names, cell)
                if panel.title:
                    figure.text(left / width, (y - 0.16) / height, printable(panel.title), fontsize=9, va="center")
            y -= tall
        write_header(figure, title_of(findings, measure), header)
        handles = [Patch(fc=_COLORS(0.08), ec="#C8C8C8", label="less"), Patch(fc=_COLORS(0.95), label="more")]
        if top_names:
            handles.append(Patch(fc="white", ec=INK, lw=2.2, label="highest mean"))
        if measure == "score" and any(point.failed or point.at_chance for point in points):
            handles.append(Patch(fc="white", ec=MUTED, hatch="////", lw=0.6, label="a seed did not learn"))
        write_legend(figure, handles, header_height(header) + 0.08, len(handles), 1.2)
        return figure


def _panels(axes: Sequence[AxisRecord], points: Sequence[Point]) -> tuple[list[_Panel], bool]:
    """Return the panels, and whether they are pairs of keys with the other keys summed up."""
    rest = axes[2:]
    combos = list(product(*(axis.values for axis in rest)))
    if len(combos) <= _MOST_PANELS:
        panels = []
        for combo in combos:
            title = ", ".join(f"{axis.key}={as_text(value)}" for axis, value in zip(rest, combo, strict=True))
            there = [point for point in points if tuple(point.values[2:]) == combo]
            panels.append(_Panel(title, axes[0], axes[1], _cells(axes, there, 0, 1)))
        return panels, False
    pairs = combinations(range(len(axes)), 2)
    return [_Panel("", axes[one], axes[two], _cells(axes, points, one, two)) for one, two in pairs], True


def _cells(
    axes: Sequence[AxisRecord], points: Sequence[Point], one: int, two: int
) -> dict[tuple[int, int], list[Point]]:
    cells: dict[tuple[int, int], list[Point]] = {}
    for point in points:
        place = (_place(axes[one], point.values[one]), _place(axes[two], point.values[two]))
        cells.setdefault(place, []).append(point)
    return cells


def _place(axis: AxisRecord, value: Value) -> int:
    return axis.values.index(value)


def _draw_panel(
    axes: Axes,
    panel: _Panel,
    how: _Shown,
    norm: Normalize,
    top_names: set[str],
    cell: float,
) -> None:
    across, down = panel.across.values, panel.down.values
    axes.set_xlim(0, len(across))
    axes.set_ylim(len(down), 0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([i + 0.5 for i in range(len(across))], [printable(as_text(each)) for each in across])
    axes.set_yticks([i + 0.5 for i in range(len(down))], [printable(as_text(each)) for each in down])
    axes.set_xlabel(printable(panel.across.key))
    axes.set_ylabel(printable(panel.down.key))
    size = 9.5 if cell >= 0.7 else 8
    for (x, y), there in panel.cells.items():
        number = how.value(there)
        shown = _top(there)
        bad = how.measure == "score" and not any(point.learned for point in there) and shown.ended > 0
        color = to_rgb(_COLORS(norm(number)) if number is not None else _NOTHING)
        chosen = bool(top_names & {point.name for point in there})
        edge, line = (INK, 2.4) if chosen else ("#C8C8C8", 0.7)
        patch = Rectangle((x + _INSET, y + _INSET), 1 - 2 * _INSET, 1 - 2 * _INSET, zorder=3 if chosen else 2)
        patch.set(fc=_NOTHING if bad else color, ec=MUTED if bad else edge, lw=0.4 if bad else line)
        if bad:
            patch.set_hatch("////")
        axes.add_patch(patch)
        first, second = _texts(shown, there, how)
        ink = "#000000" if bad or number is None or _light(color) else "#FFFFFF"
        pale = {"fc": "white", "ec": "none", "pad": 1.2} if bad else None
        lift = 0.36 if second else 0.5
        axes.text(
            x + 0.5, y + lift, first, ha="center", va="center", fontsize=size, fontweight="bold", color=ink, zorder=4,
            bbox=pale,
        )  # fmt: skip
        axes.text(
            x + 0.5,
            y + 0.7,
            second,
            ha="center",
            va="center",
            fontsize=size - (2 if cell > 0.8 else 2.9),
            color=ink,
            zorder=4,
            bbox=pale,
        )


def _texts(shown: Point, there: Sequence[Point], how: _Shown) -> tuple[str, str]:
    if how.measure == "time":
        seconds = _seconds(there)
        return ("–" if seconds is None else duration(seconds)), ""
    if shown.mean is None:
        return "–", "stopped" if shown.stopped else "not run"
    spread = "" if shown.sd is None else f"± {how.scale.value(shown.sd)}"
    if shown.failed:
        what = "stopped" if shown.stopped else "diverged"
        spread = what if len(shown.failed) == shown.ended else f"{len(shown.failed)} of {shown.ended} {what}"
    elif shown.at_chance:
        spread = "guessing" if len(shown.at_chance) == shown.n else f"{len(shown.at_chance)} of {shown.n} guess"
    elif shown.missing:
        spread = f"{shown.n} of {shown.n + shown.missing} seeds"
    return how.scale.value(shown.mean), spread


def _top(there: Sequence[Point]) -> Point:
    return max(there, key=lambda point: (point.learned, point.worth))


def _score(there: Sequence[Point]) -> float | None:
    shown = _top(there)
    return shown.mean if shown.learned or (shown.missing and not shown.failed and not shown.at_chance) else None


def _seconds(there: Sequence[Point]) -> float | None:
    known = [point.seconds for point in there if point.seconds is not None]
    return fmean(known) if known else None


def _light(color: tuple[float, ...]) -> bool:
    """Whether black reads better on a color than white: the relative luminance of WCAG 2.2 against its middle."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.179


def title_of(findings: SweepFindings, measure: Measure) -> str:
    """Return what stands above every figure of points."""
    if measure == "time":
        return "Time of a trial"
    return f"{capital(findings.metric.validation_label)}, {Scale(findings.metric.unit).unit}"


def facts_of(findings: SweepFindings, measure: Measure) -> list[str]:
    """Return what stands under the title of every figure of points."""
    record = findings.study.record
    facts = [record.data.name, count(len(record.rungs), "point"), f"{count(len(record.seeds), 'seed')} each"]
    if measure == "score":
        images = findings.validation_images
        return facts if images is None else [*facts, count(images, "validation image")]
    return [*facts, record.machine.accelerator or record.machine.processor]
