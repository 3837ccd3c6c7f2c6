"""Several studies side by side, for the terminal, as Markdown, as a page and as plain values."""

from __future__ import annotations

import base64
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.files import replace_bytes, replace_text
from stepladder.report.figures.comparison import draw_comparison
from stepladder.report.figures.style import to_png, to_svg
from stepladder.report.markdown import escape, render_table
from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, count, interval, mean_and_spread, percent, points
from stepladder.study.judging.comparison import Comparison, Difference

_TEMPLATES = Path(__file__).parent / "templates"

_WORDS = {
    "higher": "higher",
    "lower": "lower",
    "equivalent": "equivalent",
    "undecided": "undecided",
    None: UNDEFINED,
}


def write_comparison(comparison: Comparison, out: Path) -> list[Path]:
    """Write ``comparison.md``, ``comparison.html`` and ``figures/`` into the folder ``out``, and return their paths.

    Raises:
        StorageError: a file cannot be written; each is replaced whole or left as it was.
    """
    figure = draw_comparison(comparison)
    written = []
    for suffix, content in (("png", to_png(figure)), ("svg", to_svg(figure))):
        written.append(out / "figures" / f"comparison.{suffix}")
        replace_bytes(written[-1], content)
    for name, text in (("comparison.md", _markdown(comparison)), ("comparison.html", _page(comparison))):
        written.append(out / name)
        replace_text(written[-1], text.encode(errors="replace").decode())
    return written


def describe_comparison(comparison: Comparison) -> list[str]:
    """Return what the comparison says and what it cannot say, a sentence or two an item."""
    judged = [one for one in comparison.differences if one.reading is not None]
    sentences = [_told(one) for one in judged if one.reading != "undecided"]
    open_ones = [f"{one.rung} of {one.study}" for one in judged if one.reading == "undecided"]
    if open_ones:
        sentences.append(f"Undecided: {', '.join(open_ones)}.")
    if judged:
        sentences.append(
            f"Differences are from {comparison.labels[0]}, paired by seed; the intervals are adjusted for "
            f"{count(len(judged), 'comparison')}: all of them hold together with a probability of "
            f"{100 * (1 - comparison.alpha):g} %."
        )
    same = [f"{one.rung} of {one.study}" for one in comparison.differences if one.same]
    if same:
        sentences.append(f"The same training, so nothing to compare: {', '.join(same)}.")
    if not comparison.differences:
        sentences.append(f"No rung has the name of one in {comparison.labels[0]}, so there are no differences.")
    elif not judged and len(same) < len(comparison.differences):
        sentences.append("No interval is possible: that takes two seeds or more which both studies have read.")
    return [*sentences, *comparison.cautions]


def comparison_table(comparison: Comparison) -> TextTable:
    """Return one row a rung and study: accuracy, spread, seeds, and the difference from the first study."""
    found = {(one.study, one.rung): one for one in comparison.differences}
    rows = []
    for rung in comparison.rungs:
        for label in comparison.labels:
            scores = comparison.find(label, rung)
            if scores is None:
                continue
            test = (
                UNDEFINED
                if scores.mean is None
                else f"{mean_and_spread(scores.mean, scores.sd)} ({len(scores.scores)})"
            )
            if scores.failed:
                test += f", {len(scores.failed)} failed"
            rows.append((rung, label, test, interval_of(scores.interval), *_difference_cells(found.get((label, rung)))))
    return TextTable(
        caption=(
            f"Test accuracy: mean ± sample standard deviation over n finished seeds, with its own 95 % interval. "
            f"Difference: from the same rung of {comparison.labels[0]}, a mean over common seeds in percentage points, "
            f"its interval adjusted for all differences here. {UNDEFINED} marks what is not defined."
        ),
        header=("rung", "study", "test accuracy, % (n)", "95 %", "difference", "adjusted", "reading"),
        rows=tuple(rows),
        text_columns=2,
    )


def interval_of(bounds: tuple[float, float] | None) -> str:
    """Write an interval of accuracies in percent."""
    return UNDEFINED if bounds is None else f"[{100 * bounds[0]:.2f}, {100 * bounds[1]:.2f}]"


def terminal_comparison(comparison: Comparison) -> Table:
    """Return the table for a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("rung", overflow="fold")
    table.add_column("study", overflow="fold")
    for head in ("test\n%", "difference\npoints", "adjusted\ninterval"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("reading", no_wrap=True)
    before = None
    for rung, label, test, _, *rest in comparison_table(comparison).rows:
        # Names come from data and folders; as Text they are never read as rich's markup.
        name = Text(rung if rung != before else "", style="bold")
        table.add_row(name, Text(label), *(Text(cell) for cell in (test, *rest)))
        before = rung
    return table


def build_comparison(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as plain values; accuracies are fractions of 1."""
    document = asdict(comparison)
    document["folders"] = [str(folder) for folder in comparison.folders]
    return {**document, "summary": describe_comparison(comparison)}


def _told(one: Difference) -> str:
    assert one.mean is not None
    word = {"higher": "Higher", "lower": "Lower", "equivalent": "Equivalent"}[str(one.reading)]
    return f"{word}: {one.rung} of {one.study} ({points(one.mean)} points, {interval(one.interval)})."


def _difference_cells(one: Difference | None) -> tuple[str, str, str]:
    if one is None:
        return UNDEFINED, UNDEFINED, UNDEFINED
    if one.same:
        return points(one.mean), UNDEFINED, "same training"
    return points(one.mean), interval(one.interval), _WORDS[one.reading]


def _title(comparison: Comparison) -> str:
    return f"{count(len(comparison.labels), 'study').replace('studys', 'studies')} on {comparison.data}"


def _alt(comparison: Comparison) -> str:
    each = [
        f"{one.rung} of {one.study} {percent(one.mean)} (n = {len(one.scores)})"
        for one in comparison.scores
        if one.mean is not None
    ]
    return f"Dot plot of test accuracy by rung and study, a dot a seed; means: {', '.join(each) or 'none yet'}."


def _markdown(comparison: Comparison) -> str:
    folders = [
        f"- {escape(label)}: {escape(str(folder))}"
        for label, folder in zip(comparison.labels, comparison.folders, strict=True)
    ]
    parts = [
        f"# Stepladder comparison: {escape(_title(comparison))}",
        *(escape(sentence) for sentence in describe_comparison(comparison)),
        f"![{escape(_alt(comparison))}](figures/comparison.png)",
        render_table(comparison_table(comparison)),
        "## The studies",
        "\n".join(folders),
    ]
    return "\n\n".join(parts) + "\n"


def _page(comparison: Comparison) -> str:
    environment = Environment(
        # Explicit, as select_autoescape judges by the file's ending and would not escape in a ".j2".
        autoescape=True,
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = [to_svg(draw_comparison(comparison, compact=compact)) for compact in (False, True)]
    wide, narrow = (f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}" for svg in figures)
    return environment.get_template("comparison.html.j2").render(
        title=_title(comparison),
        sentences=describe_comparison(comparison),
        wide=wide,
        narrow=narrow,
        alt=_alt(comparison),
        table=comparison_table(comparison),
        studies=list(zip(comparison.labels, comparison.folders, strict=True)),
    )
