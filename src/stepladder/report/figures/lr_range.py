"""Training loss against learning rate, as the range test saw it."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from stepladder.report.figures.style import (
    INK,
    MUTED,
    TRAIN,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    write_header,
    write_legend,
)
from stepladder.report.units import count
from stepladder.study.lr_range import LrRange


def draw_lr_range(found: LrRange) -> Figure:
    """Draw the loss of every step, its running mean, a line a seed, where that is lowest, and the suggested rate."""
    with house_style():
        optimizer = found.recipe.optimizer.name
        facts = [found.data, f"recipe {found.recipe.name}", optimizer, f"batches of {found.recipe.batch_size}"]
        facts.append(count(len(found.tests), "seed"))
        header = header_lines(facts, [], 84)
        width, height = 7.2, 4.5
        figure = new_figure(width, height)
        top = header_height(header) + 0.46
        axes = figure.add_axes((0.72 / width, 0.62 / height, (width - 0.96) / width, (height - top - 0.62) / height))
        start = [value for test in found.tests for value in test.smoothed[:30] if math.isfinite(value)]
        guess = math.log(max(found.classes, 2))
        ceiling = 1.45 * max([guess, *start])
        for test in found.tests:
            losses = np.minimum(np.array(test.losses), 10 * ceiling)
            smoothed = np.minimum(np.array(test.smoothed), 10 * ceiling)
            axes.plot(test.rates, losses, color=MUTED, lw=0.5, alpha=0.35, zorder=2)
            axes.plot(test.rates, smoothed, color=VALIDATION, lw=1.6, zorder=3)
            if test.lowest is not None:
                axes.plot(
                    test.rates[test.lowest], smoothed[test.lowest], marker="D", ms=6.5, mfc="white", mec=INK, mew=1.6,
                    zorder=5,
                )  # fmt: skip
        axes.axhline(guess, color=MUTED, lw=0.9, ls=(0, (1.2, 1.6)), zorder=1.5)
        axes.set_xscale("log")
        axes.set_xlim(found.low, found.high)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(0, ceiling)
        axes.set_xlabel("learning rate (log scale)")
        axes.set_ylabel("training loss, nats an image")
        handles = [
            Line2D([], [], color=VALIDATION, lw=1.6, label="running mean, a line a seed"),
            Line2D([], [], color=MUTED, lw=0.6, alpha=0.6, label="each step"),
            Line2D([], [], ls="", marker="D", ms=6.5, mfc="white", mec=INK, mew=1.6, label="lowest"),
            Line2D([], [], color=MUTED, lw=0.9, ls=(0, (1.2, 1.6)), label="guessing"),
        ]
        if found.suggested is not None:
            axes.axvline(found.suggested, color=TRAIN, lw=1.8, ls="--", zorder=4)
            handles.append(Line2D([], [], color=TRAIN, lw=1.8, ls="--", label=f"suggested: {found.suggested:g}"))
        write_header(figure, "Learning-rate range test", header)
        write_legend(figure, handles, header_height(header) + 0.08, 5, 1.8)
        return figure
