"""A technique over image sets: a forest plot, and small plots of what its effect may depend on."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Polygon
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

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
    printable,
    text_width,
    verdict_color,
    write_header,
    write_legend,
)
from stepladder.report.sections.pool_techniques import counted_words, smallest_effect
from stepladder.report.sections.pool_techniques.figure import (
    ROW,
    ZONE,
    draw_arrows,
    draw_band,
    write_figures,
    write_name,
)
from stepladder.report.units import Scale, amount, count
from stepladder.studies.judging.distributions import t_quantile
from stepladder.studies.pool.findings import PROPERTIES, Member, PooledTechnique, PoolFindings, Property
from stepladder.studies.pool.statistics import CONFIDENCE

#: How a set may stretch the frame: an interval of two seeds goes beyond everything.
_SLACK = 0.6


def draw_sets(findings: PoolFindings, one: PooledTechnique, *, compact: bool = False) -> Figure:
    """Draw a technique's effect on each set, largest on top, below them the mean and what a new set lies within.

    Bars of sets are 95 % intervals over seeds, each for itself, so that they compare with the pooled ones; the color is
    the verdict of the set's own study.

    Args:
        compact: for a narrow screen; the figures at the right are left out, as the page's table has them.
    """
    scale = Scale(findings.unit)
    members = sorted(one.members, key=lambda member: -member.effect.mean)
    with house_style():
        facts = [counted_words(one), *([f"beside {', '.join(one.around)}"] if one.around else []), one.network]
        header = header_lines(facts, [], 60 if compact else 100)
        rows = len(members) + 2
        top = header_height(header) + (0.66 if compact else 0.46)
        width, height = (4.9 if compact else 9.2), top + ROW * rows + 0.62
        figure = new_figure(width, height)
        names = [printable(member.label) for member in members]
        pooled_names = [f"mean of {one.sets} sets", "a new set"]
        widths = [text_width(figure, name, 9) for name in names]
        widths += [text_width(figure, name, 9, "bold") for name in pooled_names]
        left, right = 0.3 + max(widths), 0.25 if compact else 3.05
        axes = figure.add_axes((left / width, 0.62 / height, (width - left - right) / width, ROW * rows / height))
        axes.set_ylim(-0.5, rows - 0.5)
        axes.set_xlim(_limits(findings, one, scale))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.axvline(0, color=INK, lw=0.9, zorder=0.8)
        axes.axhline(1.5, color=GRID, lw=1.2, zorder=0.5)
        axes.set_xlabel(f"difference, {scale.step}; right is better")
        small = scale.factor * smallest_effect(findings)
        axes.axvspan(-small, small, color=ZONE, lw=0, zorder=0.4)
        for level, (member, name) in enumerate(zip(members[::-1], names[::-1], strict=True), start=2):
            write_name(figure, level, name, "normal")
            _draw_set(axes, level, member, scale)
            if not compact:
                told = f"{scale.difference(member.effect.mean)}  {scale.interval(own_interval(member))}"
                write_figures(
                    axes, level, told, member.effect.verdict or "no verdict", verdict_color(member.effect.verdict)
                )
        write_name(figure, 1, pooled_names[0], "bold")
        write_name(figure, 0, pooled_names[1], "bold")
        _draw_pooled(axes, one, scale)
        if not compact:
            mean = f"{scale.difference(one.points.mean)}  {scale.interval(one.points.interval)}"
            write_figures(axes, 1, mean, "", INK)
            write_figures(axes, 0, scale.interval(one.points.prediction), "", INK)
        write_header(figure, printable(f"{one.name}, set by set"), header)
        handles = [
            Line2D([], [], color=MUTED, lw=1.6, marker="o", ms=5, label="a set, 95 % over seeds"),
            Patch(facecolor="white", edgecolor=INK, lw=1.4, label="mean, 95 %"),
            Line2D([], [], color=VALIDATION, lw=5.5, alpha=0.4, label="a new set, 95 %"),
            Patch(color=ZONE, label=f"± {amount(scale, smallest_effect(findings))}"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 2 if compact else 4, 1.6)
        return figure


def draw_properties(findings: PoolFindings, one: PooledTechnique, *, compact: bool = False) -> Figure:
    """Draw a technique's effect against what sets differ in, a small plot a property that two values are known of.

    Args:
        compact: for a narrow screen; two plots a row.
    """
    scale = Scale(findings.unit)
    shown = [each for each in PROPERTIES if len({value for value, _ in one.property_values(each)}) > 1]
    with house_style():
        columns = 2 if compact else 3
        rows = -(-max(len(shown), 1) // columns)
        header = header_lines([count(one.sets, "image set"), "nothing is fitted"], [], 60 if compact else 100)
        top, panel = header_height(header) + 0.2, 1.75
        width, height = (4.9 if compact else 9.2), top + rows * panel + 0.1
        figure = new_figure(width, height)
        for place, each in enumerate(shown):
            row, column = divmod(place, columns)
            left = 0.62 + column * (width - 0.3) / columns
            bottom = height - top - (row + 1) * panel + 0.55
            axes = figure.add_axes(
                (left / width, bottom / height, ((width - 0.3) / columns - 0.75) / width, (panel - 0.72) / height)
            )
            _draw_property(axes, one, each, scale)
            if column == 0:
                axes.set_ylabel(scale.step)
        if not shown:
            figure.text(MARGIN / width, 0.3 / height, "All sets are alike in all that is drawn here.", color=MUTED)
        write_header(figure, printable(f"{one.name}: what may move it"), header)
        return figure


def own_interval(member: Member) -> tuple[float, float]:
    """Return a set's own 95 % interval over seeds, not adjusted for anything."""
    effect = member.effect
    reach = float(t_quantile((1 + CONFIDENCE) / 2, effect.n - 1)) * effect.error
    return effect.mean - reach, effect.mean + reach


def _draw_property(axes: Axes, one: PooledTechnique, which: Property, scale: Scale) -> None:
    axes.axhline(0, color=INK, lw=0.8, zorder=0.8)
    factor = scale.factor if which.key == "without" else 1
    values = one.property_values(which)
    known: dict[float, int] = {}
    for value, member in sorted(values, key=lambda each: each[1].label):
        place = known.get(value, 0)
        known[value] = place + 1
        # Sets with one value stand beside one another.
        x = factor * value * (1 + 0.06 * place) if which.log else factor * value + 0.07 * place * bool(which.values)
        ends = [scale.factor * end for end in own_interval(member)]
        color = verdict_color(member.effect.verdict)
        axes.plot([x, x], ends, color=color, lw=1.1, alpha=0.7, zorder=2)
        axes.plot(x, scale.factor * member.effect.mean, marker="o", ms=5, color=color, zorder=3)
    low, high = _limits_of([member for _, member in values], scale, [])
    axes.set_ylim(low, high)
    axes.set_xlabel(which.words if which.key != "without" else f"without it, {scale.unit}")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if which.values:
        axes.set_xlim(-0.5, 1.6)
        axes.set_xticks([0, 1], which.values)
    elif which.log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
        shown = sorted({value for value, _ in values})
        axes.set_xlim(shown[0] / 1.3, shown[-1] * 1.45)
        axes.set_xticks([shown[0], shown[-1]] if shown[-1] > 1.5 * shown[0] else shown[:1])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(4))


def _draw_set(axes: Axes, level: float, member: Member, scale: Scale) -> None:
    color = verdict_color(member.effect.verdict)
    ends = [scale.factor * end for end in own_interval(member)]
    axes.plot(ends, [level, level], color=color, lw=1.6, zorder=2)
    axes.plot(scale.factor * member.effect.mean, level, marker="o", ms=5.5, color=color, zorder=3)
    draw_arrows(axes, level, ends, color)


def _draw_pooled(axes: Axes, one: PooledTechnique, scale: Scale) -> None:
    if one.points.interval is not None and one.points.mean is not None:
        first, last = (scale.factor * end for end in one.points.interval)
        middle = scale.factor * one.points.mean
        shape = [(first, 1), (middle, 1.22), (last, 1), (middle, 0.78)]
        axes.add_patch(Polygon(shape, closed=True, facecolor="white", edgecolor=INK, lw=1.4, zorder=3))
        draw_arrows(axes, 1, [first, last], INK)
    draw_band(axes, 0, one, scale)
    if one.points.prediction is None:
        axes.text(
            0.01, 0, "needs three sets", transform=axes.get_yaxis_transform(), va="center", color=MUTED, fontsize=8.5
        )


def _limits(findings: PoolFindings, one: PooledTechnique, scale: Scale) -> tuple[float, float]:
    small = scale.factor * smallest_effect(findings)
    bounds = [each for each in (one.points.interval, one.points.prediction) if each is not None]
    low, high = _limits_of(list(one.members), scale, bounds)
    return min(low, -1.3 * small), max(high, 1.3 * small)


def _limits_of(members: list[Member], scale: Scale, bounds: list[tuple[float, float]]) -> tuple[float, float]:
    means = [member.effect.mean for member in members]
    low, high = min(0.0, *means), max(0.0, *means)
    slack = _SLACK * ((high - low) or max(member.effect.error for member in members))
    for first, last in [*bounds, *(own_interval(member) for member in members)]:
        low, high = min(low, max(first, min(means) - slack)), max(high, min(last, max(means) + slack))
    margin = 0.05 * (high - low)
    return scale.factor * (low - margin), scale.factor * (high + margin)
