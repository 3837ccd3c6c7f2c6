"""Several studies side by side: what may be said of them, every rung of every study, and which studies they are."""

from __future__ import annotations

import shlex
from dataclasses import asdict, fields, is_dataclass
from functools import partial
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.section import Head, Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, Scale, capital, count
from stepladder.studies.judging.comparison import Comparison, Difference


class ComparisonMeaningSection(Section[Comparison]):
    """What the comparison says, and what it cannot say."""

    key = "meaning"
    heading = "What it says"

    def sentences(self, findings: Comparison) -> list[str]:
        """Return all that is said in words."""
        return describe_comparison(findings)


class ComparisonRungsSection(Section[Comparison]):
    """Every rung of every study."""

    key = "rungs"
    heading = "Rung by rung"

    def pictures(self, findings: Comparison) -> tuple[Picture, ...]:
        """Return the figure of all rungs."""
        from stepladder.report.sections.comparison.figure import draw_comparison

        return (Picture("comparison", partial(draw_comparison, findings), _alt(findings)),)

    def tables(self, findings: Comparison) -> tuple[TextTable, ...]:
        """Return a row a rung and study."""
        return (comparison_table(findings),)


class ComparisonStudiesSection(Section[Comparison]):
    """Where the studies are."""

    key = "studies"
    heading = "The studies"

    def tables(self, findings: Comparison) -> tuple[TextTable, ...]:
        """Return the folder of each study."""
        rows = tuple((label, str(folder)) for label, folder in zip(findings.labels, findings.folders, strict=True))
        return (TextTable("The others are compared with the first.", ("study", "folder"), rows, 2),)


def comparison_head(comparison: Comparison) -> Head:
    """Return what stands around the sections."""
    return Head(
        kicker="Stepladder comparison",
        title=f"{len(comparison.labels)} studies on {comparison.data}",
        command=shlex.join(["stepladder", "report", *map(str, comparison.folders)]),
    )


def describe_comparison(comparison: Comparison) -> list[str]:
    """Return what the comparison says and what it cannot say, a sentence or two an item."""
    judged = [one for one in comparison.differences if one.reading is not None]
    scale = Scale(comparison.metric.unit)
    sentences = [_told(one, scale) for one in judged if one.reading != "undecided"]
    open_ones = [f"{one.rung} of {one.study}" for one in judged if one.reading == "undecided"]
    if open_ones:
        sentences.append(f"Undecided: {', '.join(open_ones)}.")
    if judged:
        sentences.append(
            f"Each difference is from {comparison.labels[0]}, paired by seed. The intervals are adjusted for "
            f"{count(len(judged), 'comparison')}: all intervals are right at once with a probability of "
            f"{100 * (1 - comparison.alpha):g} %."
        )
    same = [f"{one.rung} of {one.study}" for one in comparison.differences if one.same]
    if same:
        sentences.append(f"Nothing to compare, since both trained the same trials: {', '.join(same)}.")
    if not comparison.differences:
        sentences.append(f"No study shares a rung with {comparison.labels[0]}, so there are no differences.")
    elif not judged and any(not one.same and not one.other_budget for one in comparison.differences):
        sentences.append("There are no intervals: they need two seeds or more that both studies have read.")
    return [*sentences, *comparison.cautions]


def comparison_table(comparison: Comparison) -> TextTable:
    """Return one row a rung and study: accuracy, spread, seeds, and the difference from the first study."""
    found = {(one.study, one.rung): one for one in comparison.differences}
    metric, scale = comparison.metric, Scale(comparison.metric.unit)
    better = "" if metric.higher_is_better else ", plus is better"
    rows = []
    for rung in comparison.rungs:
        for label in comparison.labels:
            scores = comparison.find(label, rung)
            if scores is None:
                continue
            test = (
                UNDEFINED if scores.mean is None else f"{scale.spread(scores.mean, scores.sd)} ({len(scores.scores)})"
            )
            if scores.failed:
                test += f", {len(scores.failed)} failed"
            cells = _difference_cells(found.get((label, rung)), scale)
            rows.append((rung, label, test, interval_of(scores.interval, scale), *cells))
    return TextTable(
        caption=(
            f"{capital(metric.label)}: mean ± sample standard deviation over n finished seeds, with its own 95 % "
            f"interval. Difference: from the same rung of {comparison.labels[0]}, a mean over common seeds in "
            f"{'percentage points' if metric.share else scale.step}{better}, its interval adjusted for all differences "
            f"here. {UNDEFINED} marks what is not defined."
        ),
        header=("rung", "study", f"{metric.label}, {scale.unit} (n)", "95 %", "difference", "adjusted", "reading"),
        rows=tuple(rows),
        text_columns=2,
    )


def interval_of(bounds: tuple[float, float] | None, scale: Scale) -> str:
    """Write an interval of values."""
    return UNDEFINED if bounds is None else f"[{scale.value(bounds[0])}, {scale.value(bounds[1])}]"


def terminal_comparison(comparison: Comparison) -> Table:
    """Return the table for a terminal of 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("rung", overflow="fold")
    table.add_column("study", overflow="fold")
    scale, metric = Scale(comparison.metric.unit), comparison.metric
    test = "test" if metric.name == "accuracy" else metric.name
    for head in (f"{test}\n{scale.unit}", f"difference\n{scale.step}", "adjusted\ninterval"):
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
    """Return the comparison as plain values; shares are fractions of 1."""
    document = {field.name: _plain(getattr(comparison, field.name)) for field in fields(comparison)}
    document["metric"] = comparison.metric.name
    document["folders"] = [str(folder) for folder in comparison.folders]
    return {**document, "summary": describe_comparison(comparison)}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_plain(each) for each in value)
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _told(one: Difference, scale: Scale) -> str:
    assert one.mean is not None
    reading = str(one.reading).capitalize()
    size = f"{scale.difference(one.mean)} {scale.step}, {scale.interval(one.interval)}"
    return f"{reading}: {one.rung} of {one.study} ({size})."


def _difference_cells(one: Difference | None, scale: Scale) -> tuple[str, str, str]:
    if one is None:
        return UNDEFINED, UNDEFINED, UNDEFINED
    if one.same:
        return scale.difference(one.mean), UNDEFINED, "same training"
    if one.other_budget:
        return scale.difference(one.mean), UNDEFINED, "other budget"
    return scale.difference(one.mean), scale.interval(one.interval), one.reading or UNDEFINED


def _alt(comparison: Comparison) -> str:
    scale = Scale(comparison.metric.unit)
    each = [
        f"{one.rung} of {one.study} {scale.full(one.mean)} (n = {len(one.scores)})"
        for one in comparison.scores
        if one.mean is not None
    ]
    means = ", ".join(each) or "none yet"
    return f"Dot plot of {comparison.metric.label} by rung and study, a dot a seed; means: {means}."
