"""The ladder: the test result of every rung, the first at the bottom."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stepladder.report.figures.style import (
    ALARM,
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
    write_header,
    write_legend,
)
from stepladder.report.marks import WATCHED, compared_with, interval_of, techniques_of
from stepladder.report.sections.ladder import effects_of_rungs
from stepladder.report.units import Scale, capital, count
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.findings import Findings
from stepladder.studies.judging.statistics import Effect, RungSummary

_LINE = 0.155  # inches between two lines of a label
_STEP = "#A9C8DE"
_DOT = 0.08  # inches across a dot


@dataclass(frozen=True)
class _Label:
    """What stands left of a rung: its name, what it adds and what went wrong, each line with its color."""

    name: str
    lines: tuple[tuple[str, str], ...]


def draw_ladder(findings: Findings, *, compact: bool = False) -> Figure:
    """Draw the plan's metric a rung, the first at the bottom: a dot a seed, the mean and its 95 % t-interval.

    Args:
        findings: of any study, finished or not.
        compact: for a narrow screen; the figures at the right are left out, as the page's table has them.
    """
    with house_style():
        rungs, scale = findings.rungs, Scale(findings.metric.unit)
        bare = "no technique" if findings.study.record.scores is None else ""
        labels = [_label(rung, 24 if compact else 32, bare=bare) for rung in rungs]
        row = max(0.6, 0.26 + _LINE * (1 + max(len(label.lines) for label in labels)))
        header = _header(findings, 60 if compact else 110)
        top = header_height(header) + 0.5
        width, height = page_width(4.9 if compact else 9.2), top + row * (len(rungs) + 0.1) + 0.62
        figure = new_figure(width, height)
        left = 0.32 + max(_width(figure, label) for label in labels)
        effects = effects_of_rungs(findings)
        several = any(effect.interval for effect in effects.values())
        right = 0.25 if compact else 2.75 if several else 1.65 if effects else 1.0
        axes = figure.add_axes(
            (left / width, 0.62 / height, max(0.1, width - left - right) / width, row * (len(rungs) + 0.1) / height)
        )
        _draw_frame(axes, rungs, scale, f"{findings.metric.label}, {scale.unit}")
        _draw_steps(axes, rungs, scale, list(effects.values()))
        for level, rung in enumerate(rungs):
            _draw_rung(axes, level, rung, scale, (width - left - right, row))
        for level, label in enumerate(labels):
            _write_label(figure, label, MARGIN / width, 0.62 + row * (level + 0.5), height)
        if not compact:
            _write_figures(axes, rungs, scale, effects, several)
        title = findings.metric.label
        write_header(figure, f"{capital(title)}, rung by rung", header)
        _draw_legend(figure, rungs, compact, header_height(header) + 0.08)
        return figure


def _label(rung: RungSummary, characters: int, *, bare: str = "no technique") -> _Label:
    adds = " ".join(techniques_of(rung)) or bare
    lines = [(line, MUTED) for line in textwrap.wrap(printable(adds), characters)]
    if rung.failed:
        if len(rung.failed) <= 3:
            which = f"seed{'s' if len(rung.failed) > 1 else ''} {', '.join(map(str, rung.failed))}"
        else:
            which = f"{len(rung.failed)} of {rung.planned} seeds"
        lines.append((f"{which} failed", ALARM))
    if rung.missing:
        lines.append((f"{rung.missing} of {count(rung.planned, 'seed')} not run yet", ALARM))
    return _Label(textwrap.shorten(printable(rung.rung), characters, placeholder="…"), tuple(lines))


def _width(figure: Figure, label: _Label) -> float:
    widths = [text_width(figure, label.name, 10.5, "bold")]
    return max(widths + [text_width(figure, line, 8.5) for line, _ in label.lines])


def _write_label(figure: Figure, label: _Label, x: float, middle: float, height: float) -> None:
    y = middle + _LINE * len(label.lines) / 2
    figure.text(x, y / height, label.name, fontsize=10.5, fontweight="bold", va="center")
    for line, color in label.lines:
        y -= _LINE * 1.08
        figure.text(x, y / height, line, fontsize=8.5, color=color, va="center")


def _draw_frame(axes: Axes, rungs: tuple[RungSummary, ...], scale: Scale, label: str) -> None:
    axes.set_ylim(-0.5, len(rungs) - 0.4)
    axes.set_xlim(_limits(rungs, scale))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    axes.hlines(range(len(rungs)), 0, 1, transform=axes.get_yaxis_transform(), color=GRID, lw=4, zorder=0.5)


def _limits(rungs: tuple[RungSummary, ...], scale: Scale) -> tuple[float, float]:
    factor = scale.factor
    values = [factor * value for rung in rungs for value in rung.scores.values()]
    if not values:
        return 0.0, factor
    low, high = min(values), max(values)
    # The t-interval of two seeds can be wider than everything else; it may widen the axis, not squeeze the dots.
    slack = max(high - low, 0.02 * factor) / 2
    for rung in rungs:
        if bounds := rung.interval:
            low, high = min(low, max(factor * bounds[0], low - slack)), max(high, min(factor * bounds[1], high + slack))
    margin = max(0.06 * (high - low), 0.0025 * factor)
    # No share lies beyond 0 or 100 %, though an interval may; the little more is room for a dot.
    top = min(high + margin, 100 + 0.6 * margin) if scale.share else high + margin
    return max(low - margin, -0.6 * margin), top


def _draw_steps(axes: Axes, rungs: tuple[RungSummary, ...], scale: Scale, effects: list[Effect]) -> None:
    """Lead the eye from mean to mean where one rung builds on another: up, then across by the difference."""
    levels = {rung.rung: level for level, rung in enumerate(rungs)}
    for effect in effects:
        assert effect.rung is not None
        assert effect.below is not None
        bottom, top = levels[effect.below], levels[effect.rung]
        below, rung = rungs[bottom].mean, rungs[top].mean
        if effect.design is ContrastKind.LADDER and below is not None and rung is not None:
            start, end = scale.factor * below, scale.factor * rung
            axes.plot([start, start, end], [bottom, top, top], color=_STEP, lw=1.6, zorder=1)


def _draw_rung(axes: Axes, level: int, rung: RungSummary, scale: Scale, inches: tuple[float, float]) -> None:
    """Draw one rung; ``inches`` are the axes' width and the height of a row."""
    if rung.mean is None:
        across = axes.get_yaxis_transform()
        blank = {"facecolor": "white", "edgecolor": "none"}
        axes.text(0.5, level, "no result yet", transform=across, ha="center", va="center", color=MUTED, bbox=blank)
        return
    factor = scale.factor
    values = [factor * value for value in rung.scores.values()]
    if bounds := rung.interval:
        # The t-interval of a mean is the same formula as that of a mean difference.
        low, high = factor * bounds[0], factor * bounds[1]
        axes.plot([low, high], [level, level], color=INK, lw=1.8, zorder=2)
        axes.plot([low, high], [level, level], color=INK, ls="", marker="|", ms=8, mew=1.8, zorder=2)
    heights = [level + height / inches[1] for height in _swarm(values, axes, inches[0])]
    axes.scatter(values, heights, s=(72 * _DOT) ** 2, color=VALIDATION, alpha=0.7, lw=0, zorder=3, clip_on=False)
    if len(values) > 1:
        axes.plot(factor * rung.mean, level, marker="D", ms=7, mfc="white", mec=INK, mew=1.6, zorder=4)


def _swarm(values: list[float], axes: Axes, width: float) -> list[float]:
    """Return each dot's height above its rung in inches: just over the interval, and higher where dots would touch."""
    if len(values) == 1:
        return [0.0]
    low, high = axes.get_xlim()
    reach = _DOT * (high - low) / width
    rows: list[list[float]] = [[], [], []]
    heights = {}
    for index in sorted(range(len(values)), key=values.__getitem__):
        # The third row takes what is left: more would climb into the rung above.
        row = next((i for i in (0, 1) if all(abs(values[index] - other) >= reach for other in rows[i])), 2)
        rows[row].append(values[index])
        heights[index] = 0.115 + row * _DOT
    return [heights[index] for index in range(len(values))]


def _write_figures(
    axes: Axes, rungs: tuple[RungSummary, ...], scale: Scale, effects: Mapping[str, Effect], several: bool
) -> None:
    """Write each mean and each difference where the eye arrives, in two columns right of the axes."""

    def write(level: float, x: float, text: str, color: str = INK, size: float = 9, weight: str = "normal") -> None:
        axes.annotate(
            text,
            (1, level),
            xycoords=axes.get_yaxis_transform(),
            xytext=(72 * x, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            color=color,
            fontsize=size,
            fontweight=weight,
            annotation_clip=False,
        )

    for level, rung in enumerate(rungs):
        if rung.mean is None:
            continue
        write(level, 0.72, scale.value(rung.mean), weight="bold")
        effect = effects.get(rung.rung)
        if effect and effect.mean is not None:
            write(level, 1.3, scale.difference(effect.mean))
            if several:
                write(level, 2.55, interval_of(scale, effect) if effect.interval else "no interval", MUTED, 8.5)
    head = len(rungs) - 0.4
    write(head, 0.72, f"{'mean' if any(rung.n > 1 for rung in rungs) else 'test'}, {scale.unit}", MUTED, 8)
    known = [effect for effect in effects.values() if effect.mean is not None]
    if known:
        against = _against(known)
        write(head, 2.55 if several else 1.43, f"{against}, adjusted" if several else against, MUTED, 8)


def _against(effects: list[Effect]) -> str:
    """Return what the differences beside the rungs are from."""
    heads = {compared_with(effect.design) for effect in effects}
    return heads.pop() if len(heads) == 1 else "difference"


def _header(findings: Findings, characters: int) -> list[tuple[str, str]]:
    record, limits = findings.study.record, findings.limits
    facts = [record.data.name, count(len(record.rungs), "rung"), count(len(record.seeds), "seed")]
    if images := record.data.counts.get("test"):
        facts.append(count(images, "test image"))
    warnings = []
    if limits.missing:
        warnings.append(f"unfinished: {limits.missing} of {count(limits.planned, 'trial')} not ended")
    if limits.finished and not limits.read:
        warnings.append("test not read yet")
    if limits.watched_test:
        warnings.append(WATCHED)
    return header_lines(facts, warnings, characters)


def _draw_legend(figure: Figure, rungs: tuple[RungSummary, ...], compact: bool, below: float) -> None:
    handles = [Line2D([], [], ls="", marker="o", ms=6, color=VALIDATION, alpha=0.7, mew=0, label="one seed")]
    if any(rung.n > 1 for rung in rungs):
        handles.append(Line2D([], [], ls="", marker="D", ms=6, mfc="white", mec=INK, mew=1.6, label="mean"))
        name = "95 % interval" if compact else "95 % t-interval of the mean"
        handles.append(Line2D([], [], color=INK, lw=1.8, marker="|", ms=8, mew=1.8, label=name))
    write_legend(figure, handles, below, 3, 1.4)
