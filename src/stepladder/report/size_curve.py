"""What a learning curve over training images says: its sentences, its table and ``curve.md``."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

from stepladder.files import replace_bytes, replace_text
from stepladder.report.figures import to_png, to_svg
from stepladder.report.figures.sizes import draw_sizes
from stepladder.report.markdown import escape, render_table
from stepladder.report.text_table import TextTable
from stepladder.report.units import count, interval, listing, mean_and_spread, percent, points
from stepladder.study.curve import SizeCurve


def describe_sizes(curve: SizeCurve) -> list[str]:
    """Return what twice as many images would bring, and on what that rests."""
    law = curve.law
    error, after = percent(law.error), percent(law.error - law.gain)
    bounds = interval(law.gain_interval)
    low, high = law.gain_interval
    said = []
    failed = [f"{size.images:,} images, seed {seed}" for size in curve.sizes for seed in size.failed]
    if failed:
        said.append(f"{count(len(failed), 'trial')} failed and counted as guessing: {listing(failed)}.")
    doubling = (
        f"Doubling the {law.images:,} training images would change accuracy by about {points(law.gain)} points (95 % "
        f"interval {bounds}), the error going from {error} to about {after}, if the power law goes on"
    )
    if low > 0:
        said.append(f"{doubling}.")
    elif high < 0:
        said.append(f"{doubling}; on these sizes more images made it worse.")
    else:
        said.append(f"{doubling}. The interval includes zero: whether more images help is undecided.")
    exponent = interval((law.exponent_interval[0] / 100, law.exponent_interval[1] / 100))
    sign = "+" if law.exponent < 0 else "−"
    said.append(
        f"Fitted: error = {law.scale:.3g} · images^{sign}{abs(law.exponent):.3f} (95 % interval of the exponent "
        f"{exponent}) over {count(len(curve.sizes), 'size')} × {count(curve.record.seeds, 'seed')}. A floor that no "
        "number of images gets under is not fitted; near one the gain would be smaller."
    )
    return said


def size_table(curve: SizeCurve) -> TextTable:
    """Return accuracy by size."""
    rows = []
    for size in curve.sizes:
        sd = stdev(size.accuracies) if len(size.accuracies) > 1 else None
        accuracy = mean_and_spread(fmean(size.accuracies), sd)
        rows.append((f"{size.images:,}", accuracy, percent(1 - curve.law.at(size.images)), str(len(size.accuracies))))
    rows.append((f"{2 * curve.law.images:,}", "–", percent(1 - curve.law.at(2 * curve.law.images)), "–"))
    return TextTable(
        caption="Mean ± sample standard deviation over seeds; each size is within the next; the last row is the fit's.",
        header=("training images", "test accuracy, %", "fitted", "n"),
        rows=tuple(rows),
        text_columns=0,
    )


def write_sizes(curve: SizeCurve) -> list[Path]:
    """Write ``curve.md`` and ``figures/sizes.png`` and ``.svg`` into the curve's folder and return their paths."""
    figure = draw_sizes(curve)
    written = [curve.folder / "curve.md", *(curve.folder / "figures" / f"sizes.{kind}" for kind in ("png", "svg"))]
    sentences = "\n\n".join(escape(sentence) for sentence in describe_sizes(curve))
    replace_text(
        written[0],
        f"# Would more images help? {escape(curve.record.data)}\n\n{sentences}\n\n![{escape(_alt(curve))}]"
        f"(figures/sizes.png)\n\n{render_table(size_table(curve))}\n\nTest was read {_times(len(curve.readings))}, "
        f"after training. Made by:\n\n```sh\n{curve.record.command}\n```\n",
    )
    replace_bytes(written[1], to_png(figure))
    replace_bytes(written[2], to_svg(figure))
    return written


def _alt(curve: SizeCurve) -> str:
    each = [f"{size.images:,} images {percent(fmean(size.accuracies))}" for size in curve.sizes]
    return f"Test accuracy against training images with the fitted power law: {', '.join(each)}."


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
