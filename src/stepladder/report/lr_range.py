"""What a learning-rate range test says: its sentences, its figures and ``lr-range.md``."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from statistics import median
from typing import Any

from stepladder.errors import StudyError
from stepladder.files import replace_bytes, replace_json, replace_text
from stepladder.report.figures.lr_range import draw_lr_range
from stepladder.report.figures.style import to_png, to_svg
from stepladder.report.markdown import escape
from stepladder.report.units import count, listing
from stepladder.study.lr_range import LrRange
from stepladder.training.lr_range import DIVERGED, DIVISOR, SMOOTHING


def describe_lr_range(found: LrRange) -> list[str]:
    """Return what the test says: the rate and its rule, how it spreads over seeds, and what limits it."""
    n = len(found.tests)
    sentences = []
    lowest = [test.rates[test.lowest] for test in found.tests if test.lowest is not None]
    steepest = [test.rates[test.steepest] for test in found.tests if test.steepest is not None]
    if found.suggested is None:
        lacking = n - len(lowest)
        sentences.append(
            f"No rate is suggested: in {lacking} of {count(n, 'seed')} the smoothed training loss never fell by 2 % of "
            f"its start between {found.low:g} and {found.high:g}; give more --steps, another range, or look at the "
            "images and the network."
        )
    else:
        spread = f" ({_span(found.suggestions)} over {n} seeds)" if n > 1 else " (n = 1 seed)"
        sentences.append(
            f"Suggested: optimizer.lr={found.suggested:g}{spread}, a tenth of the rate at which the smoothed training "
            f"loss is lowest, {_two(median(lowest))}. At the lowest loss the rate is about to be too large; a tenth of "
            "it is a rule of thumb, and where to begin a sweep, not its result."
        )
        sentences.append(f"The loss falls fastest at {_two(median(steepest))}{_over(steepest)}.")
        at_end = [test for test in found.tests if test.lowest is not None and test.lowest > 0.9 * found.steps]
        if at_end:
            sentences.append(
                f"In {len(at_end)} of {count(n, 'seed')} the loss is lowest at the end of the range, so a rate that is "
                "too large was not seen: raise --high."
            )
    if diverged := [test for test in found.tests if test.diverged]:
        ends = [test.rates[len(test.losses) - 1] for test in diverged]
        where = f" in {len(ends)} of {n} seeds" if len(ends) < n else ""
        sentences.append(
            f"The loss diverged (not finite, or above {DIVERGED:g} times its lowest) at {_two(median(ends))}"
            f"{_over(ends)}{where}; there the test ended."
        )
    if found.left_out:
        they = "it" if len(found.left_out) == 1 else "they"
        sentences.append(
            f"Left out, since the test sets the rate that {they} would change: {listing(list(found.left_out))}."
        )
    optimizer = found.recipe.optimizer
    sentences.append(
        f"With {optimizer.name}, batches of {found.recipe.batch_size} and recipe {found.recipe.name}; another batch "
        "size or technique has another rate. Only training images were used: neither validation nor test was looked at."
    )
    return sentences


def write_lr_range(found: LrRange, folder: Path, command: str) -> list[Path]:
    """Write ``lr-range.md``, ``.json``, ``.csv`` and the figure into ``folder`` and return their paths.

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
        f"(figures/lr-range.png)\n\nSmith, Cyclical Learning Rates for Training Neural Networks, 2017, section 3.3; "
        f"the rate grows exponentially, the loss is smoothed by an exponential running mean of {SMOOTHING:g}.\n\n"
        f"{escape(versions)}; {escape(machine)}; {found.precision} on {found.device}. Made by:\n\n"
        f"```sh\n{command}\n```\n",
    )
    replace_json(paths[1], build_lr_document(found))
    replace_text(paths[2], text.getvalue())
    replace_bytes(paths[3], to_png(figure))
    replace_bytes(paths[4], to_svg(figure))
    return paths


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds a study, or a file.

    Raises:
        StudyError: it does.
    """
    if folder.is_file():
        raise StudyError(f"--out is {folder}, which is a file; choose a folder")
    if (folder / "study.json").exists():
        raise StudyError(f"{folder} holds a study; choose another folder with --out")


def build_lr_document(found: LrRange) -> dict[str, Any]:
    """Return the test as plain values for programs."""
    return {
        "data": found.data,
        "recipe": found.recipe.to_table(),
        "left_out": list(found.left_out),
        "low": found.low,
        "high": found.high,
        "steps": found.steps,
        "training_images": found.images,
        "rule": f"the rate with the lowest smoothed training loss, divided by {DIVISOR:g}; the median of the seeds",
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


def _span(values: tuple[float, ...] | list[float]) -> str:
    return f"{_two(min(values))} to {_two(max(values))}"


def _over(values: list[float]) -> str:
    return f" ({_span(values)})" if len(values) > 1 else ""


def _two(value: float) -> str:
    return f"{value:.2g}"
