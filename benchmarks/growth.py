"""How do time and memory of a study grow with its images, their size, the classes and the seeds?"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import log
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from cyclopts import Parameter
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from stepladder.bench.processes import Measured, measure_process, stepladder
from stepladder.cli.bench import finish, progress_of, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import DataError
from stepladder.report.figures.style import (
    INK,
    MUTED,
    TRAIN,
    VALIDATION,
    check_picture,
    header_height,
    header_lines,
    house_style,
    new_figure,
    write_figure,
    write_header,
    write_legend,
)
from stepladder.studies.files.machine import describe_machine, describe_versions
from stepladder.training.device import choose_compute

#: What grows, each from the point below with all else as it stands there.
_GROWN: dict[str, tuple[int, ...]] = {
    "images": (1_000, 4_000, 16_000, 64_000, 160_000, 400_000),
    "seeds": (1, 2, 4, 8, 16, 32),
    "classes": (2, 10, 50, 250, 1_000),
    "size": (8, 16, 32, 64, 128, 224),
}


@dataclass(frozen=True)
class Point:
    """A study of random color images with the network report: two rungs, one epoch, report and all.

    Attributes:
        images: training, validation and test together. size: height and width in pixels.
    """

    images: int = 10_000
    seeds: int = 1
    classes: int = 10
    size: int = 32


#: Seeds are many only where a trial is short; large images are few, or they would fill the memory; each of a thousand
#: classes has the 13 images that three splits need.
_FROM = {
    "images": Point(),
    "seeds": Point(images=1_000),
    "classes": Point(images=20_000),
    "size": Point(images=1_000),
}


@dataclass(frozen=True)
class Growth:
    """One quantity grown.

    Attributes:
        what: ``images``, ``seeds``, ``classes`` or ``size``.
        values: of that quantity.
        measured: whole processes, one a value.
    """

    what: str
    values: tuple[int, ...]
    measured: tuple[Measured, ...]

    @property
    def time_exponent(self) -> float:
        """See :func:`exponent`."""
        return exponent(self.values, [one.seconds for one in self.measured])

    @property
    def memory_exponent(self) -> float:
        """See :func:`exponent`."""
        return exponent(self.values, [one.peak for one in self.measured])


def exponent(values: Sequence[int], costs: Sequence[float]) -> float:
    """Return the steepest slope between neighbours in a log-log plot, over the upper half of the values.

    The lower half is mostly the start of the program, which would make any growth look flat.
    """
    points = list(zip(values, costs, strict=True))[len(values) // 2 - 1 :]
    return max(
        (log(later) - log(cost)) / (log(larger) - log(value)) for (value, cost), (larger, later) in pairwise(points)
    )


def grown_values(what: str, largest: int | None = None) -> tuple[int, ...]:
    """Return what will be measured of ``what``, up to ``largest``."""
    return tuple(value for value in _GROWN[what] if largest is None or value <= largest)


def measure_growth(what: str, largest: int | None = None, on_point: Callable[[], None] | None = None) -> Growth:
    """Measure whole studies, each a process of its own with one thread and an empty folder.

    Args:
        what: ``images``, ``seeds``, ``classes`` or ``size``.
        largest: leave out larger values.
        on_point: called after each.
    """
    values, measured = grown_values(what, largest), []
    for value in values:
        with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
            measured.append(_measure(replace(_FROM[what], **{what: value}), Path(folder)))
        if on_point:
            on_point()
    return Growth(what, values, tuple(measured))


def _measure(point: Point, folder: Path) -> Measured:
    pixels = np.random.default_rng(0)
    labels = np.arange(point.images) % point.classes
    images = pixels.integers(0, 256, (point.images, point.size, point.size, 3), dtype=np.uint8)
    np.savez(folder / "images.npz", images=images, labels=labels)
    del images
    # Noise diverges at the report's rate where maps are large, and a failed trial is a short one.
    ladder = ("--recipe", "report", "--rung", "base:", "--rung", "+standardize:standardize")
    size = ("--size", str(point.size))  # images over 64 pixels would become smaller
    short = ("--epochs", "1", "--set", "optimizer.lr=0.001", "--workers", "1", "--seeds", str(point.seeds))
    return measure_process(stepladder("study", "images.npz", *size, *ladder, *short, "--out", "out"), folder)


def growth(
    *,
    of: Annotated[
        list[Literal["images", "seeds", "classes", "size"]] | None, Parameter(help="Only this; all by default.")
    ] = None,
    largest: Annotated[int | None, Parameter(help="Leave larger values out.")] = None,
    picture: Annotated[Path | None, Parameter(help="Draw it, both axes logarithmic: FILE.svg or FILE.png.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how time and memory of a study grow with images, seeds, classes, and the size of an image."""
    wanted = list(dict.fromkeys(of or ("images", "seeds", "classes", "size")))
    few = 3
    for what in wanted:
        if len(grown_values(what, largest)) < few:
            raise DataError(
                f"`largest={largest}` leaves fewer than {few} values of {what}; an exponent needs that many"
            )
    if picture is not None:
        check_picture(picture)
    console = make_console(as_json)
    with progress_of(console, sum(len(grown_values(what, largest)) for what in wanted)) as advance:
        grown = [measure_growth(what, largest, advance) for what in wanted]
    table = table_of("", "value", "seconds", "peak memory, MB")
    for one in grown:
        for value, measured in zip(one.values, one.measured, strict=True):
            table.add_row(one.what, f"{value:,}", f"{measured.seconds:.1f}", f"{measured.peak / 1e6:,.0f}")
        table.add_row("exponent", "", f"{one.time_exponent:.2f}", f"{one.memory_exponent:.2f}", end_section=True)
    console.print(table)
    words = (
        "Whole processes with one thread: two rungs of recipe report, one epoch of random color images, with copies "
        "looked for, report and all. The exponent is the steepest slope in the upper half of a log-log plot."
    )
    exponents = {one.what: {"time": one.time_exponent, "memory": one.memory_exponent} for one in grown}
    if picture is not None:
        facts = ["two rungs, one epoch, one thread", describe_machine(choose_compute("cpu").device).processor]
        write_figure(picture, draw_growth(grown, [*facts, f"torch {describe_versions()['torch']}"]))
        console.print(f"Picture: {picture}", markup=False)
    finish(console, words, choose_compute("cpu"), {"growth": grown, "exponents": exponents} if as_json else None)


_NAMES = {"images": "images", "seeds": "seeds", "classes": "classes", "size": "height and width, pixels"}
_PANEL, _HEIGHT, _GAP = 2.5, 1.75, 0.32  # inches
_NARROWEST = 5.6  # holds the legend
_LEFT, _RIGHT, _BOTTOM = 0.78, 0.2, 0.56


def draw_growth(grown: Sequence[Growth], facts: Sequence[str]) -> Figure:
    """Draw a column for each quantity that grew: seconds above, peak memory below, and what strict proportion would be.

    Args:
        facts: what was measured and on what, for the line under the title.
    """
    with house_style():
        gaps = _LEFT + _RIGHT + (len(grown) - 1) * _GAP
        width = max(_NARROWEST, gaps + len(grown) * _PANEL)
        panel = (width - gaps) / len(grown)
        header = header_lines(facts, [], int(14 * width))
        top = header_height(header) + 0.46
        height = top + 2 * _HEIGHT + _GAP + _BOTTOM
        figure = new_figure(width, height)
        limits = [_limits([cost for one in grown for cost in _costs(one, row)]) for row in (0, 1)]
        for column, one in enumerate(grown):
            for row, color in enumerate((VALIDATION, TRAIN)):
                left = _LEFT + column * (panel + _GAP)
                bottom = _BOTTOM + (1 - row) * (_HEIGHT + _GAP)
                axes = figure.add_axes((left / width, bottom / height, panel / width, _HEIGHT / height))
                _draw_panel(axes, one, row, color, limits[row])
                if column == 0:
                    axes.set_ylabel(("seconds", "peak memory, MB")[row])
                else:
                    axes.tick_params(axis="y", labelleft=False)
                if row == 1:
                    axes.set_xlabel(_NAMES[one.what])
                else:
                    axes.tick_params(axis="x", labelbottom=False)
        write_header(figure, "How a study grows", header)
        handles = [
            Line2D([], [], color=VALIDATION, marker="o", ms=5, lw=1.6, label="time"),
            Line2D([], [], color=TRAIN, marker="s", ms=5, lw=1.6, label="memory"),
            Line2D([], [], color=MUTED, lw=1.1, ls="--", label="in proportion, from the last point back"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 3, 1.8)
        return figure


def _costs(one: Growth, row: int) -> list[float]:
    return [measured.peak / 1e6 if row else measured.seconds for measured in one.measured]


def _limits(costs: Sequence[float]) -> tuple[float, float]:
    return min(costs) / 2, 2 * max(costs)


def _draw_panel(axes: Axes, one: Growth, row: int, color: str, limits: tuple[float, float]) -> None:
    values, costs = one.values, _costs(one, row)
    axes.plot(values, costs, color=color, marker="s" if row else "o", ms=5, lw=1.6, zorder=3)
    ends = (values[0], values[-1])
    axes.plot(ends, [costs[-1] * end / values[-1] for end in ends], color=MUTED, lw=1.1, ls="--", zorder=2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*limits)
    axes.set_xticks(values, [_short(value) for value in values])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    steepest = one.memory_exponent if row else one.time_exponent
    axes.text(0.05, 0.95, f"exponent {steepest:.2f}", transform=axes.transAxes, color=INK, fontsize=8.5, va="top")


def _short(value: int) -> str:
    return f"{value // 1000}k" if value >= 1000 and value % 1000 == 0 else f"{value}"
