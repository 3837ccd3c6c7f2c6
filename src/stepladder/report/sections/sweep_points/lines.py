"""A sweep against its keys: a line with its band over the values of one key, or every point of a search."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from stepladder.report.figures.style import (
    ALARM,
    INK,
    VALIDATION,
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
from stepladder.report.sections.sweep_points.maps import Measure, facts_of, title_of
from stepladder.report.units import Scale
from stepladder.studies.design.sweeps import AxisRecord, Value, as_text, is_number
from stepladder.studies.judging.points import SweepFindings

#: Values further apart than this are drawn on a logarithmic scale.
_LOG_FROM = 8


def draw_score_line(findings: SweepFindings, *, compact: bool = False) -> Figure:
    """Draw what decides against each key: a dot a seed; for a grid the mean's line in a band from low to high.

    A trial that failed is drawn as guessing, which is what it counts as.
    """
    return _draw(findings, "score", compact)


def draw_time_line(findings: SweepFindings, *, compact: bool = False) -> Figure:
    """Draw the wall time of a trial against each key."""
    return _draw(findings, "time", compact)


def _draw(findings: SweepFindings, measure: Measure, compact: bool) -> Figure:
    sweep = findings.sweep
    line = sweep.search is None and len(sweep.axes) == 1
    with house_style():
        abreast = 1 if compact else min(len(sweep.axes), 3)
        high, left, bottom, gap = 2.6 if compact else 3.0, 0.78, 0.72, 0.25
        usual = 4.3 if compact else 6.0 if len(sweep.axes) == 1 else 10.6 / abreast - 0.4
        wide = panel_width(usual, abreast, 0, left + gap)
        rows = -(-len(sweep.axes) // abreast)
        width = max(abreast * (left + wide + gap), page_width(4.9))
        header = header_lines(
            facts_of(findings, measure), ["unfinished"] if findings.study.missing else [], int(width * 11)
        )
        top = header_height(header) + 0.5
        height = top + rows * (high + bottom)
        figure = new_figure(width, height)
        for position, axis in enumerate(sweep.axes):
            x = (position % abreast) * (left + wide + gap) + left
            y = height - top - (position // abreast) * (high + bottom) - high
            axes = figure.add_axes((x / width, y / height, wide / width, high / height), label=str(position))
            _draw_panel(axes, findings, position, axis, measure, line)
        write_header(figure, title_of(findings, measure), header)
        write_legend(figure, _handles(findings, measure, line), header_height(header) + 0.1, 4, 1.6)
        return figure


def _draw_panel(
    axes: Axes,
    findings: SweepFindings,
    position: int,
    axis: AxisRecord,
    measure: Measure,
    line: bool,
) -> None:
    points, best = findings.points, findings.best
    places = place_values(axes, axis, [point.values[position] for point in points])
    scale = Scale(findings.metric.unit)
    if measure == "score":
        means = [None if point.mean is None else scale.factor * point.mean for point in points]
        seeds = [[scale.factor * score for score in point.scores.values()] for point in points]
    else:
        means = [point.seconds for point in points]
        seeds = [[] if point.seconds is None else [point.seconds] for point in points]
    if line:
        known = [i for i, values in enumerate(seeds) if values]
        xs = [places[i] for i in known]
        axes.fill_between(
            xs, [min(seeds[i]) for i in known], [max(seeds[i]) for i in known], color=VALIDATION, alpha=0.2, lw=0
        )
        axes.plot(xs, [mean for mean in means if mean is not None], color=VALIDATION, lw=1.7, zorder=3)
    for place, point, mean, values in zip(places, points, means, seeds, strict=True):
        bad = bool(point.failed or point.at_chance)
        if measure == "score" and line:
            axes.scatter([place] * len(values), values, s=22, color=VALIDATION, alpha=0.6, lw=0, zorder=4)
        if mean is None:
            continue
        if bad and measure == "score":
            axes.plot(place, mean, marker="X", ms=8, mfc=ALARM, mec="white", mew=0.8, zorder=6)
        elif best is not None and point in best.points and measure == "score":
            axes.plot(place, mean, marker="D", ms=7.5, mfc="white", mec=INK, mew=1.8, zorder=7)
        elif not line:
            face = "white" if point.pruned or point.missing else VALIDATION
            axes.plot(place, mean, marker="o", ms=6, mfc=face, mec=VALIDATION, mew=1.2, alpha=0.85, zorder=4)
        elif measure == "time":
            axes.plot(place, mean, marker="o", ms=6, mfc=VALIDATION, mec="white", mew=0.8, zorder=4)
        if line and len(points) <= 12:
            text = scale.value(mean / scale.factor) if measure == "score" else f"{mean:.2g}"
            low = min(values) if measure == "score" else mean
            label = axes.annotate(
                text, (place, low), xytext=(0, -9), textcoords="offset points", ha="center", va="top", fontsize=8.5
            )
            label.set(zorder=8, bbox={"fc": "white", "ec": "none", "pad": 0.8, "alpha": 0.8})
    if line:  # room for the numbers
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom - 0.14 * (top - bottom), top + 0.04 * (top - bottom))
    axes.set_xlabel(printable(axis.key))
    named = f"{findings.metric.validation_label}, {scale.unit}"
    axes.set_ylabel(named if measure == "score" else "seconds a trial")


def place_values(axes: Axes, axis: AxisRecord, values: Sequence[Value]) -> list[float]:
    """Set the scale of a key on the x axis and return where each value stands."""
    numbers = [float(value) for value in values if is_number(value)]
    if len(numbers) < len(values):
        names = list(dict.fromkeys(axis.values))
        axes.set_xticks(range(len(names)), [printable(as_text(name)) for name in names])
        axes.set_xlim(-0.5, len(names) - 0.5)
        return [float(names.index(value)) for value in values]
    ends = [axis.low, axis.high] if axis.low is not None and axis.high is not None else numbers
    low, high = min(float(end or 0) for end in ends), max(float(end or 0) for end in ends)
    log = low > 0 and high / low >= _LOG_FROM
    if log:
        axes.set_xscale("log")
        axes.set_xlim(low / (high / low) ** 0.06, high * (high / low) ** 0.06)
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = 0.06 * (high - low) or 0.5 * abs(low) or 0.5  # of a single value, half as much on both sides
        axes.set_xlim(low - margin, high + margin)
    if axis.values and len(axis.values) <= 12:
        axes.set_xticks([float(value) for value in axis.values if is_number(value)])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    elif log:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0) if high / low > 30 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    return numbers


def _handles(findings: SweepFindings, measure: Measure, line: bool) -> list[Line2D | Patch]:
    if measure == "time":
        return [Line2D([], [], ls="", marker="o", ms=6, mfc=VALIDATION, mec=VALIDATION, label="mean of a point")]
    handles: list[Line2D | Patch] = []
    if line:
        handles.append(Line2D([], [], color=VALIDATION, lw=1.7, label="mean"))
        if len(findings.study.record.seeds) > 1:
            handles.append(Patch(color=VALIDATION, alpha=0.2, lw=0, label="lowest to highest seed"))
    else:
        handles.append(Line2D([], [], ls="", marker="o", ms=6, mfc=VALIDATION, mec=VALIDATION, label="mean of a point"))
        if any(point.pruned or point.missing for point in findings.points):
            handles.append(
                Line2D([], [], ls="", marker="o", ms=6, mfc="white", mec=VALIDATION, label="not all its seeds")
            )
    handles.append(Line2D([], [], ls="", marker="D", ms=7, mfc="white", mec=INK, mew=1.8, label="highest mean"))
    if any(point.failed or point.at_chance for point in findings.points):
        handles.append(Line2D([], [], ls="", marker="X", ms=8, mfc=ALARM, mec="white", label="a seed did not learn"))
    return handles
