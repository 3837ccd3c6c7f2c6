"""Test accuracy against the number of training images, with the fitted power law."""

from __future__ import annotations

from statistics import fmean

import numpy as np
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
    write_header,
    write_legend,
)
from stepladder.report.units import count
from stepladder.study.curve import SizeCurve


def draw_sizes(curve: SizeCurve) -> Figure:
    """Draw a dot a seed, the mean of each size, the fit, and where it leads with twice as many images."""
    law, record = curve.law, curve.record
    with house_style():
        facts = [record.data, count(record.seeds, "seed"), count(record.test_images, "test image")]
        header = header_lines(facts, [], 80)
        width, height = 6.4, 4.4
        figure = new_figure(width, height)
        top = header_height(header) + 0.46
        axes = figure.add_axes((0.72 / width, 0.62 / height, (width - 1.1) / width, (height - top - 0.62) / height))
        for size in curve.sizes:
            values = [100 * accuracy for accuracy in size.accuracies]
            axes.scatter([size.images] * len(values), values, s=30, color=VALIDATION, alpha=0.6, lw=0, zorder=3)
            axes.plot(size.images, fmean(values), marker="D", ms=6.5, mfc="white", mec=INK, mew=1.6, zorder=4)
        fitted = np.geomspace(curve.sizes[0].images, 2 * law.images, 100)
        seen = fitted <= law.images
        axes.plot(fitted[seen], [100 * (1 - law.at(images)) for images in fitted[seen]], color=INK, lw=1.4, zorder=2)
        beyond = [images for images in fitted if images >= law.images]
        axes.plot(beyond, [100 * (1 - law.at(images)) for images in beyond], color=MUTED, lw=1.4, ls="--", zorder=2)
        ends = [100 * (1 - law.error + gain) for gain in law.gain_interval]
        axes.plot([2 * law.images] * 2, ends, color=MUTED, lw=1.8, marker="_", ms=8, mew=1.8, zorder=3)
        axes.set_xscale("log")
        ticks = [*(size.images for size in curve.sizes), 2 * law.images]
        axes.set_xticks(ticks)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("training images")
        axes.set_ylabel("test accuracy, %")
        write_header(figure, "Would more images help?", header)
        handles = [
            Line2D([], [], ls="", marker="o", ms=6, color=VALIDATION, alpha=0.6, mew=0, label="one seed"),
            Line2D([], [], ls="", marker="D", ms=6, mfc="white", mec=INK, mew=1.6, label="mean"),
            Line2D([], [], color=INK, lw=1.4, label="power law"),
            Line2D([], [], color=MUTED, lw=1.4, ls="--", marker="_", ms=8, mew=1.8, label="twice as many, 95 %"),
        ]
        write_legend(figure, handles, header_height(header) + 0.08, 4, 1.6)
        return figure
