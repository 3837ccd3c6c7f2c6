"""The curves: accuracy and loss against epoch, a panel a rung."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from stepladder.report.figures.style import (
    INK,
    MUTED,
    TEST,
    TRAIN,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    panel_width,
    printable,
    write_header,
    write_legend,
)
from stepladder.report.marks import WATCHED, techniques_of
from stepladder.report.sections.curves.axes import CurveAxis, curve_axes, title_of_curves
from stepladder.report.units import count
from stepladder.studies.findings import Findings
from stepladder.studies.judging.curves import MeanCurve, Measure, RungCurves, SplitCurves
from stepladder.studies.judging.statistics import RungSummary

_PANEL: dict[Measure, float] = {"accuracy": 1.6, "loss": 1.25}  # inches high
_LEFT, _RIGHT, _BOTTOM, _BETWEEN = 0.68, 0.52, 0.55, 0.16


@dataclass(frozen=True)
class _Series:
    """How one split's curves are drawn."""

    split: Literal["train", "watched"]
    name: str
    color: str
    dashes: str


_TRAIN = _Series("train", "train (evaluation mode)", TRAIN, "--")
#: Of a command nobody knows in which mode it measures.
_TRAIN_OF_COMMAND = replace(_TRAIN, name="train")
_VALIDATION = _Series("watched", "validation", VALIDATION, "-")
_TEST = _Series("watched", "test", TEST, "-")


def draw_curves(findings: Findings, *, compact: bool = False) -> Figure:
    """Draw accuracy above loss for every rung, on common axes: mean over the finished seeds, band from low to high.

    Of a command, its score stands for accuracy, and what it told nothing of is left out. The validation images are
    drawn beside the training images, or the test images where none were held out. A failed trial is drawn alone, thin,
    as far as it came. The mean at the last epoch stands at the end of its curve.

    Args:
        findings: of any study, finished or not.
        compact: for a narrow screen, two panels abreast.
    """
    with house_style():
        rungs, curves, drawn = findings.rungs, findings.curves, curve_axes(findings)
        columns = min(len(rungs), 2) if compact else _columns(len(rungs))
        panel = panel_width(1.55 if compact else max(2.2, 4.4 - columns), columns, _LEFT, _RIGHT)
        characters = int((panel + 0.3) * 13)
        nothing = "no technique" if findings.study.record.scores is None else ""
        subtitles = [
            _subtitle(rung, found.finished, characters, nothing)
            for rung, found in zip(rungs, curves.rungs, strict=True)
        ]
        rows = [subtitles[start : start + columns] for start in range(0, len(rungs), columns)]
        titles = [0.3 + 0.16 * max(map(len, row)) for row in rows]
        width = _LEFT + columns * (panel + _RIGHT)
        header = _header(findings, int(width * 12.5))
        top = header_height(header) + (0.58 if compact else 0.38)
        block = sum(_PANEL[measure] for measure in drawn) + _BETWEEN * (len(drawn) - 1) + _BOTTOM
        height = top + len(rows) * block + sum(titles)
        figure = new_figure(width, height)
        for number, rung in enumerate(rungs):
            column, level = number % columns, number // columns
            x = (_LEFT + column * (panel + _RIGHT)) / width
            y = height - top - level * block - sum(titles[:level])
            _write_title(figure, rung, subtitles[number], x, y / height, height)
            y -= titles[level]
            for measure, upright in drawn.items():
                y -= _PANEL[measure]
                axes = figure.add_axes((x, y / height, panel / width, _PANEL[measure] / height))
                axes.set_ylim(upright.low, upright.high)
                axes.set_xlim(0, max(curves.last_epoch, 1))
                _draw_panel(axes, curves.rungs[number], measure, upright, _series(findings))
                _label_axes(axes, upright, panel, first=column == 0, last=measure == curves.measures[-1])
                y -= _BETWEEN
        write_header(figure, title_of_curves(findings), header)
        _draw_legend(figure, findings, compact, header_height(header) + 0.08)
        return figure


def _columns(rungs: int) -> int:
    """At most four abreast, so that the type is readable at a page's width; 5 and 6 rungs make two rows of three."""
    return rungs if rungs <= 4 else 3 if rungs in (5, 6, 9) else 4


def _series(findings: Findings) -> tuple[_Series, _Series]:
    train = _TRAIN if findings.study.record.scores is None else _TRAIN_OF_COMMAND
    return train, _TEST if findings.curves.watched == "test" else _VALIDATION


def _subtitle(rung: RungSummary, finished: int, characters: int, nothing: str) -> list[str]:
    lines = textwrap.wrap(printable(" ".join(techniques_of(rung)) or nothing), characters)
    if finished < rung.planned:
        lines.append(f"{finished} of {count(rung.planned, 'seed')} finished")
    return lines


def _write_title(figure: Figure, rung: RungSummary, lines: list[str], x: float, y: float, height: float) -> None:
    figure.text(x, y - 0.14 / height, printable(rung.rung), fontsize=10.5, fontweight="bold", va="center")
    for number, line in enumerate(lines):
        figure.text(x, y - (0.31 + 0.16 * number) / height, line, fontsize=8.5, color=MUTED, va="center")


def _draw_panel(
    axes: Axes, rung: RungCurves, measure: Measure, upright: CurveAxis, drawn: tuple[_Series, _Series]
) -> None:
    ends = []
    for series in drawn:
        for failed in rung.failed.values():
            _draw_failed(axes, _curve(failed, series, measure), series, upright)
        curve = _curve(rung.mean, series, measure)
        if not curve.epochs:
            continue
        mean = upright.place(curve.mean)
        if rung.finished > 1:
            low, high = upright.place(curve.low), upright.place(curve.high)
            axes.fill_between(curve.epochs, low, high, color=series.color, alpha=0.22, lw=0)
        # A curve may run along the frame (100 %), where clipping would halve it.
        axes.plot(curve.epochs, mean, series.dashes, color=series.color, lw=1.7, clip_on=max(mean) > axes.get_ylim()[1])
        ends.append((mean[-1], curve.epochs[-1], series.color))
    _label_ends(axes, ends, measure, upright)
    if not rung.finished and not rung.failed:
        axes.text(0.5, 0.5, "not run yet", transform=axes.transAxes, ha="center", va="center", color=MUTED)


def _curve(curves: SplitCurves, series: _Series, measure: Measure) -> MeanCurve:
    return (curves.train if series.split == "train" else curves.watched)[measure]


def _draw_failed(axes: Axes, curve: MeanCurve, series: _Series, upright: CurveAxis) -> None:
    if not curve.epochs:
        return
    values = upright.place(curve.mean)
    axes.plot(curve.epochs, values, series.dashes, color=series.color, lw=0.9)
    axes.plot(curve.epochs[-1], values[-1], "x", color=series.color, ms=6, mew=1.6)


def _label_ends(axes: Axes, ends: Sequence[tuple[float, int, str]], measure: Measure, upright: CurveAxis) -> None:
    """Write each curve's last value right of its end, moved apart where two would touch."""
    bottom, top = axes.get_ylim()
    apart = 0.14 * (top - bottom) / _PANEL[measure]  # 0.14 inches: a line of 8 points with some air
    heights = [min(max(value, bottom), top) for value, _, _ in ends]
    if len(ends) == 2 and (gap := abs(heights[0] - heights[1])) < apart:
        shift = (apart - gap) / 2
        upper = 0 if heights[0] >= heights[1] else 1
        middle = sum(heights) / 2
        # Neither label may leave the panel: the row above or below has its own.
        excess = max(middle + apart / 2 - top, 0) - max(bottom - (middle - apart / 2), 0)
        heights[upper] += shift - excess
        heights[1 - upper] -= shift + excess
    for (value, epoch, color), height in zip(ends, heights, strict=True):
        axes.annotate(
            f"{value:.1f}" if upright.share else f"{value:.2f}",
            (epoch, height),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=color,
            annotation_clip=False,
        )


def _label_axes(axes: Axes, upright: CurveAxis, panel: float, *, first: bool, last: bool) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if upright.share:
        axes.set_yticks([0, 25, 50, 75, 100])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    if last:
        axes.set_xlabel("epoch", labelpad=2)
    else:
        axes.tick_params(labelbottom=False)
    axes.tick_params(labelleft=first, length=3)
    if first:
        axes.set_ylabel(upright.title)
        axes.yaxis.set_label_coords(-0.47 / panel, 0.5)


def _header(findings: Findings, characters: int) -> list[tuple[str, str]]:
    study = findings.study
    seeds = {trial.seed for trial in study.trials if trial.result.status == "finished"}
    facts = [study.record.data.name]
    facts += ["line: mean over the finished seeds", "band: lowest to highest seed"] if len(seeds) > 1 else ["one seed"]
    facts += ["numbers: last epoch"]
    return header_lines(facts, [WATCHED] if findings.limits.watched_test else [], characters)


def _draw_legend(figure: Figure, findings: Findings, compact: bool, below: float) -> None:
    handles = [
        Line2D([], [], color=series.color, ls=series.dashes, lw=1.7, label=series.name) for series in _series(findings)
    ]
    if findings.limits.failed:
        name = "failed trial" + (", loss beyond the axis" if findings.curves.clipped and not compact else "")
        handles.append(Line2D([], [], color=INK, lw=0.9, marker="x", ms=6, mew=1.6, label=name))
    write_legend(figure, handles, below, 2 if compact else 4, 2.6)
