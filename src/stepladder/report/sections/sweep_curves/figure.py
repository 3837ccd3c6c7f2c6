"""The curves of every point of a sweep: validation accuracy and loss by epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stepladder.report.figures.style import (
    INK,
    MUTED,
    header_height,
    header_lines,
    house_style,
    new_figure,
    page_width,
    panel_width,
    printable,
    write_header,
    write_legend,
)
from stepladder.report.sections.curves.axes import CurveAxis, held_out_axes
from stepladder.report.units import count
from stepladder.studies.design.sweeps import Value, as_text
from stepladder.studies.judging.curves import Measure, RungCurves
from stepladder.studies.judging.points import SweepFindings

_HIGH: dict[Measure, float] = {"accuracy": 1.9, "loss": 1.5}  # inches
#: More values of the first key than these are not told apart by dashes; more panels than these are one.
_MOST_LINES, _MOST_PANELS = 10, 16
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)), (0, (3, 1, 1, 1, 1, 1)))


def draw_sweep_curves(findings: SweepFindings, *, compact: bool = False) -> Figure:
    """Draw the mean curve of every point, accuracy above loss: a line a value of the first key, a panel the others.

    Seeds make a band from lowest to highest. The curve of a trial that failed ends in a cross. A search, and a grid of
    many panels, have all curves in one, the best one black.
    """
    study, sweep = findings.study, findings.sweep
    groups: dict[tuple[Value, ...], list[int]] = {}
    for position, values in enumerate(sweep.points):
        groups.setdefault(tuple(values[1:]), []).append(position)
    firsts = list(dict.fromkeys(values[0] for values in sweep.points))
    single = sweep.search is not None or len(groups) > _MOST_PANELS or len(firsts) > _MOST_LINES
    if single:
        groups = {(): list(range(len(sweep.points)))}
    with house_style():
        abreast = min(len(groups), 2 if compact else 4)
        left, gap, bottom, between = 0.68, 0.24, 0.58, 0.16
        usual = 1.75 if compact and abreast > 1 else 4.0 if compact else 6.4 if abreast == 1 else 8.6 / abreast
        wide = panel_width(usual, abreast, left + 0.1, gap)
        rows = -(-len(groups) // abreast)
        width = max(left + abreast * (wide + gap) + 0.1, page_width(4.9))
        titled = 0.3 if not single and len(sweep.axes) > 1 else 0.05
        facts = [study.record.data.name, count(len(sweep.points), "point")]
        band = [] if single else ["band: lowest to highest seed"]
        facts += ["line: mean", *band] if len(study.record.seeds) > 1 else ["one seed"]
        header = header_lines(facts, ["unfinished"] if study.missing else [], int(width * 11))
        handles = _handles(findings, firsts, single)
        columns = max(1, min(len(handles), int(width // 1.25)))
        top = header_height(header) + 0.22 * -(-len(handles) // columns) + 0.2
        drawn = held_out_axes(findings)
        block = titled + sum(_HIGH[measure] for measure in drawn) + between * (len(drawn) - 1) + bottom
        height = top + rows * block
        figure = new_figure(width, height)
        last = list(drawn)[-1]
        for number, (rest, members) in enumerate(groups.items()):
            column, level = number % abreast, number // abreast
            x, y = left + column * (wide + gap), height - top - level * block
            if titled > 0.1:
                title = ", ".join(
                    f"{axis.key}={as_text(value)}" for axis, value in zip(sweep.axes[1:], rest, strict=True)
                )
                figure.text(
                    x / width, (y - 0.14) / height, printable(title), fontsize=9, fontweight="bold", va="center"
                )
            y -= titled
            for measure, upright in drawn.items():
                high = _HIGH[measure]
                y -= high
                axes = figure.add_axes(
                    (x / width, y / height, wide / width, high / height), label=f"{number}-{measure}"
                )
                axes.set_ylim(upright.low, _top(findings, measure, upright))
                axes.set_xlim(0, max(findings.curves.last_epoch, 1))
                axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
                _draw_lines(axes, findings, members, firsts, (measure, upright), single)
                if measure != last:
                    axes.tick_params(labelbottom=False)
                else:
                    axes.set_xlabel("epoch")
                if column:
                    axes.tick_params(labelleft=False)
                else:
                    axes.set_ylabel(f"validation {upright.title}")
                y -= between
        write_header(figure, "Curves of all points", header)
        write_legend(figure, handles, header_height(header) + 0.08, columns, 2.2)
        return figure


def _draw_lines(
    axes: Axes,
    findings: SweepFindings,
    members: Sequence[int],
    firsts: Sequence[Value],
    drawn: tuple[Measure, CurveAxis],
    single: bool,
) -> None:
    chosen = {point.name for point in findings.best.points} if findings.best else set()
    for position in members:
        curves = findings.curves.rungs[position]
        if single:
            color, dashes, line = (INK, "-", 1.9) if curves.rung in chosen else ("#7F9DB9", "-", 0.8)
        else:
            color, dashes = line_style(firsts.index(findings.sweep.points[position][0]), len(firsts))
            line = 1.5
        _draw_point(axes, curves, drawn, color, dashes, line, band=not single)


def _draw_point(
    axes: Axes,
    curves: RungCurves,
    drawn: tuple[Measure, CurveAxis],
    color: str,
    dashes: Any,
    line: float,
    *,
    band: bool,
) -> None:
    measure, upright = drawn
    for failed in curves.failed.values():
        epochs, values = failed.watched[measure].epochs, upright.place(failed.watched[measure].mean)
        if epochs:
            axes.plot(epochs, values, color=color, lw=0.9, ls=dashes)
            end = min(values[-1], axes.get_ylim()[1])
            axes.plot(epochs[-1], end, "x", color=color, ms=6, mew=1.6, clip_on=False)
    mean = curves.mean.watched[measure]
    epochs, values = mean.epochs, upright.place(mean.mean)
    if not epochs:
        return
    if curves.finished > 1 and band:
        low, high = upright.place(mean.low), upright.place(mean.high)
        axes.fill_between(epochs, low, high, color=color, alpha=0.16, lw=0)
    axes.plot(epochs, values, color=color, lw=line, ls=dashes, zorder=4 if color == INK else 3)


def line_style(position: int, lines: int) -> tuple[str, Any]:
    """Return color and dashes of a line: from light to dark as the values grow, and dashed by turns, for gray too."""
    place = position / max(lines - 1, 1)
    return matplotlib.colors.to_hex(matplotlib.colormaps["viridis_r"](0.12 + 0.88 * place)), _DASHES[position % 5]


def _handles(findings: SweepFindings, firsts: Sequence[Value], single: bool) -> list[Line2D]:
    if single:
        handles = [Line2D([], [], color=INK, lw=1.9, label="highest mean")]
        handles.append(Line2D([], [], color="#7F9DB9", lw=0.8, label="the others"))
    else:
        handles = []
        for position, value in enumerate(firsts):
            color, dashes = line_style(position, len(firsts))
            handles.append(Line2D([], [], color=color, ls=dashes, lw=1.6, label=printable(as_text(value))))
        handles[0].set_label(f"{printable(findings.sweep.axes[0].key)} {handles[0].get_label()}")
    if findings.facts.failed:
        handles.append(Line2D([], [], color=MUTED, ls="", marker="x", ms=6, mew=1.6, label="diverged"))
    return handles


def _top(findings: SweepFindings, measure: Measure, upright: CurveAxis) -> float:
    """Where an axis ends: of losses, guessing costs ln(classes), and what is far above does not stretch the axis."""
    curves, record = findings.curves, findings.study.record
    if measure != "loss" or record.scores is not None:
        return upright.high
    guess = math.log(max(len(record.data.class_names), 2))
    seen = [value for rung in curves.rungs for value in rung.mean.watched["loss"].high]
    return min(1.06 * max([*seen, 1.1 * guess]), 2.5 * guess)
