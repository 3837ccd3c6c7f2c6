"""The plan's metric on test against the number of training images, with the fitted power law."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from stepladder.report.figures.style import (
    INK,
    MUTED,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    page_width,
    write_header,
    write_legend,
)
from stepladder.report.units import Scale, count
from stepladder.studies.judging.power_law import PowerLaw
from stepladder.studies.judging.sizes import CurveFindings


def draw_sizes(findings: CurveFindings, *, compact: bool = False) -> Figure:
    """Draw a dot a seed, the mean of each size, the fit, and where it leads with twice as many images."""
    record, law, scale = findings.study.record, findings.law, Scale(findings.metric.unit)
    with house_style():
        facts = [record.data.name, count(len(record.seeds), "seed")]
        facts += [] if findings.of_command else [count(record.data.counts["test"], "test image")]
        width, height = page_width(4.9 if compact else 6.4), 4.2 if compact else 4.4
        header = header_lines(facts, ["unfinished"] if findings.study.missing else [], int(width * 12))
        figure = new_figure(width, height)
        columns = 2 if compact else 4
        top = header_height(header) + 0.26 + 0.2 * (4 // columns)
        axes = figure.add_axes((0.72 / width, 0.62 / height, (width - 1.1) / width, (height - top - 0.62) / height))
        times = _times(findings)
        ticks = [times * (size.amount) for size in findings.sizes]
        for size, place in zip(findings.sizes, ticks, strict=True):
            values = [scale.factor * score for score in size.scores.values()]
            axes.scatter([place] * len(values), values, s=30, color=VALIDATION, alpha=0.6, lw=0, zorder=3)
            if size.mean is not None:
                mean = scale.factor * size.mean
                axes.plot(place, mean, marker="D", ms=6.5, mfc="white", mec=INK, mew=1.6, zorder=4)
        handles = [
            Line2D([], [], ls="", marker="o", ms=6, color=VALIDATION, alpha=0.6, mew=0, label="one seed"),
            Line2D([], [], ls="", marker="D", ms=6, mfc="white", mec=INK, mew=1.6, label="mean"),
        ]
        if law is not None:
            ticks = [*ticks, 2 * times * law.images]
            handles += _draw_law(axes, law, times)
        axes.set_xscale("log")
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:.3g}" if findings.of_command else f"{value:,.0f}")
        )
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("training images, %" if findings.of_command else "training images")
        axes.set_ylabel(f"{findings.metric.label}, {scale.unit}")
        write_header(figure, "Would more images help?", header)
        write_legend(figure, handles, header_height(header) + 0.08, columns, 1.6)
        return figure


def _times(findings: CurveFindings) -> int:
    """What a size is multiplied by to stand on the axis: a share of the images stands there in percent."""
    return 100 if findings.of_command else 1


def _draw_law(axes: Axes, law: PowerLaw, times: int) -> list[Line2D]:
    images, errors = zip(*law.line, strict=True)
    axes.plot([times * one for one in images], [100 * (1 - error) for error in errors], color=INK, lw=1.4, zorder=2)
    # From what was measured, and not from the law, which may miss it.
    largest, twice = times * law.images, 2 * times * law.images
    ends = [100 * (1 - law.error), 100 * (1 - law.predicted)]
    axes.plot([largest, twice], ends, color=MUTED, lw=1.4, ls="--", zorder=2)
    reach = [100 * (1 - end) for end in law.interval]
    axes.plot([twice] * 2, reach, color=MUTED, lw=1.8, marker="_", ms=8, mew=1.8, zorder=3)
    axes.plot(twice, ends[1], color=MUTED, marker="o", ms=5, mew=0, zorder=3)
    label = f"twice as many, {100 * law.confidence:.0f} %"
    return [
        Line2D([], [], color=INK, lw=1.4, label="power law"),
        Line2D([], [], color=MUTED, lw=1.4, ls="--", marker="_", ms=8, mew=1.8, label=label),
    ]
