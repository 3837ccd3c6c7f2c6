"""What a learning-rate range test says: its sentences, its figure and ``lr-range.md``."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullLocator

from stepladder.citations import cite
from stepladder.errors import StudyError
from stepladder.files import replace_bytes, replace_json, replace_text
from stepladder.report.figures.style import (
    INK,
    MUTED,
    TRAIN,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    to_png,
    to_svg,
    write_header,
    write_legend,
)
from stepladder.report.markdown import escape, render_code
from stepladder.report.recipe_file import RECIPE_FILE, range_recipe_file
from stepladder.report.units import count, listing
from stepladder.studies.files.checksums import note_files
from stepladder.studies.lr_range import FARTHEST, LrRange
from stepladder.training.lr_range import DIVERGED, DIVISOR, WINDOW


def describe_lr_range(found: LrRange) -> list[str]:
    """Return what the test says: the rate and its rule, how it spreads over seeds, and what limits it."""
    n = len(found.tests)
    sentences = []
    if found.suggested is None:
        sentences.append(_nothing_suggested(found))
    else:
        spread = f" ({_span(found.suggestions)} over {n} seeds)" if n > 1 else " (n = 1 seed)"
        sentences.append(
            f"Suggested: optimizer.lr={found.suggested:g}{spread}. The smoothed training loss is lowest at "
            f"{_two(median(found.lowest))}; from there on the rate is too large. Half of that is suggested, at which a "
            "step gains most on a quadratic loss: begin a sweep there."
        )
        sentences.append(f"The loss falls fastest at {_two(median(found.steepest))}{_over(found.steepest)}.")
        if found.lowest_at_end:
            sentences.append(
                f"In {found.lowest_at_end} of {count(n, 'seed')} the loss is lowest at the end of the range, so the "
                "test saw no rate that is too large there: give `high` a larger rate."
            )
    if ends := found.diverged:
        where = f" in {len(ends)} of {n} seeds" if len(ends) < n else ""
        sentences.append(
            f"The loss diverged (not finite, or its running mean above {DIVERGED:g} times its lowest) at "
            f"{_two(median(ends))}{_over(ends)}{where}. There the test ended."
        )
    if found.left_out:
        they = "it changes" if len(found.left_out) == 1 else "they change"
        sentences.append(f"Left out: {listing(list(found.left_out))}, since {they} the rate, which the test sets.")
    optimizer = found.recipe.optimizer
    sentences.append(
        f"This holds for {optimizer.name}, batches of {found.recipe.batch_size} and recipe {found.recipe.name}; "
        "another batch size or technique has another rate. Only training images were used, none of validation or test."
    )
    return sentences


def _nothing_suggested(found: LrRange) -> str:
    """Say why the tests cannot tell a rate, and what could."""
    n = len(found.tests)
    if found.unlearned:
        return (
            f"No rate is suggested: in {found.unlearned} of {count(n, 'seed')} the smoothed training loss never fell "
            f"by 2 % of its start between {found.span.low:g} and {found.span.high:g}. Give more `steps` or another "
            "range, or look at the images and the network."
        )
    if 2 * found.lowest_at_end >= n:
        return (
            f"No rate is suggested: in {found.lowest_at_end} of {count(n, 'seed')} the loss is lowest at the end of "
            "the range, so the test saw no rate that is too large. Give `high` a larger rate."
        )
    return (
        f"No rate is suggested: the seeds say {_span(found.suggestions)}, too far apart to tell one. Give more "
        "`steps`, so that each rate gets more of them, or sweep over this range."
    )


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
        axes.set_xlim(found.span.low, found.span.high)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_ylim(0, ceiling)
        axes.set_xlabel("learning rate (log scale)")
        axes.set_ylabel("training loss, nats an image")
        handles = [
            Line2D([], [], color=VALIDATION, lw=1.6, label=f"mean of {WINDOW} steps, a line a seed"),
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


def write_lr_range(found: LrRange, folder: Path, command: str) -> list[Path]:
    """Write ``lr-range.md``, ``.json``, ``.csv``, the figure and ``recipe.toml`` into ``folder``; return their paths.

    Raises:
        StudyError: the folder holds a study.
        StorageError: it cannot be written.
    """
    check_folder(folder)
    figure = draw_lr_range(found)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("seed", "step", "lr", "loss", "smoothed_loss"))
    for test in found.tests:
        for step, row in enumerate(zip(test.rates, test.losses, test.smoothed, strict=True), start=1):
            writer.writerow((test.seed, step, *map(repr, row)))
    paths = [folder / "lr-range.md", folder / "lr-range.json", folder / "lr-range.csv"]
    paths += [folder / "figures" / f"lr-range.{kind}" for kind in ("png", "svg")]
    sentences = "\n\n".join(escape(sentence) for sentence in describe_lr_range(found))
    versions = ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))
    machine = found.machine.accelerator or f"{found.machine.processor}, {count(found.machine.cores, 'core')}"
    replace_text(
        paths[0],
        f"# Learning-rate range test: {escape(found.data)}\n\n{sentences}\n\n![{escape(_alt(found))}]"
        f"(figures/lr-range.png)\n\n{cite('smith2017cyclical', 'section 3.3').line}; "
        f"the rate grows exponentially, and the loss is the mean of the {WINDOW} steps around each.\n\n"
        f"{escape(versions)}; {escape(machine)}; {found.precision} on {found.device}. Made by:\n\n"
        f"{render_code(command)}\n",
    )
    replace_json(paths[1], build_lr_document(found))
    replace_text(paths[2], text.getvalue())
    recipe_file = range_recipe_file(found, command)
    (folder / RECIPE_FILE).unlink(missing_ok=True)
    for name, content in recipe_file.items():
        paths.append(folder / name)
        replace_bytes(folder / name, content, within=folder)
    replace_bytes(paths[3], to_png(figure), within=folder)
    replace_bytes(paths[4], to_svg(figure), within=folder)
    note_files(folder, [path.relative_to(folder).as_posix() for path in paths])
    return paths


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds a study, or a file.

    Raises:
        StudyError: it does.
    """
    if folder.is_file():
        raise StudyError(f"`out` is {folder}, which is a file; choose a folder")
    if (folder / "study.json").exists():
        raise StudyError(f"`out` is {folder}, which holds a study; choose another folder")


def build_lr_document(found: LrRange) -> dict[str, Any]:
    """Return the test as plain values for programs."""
    return {
        "data": found.data,
        "recipe": found.recipe.to_table(),
        "left_out": list(found.left_out),
        "low": found.span.low,
        "high": found.span.high,
        "steps": found.span.steps,
        "training_images": found.images,
        "rule": (
            f"the rate with the lowest training loss, of the mean of {WINDOW} steps, divided by {DIVISOR:g}; the "
            f"median of the seeds, unless they are a factor of more than {FARTHEST:g} apart"
        ),
        "suggested": found.suggested,
        "tests": [
            {
                "seed": test.seed,
                "steps": len(test.losses),
                "suggested": test.suggested,
                "lowest_loss_at": None if test.lowest is None else test.rates[test.lowest],
                "steepest_at": None if test.steepest is None else test.rates[test.steepest],
                "diverged": test.diverged,
            }
            for test in found.tests
        ],
        "precision": found.precision,
        "device": found.device,
        "versions": found.versions,
        "machine": found.machine.model_dump(mode="json"),
        "summary": describe_lr_range(found),
    }


def _alt(found: LrRange) -> str:
    where = "no rate suggested" if found.suggested is None else f"suggested rate {found.suggested:g}"
    return f"Training loss against learning rate, {count(len(found.tests), 'seed')}; {where}."


def _span(values: tuple[float, ...]) -> str:
    return f"{_two(min(values))} to {_two(max(values))}"


def _over(values: tuple[float, ...]) -> str:
    return f" ({_span(values)})" if len(values) > 1 else ""


def _two(value: float) -> str:
    return f"{value:.2g}"
