"""What a report says where only text fits: the tables and sentences of a terminal, and the few lines of a ``repr``."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import assert_never

from rich.console import Console, RenderableType

from stepladder.report.atlas import describe_first
from stepladder.report.how_long import how_long, tell_starts
from stepladder.report.marks import SYMBOLS, interval_of, kind_of, verdict_word
from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.screen import Screen
from stepladder.report.sections.effects import terminal_effects
from stepladder.report.sections.ladder import terminal_table
from stepladder.report.sections.meaning import describe, describe_answer, describe_limits
from stepladder.report.sections.sizes import describe_sizes
from stepladder.report.sections.sweep_meaning import describe_sweep
from stepladder.report.sections.sweep_points import terminal_points
from stepladder.report.units import Scale, amount, count, listing, size
from stepladder.report.write import REPORT_PAGE
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.forecast import Forecast
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings
from stepladder.studies.pool.atlas import techniques_of
from stepladder.studies.pool.sets import network_of_study
from stepladder.studies.running.timing import Range

#: Letters of the longest ``repr``: what a notebook's cell or a traceback still shows whole.
MOST_LETTERS = 480


def print_report(console: Console, findings: AnyFindings, say: Callable[[str], str] = str) -> None:
    """Print the answer, tables, all else that is said, and where the report is.

    Args:
        say: puts the library's words into the reader's; the command line makes flags of parameters.
    """
    opening = _opening(findings)
    if opening:
        console.print()
    for sentence in opening:
        console.print(say(sentence), markup=False)
    for table in _tables(findings):
        console.print()
        console.print(table)
    console.print()
    for sentence in sentences_of(findings)[len(opening) :]:
        console.print(say(sentence), markup=False)
    console.print(f"\nReport: {findings.study.folder / REPORT_PAGE}", markup=False, soft_wrap=True)


def report_text(findings: AnyFindings, width: int = 100) -> str:
    """Return what :func:`print_report` prints, as one text."""
    file = io.StringIO()
    print_report(Screen(file=file, width=width, highlight=False), findings)
    return file.getvalue().strip("\n")


def short_text(findings: AnyFindings) -> str:
    """Return a few lines, at most :data:`MOST_LETTERS` letters: what was compared, and each verdict or the best."""
    match findings:
        case Findings():
            lines = _verdict_lines(findings)
        case SweepFindings() | CurveFindings():
            lines = sentences_of(findings)
        case _:
            assert_never(findings)
    record = findings.study.record
    head = f"{record.plan} on {record.data.name}, {count(len(record.seeds), 'seed')}"
    if findings.study.missing:
        head += f", {findings.study.missing} of {count(record.planned_trials, 'trial')} not ended"
    return _shortened([f"<{head}>", *lines])


def sentences_of(findings: AnyFindings) -> list[str]:
    """Return what the report's first lines say, a sentence or two an item."""
    match findings:
        case Findings():
            return describe(findings)
        case SweepFindings():
            return describe_sweep(findings)
        case CurveFindings():
            return describe_sizes(findings)
        case _:
            assert_never(findings)


def _opening(findings: AnyFindings) -> list[str]:
    """Return what stands before the tables: what limits a study and its answer, or that nothing was learned."""
    match findings:
        case Findings():
            return [*describe_limits(findings), *describe_answer(findings)]
        case SweepFindings() | CurveFindings():
            return opening_sentences(findings)
        case _:
            assert_never(findings)


def describe_forecast(forecast: Forecast) -> list[str]:
    """Return what a study would run, for how long, and what it could find, a line an item."""
    record, scale, spread = forecast.record, Scale(forecast.metric.unit), forecast.spread
    lines = [
        f"{record.plan.capitalize()} of {count(len(record.rungs), 'rung')} on {record.data.name}, "
        f"{count(len(record.contrasts), 'comparison')}, {forecast.metric.label}, α = {record.alpha:g}, "
        f"smallest effect of interest {amount(scale, record.smallest_effect)}."
    ]
    width = max(len(rung.name) + 2 for rung in record.rungs)
    for rung in record.rungs:
        signed = [*(f"+ {name}" for name in rung.adds), *(f"− {name}" for name in rung.lacks)]
        lines.append(f"  {rung.name:<{width}}{' '.join(signed)}".rstrip())
    lines += record.notes
    seeds = [look.seeds for look in forecast.looks]
    if len(seeds) == 1:
        lines.append(
            f"{count(forecast.fewest, 'trial')} ({count(seeds[0], 'seed')} a rung): "
            f"{how_long(forecast.shortest, forecast.at_a_time[0], forecast.estimate)}"
        )
    else:
        either = Range(forecast.shortest.low, forecast.longest.high)
        lines.append(
            f"Looks at {listing([str(each) for each in seeds])} seeds: {forecast.fewest} to {forecast.most} trials, "
            f"{how_long(either, forecast.at_a_time[1], forecast.estimate)}"
        )
    lines += tell_starts(forecast.instead, instead=True)
    if forecast.metric.name == "accuracy":
        asked = (techniques_of(record, contrast) for contrast in record.contrasts)
        level = record.alpha / max(forecast.comparisons, 1)
        lines += describe_first(asked, spread.sd, level, network_of_study(record))
    for number, smallest in forecast.detectable.items():
        at = f"At the look at {count(number, 'seed')}" if len(seeds) > 1 else f"With {count(number, 'seed')}"
        if smallest is None:
            lines.append(f"{at}, no difference can be found: one seed shows no spread.")
        else:
            lines.append(f"{at}, the smallest difference that it would probably find is {size(scale, smallest)}.")
    if spread.pilot is not None:
        source = f"the median of {count(spread.comparisons, 'comparison')} in {spread.pilot}"
    elif spread.usual:
        images = count(forecast.record.data.counts["test"], "test image")
        source = f"which is a usual one on {images}: state yours with `spread`"
    else:
        source = "as stated"
    lines.append(
        f"This takes a standard deviation of the paired differences of {amount(scale, spread.sd)}, {source}; an "
        f"adjustment for {count(forecast.comparisons, 'comparison')}; and a chance of {100 * forecast.power:.0f} %. "
        "Nothing was run."
    )
    return lines


def _tables(findings: AnyFindings) -> Iterable[RenderableType]:
    match findings:
        case Findings():
            yield terminal_table(findings)
            judged = len(findings.study.record.seeds) > 1 and not findings.study.unread
            if judged and findings.effects and not findings.nothing_learned:
                yield terminal_effects(findings)
        case SweepFindings():
            yield terminal_points(findings)
        case CurveFindings():
            return
        case _:
            assert_never(findings)


def _verdict_lines(findings: Findings) -> list[str]:
    scale = Scale(findings.metric.unit)
    known = [effect for effect in findings.techniques if effect.mean is not None]
    if not findings.limits.read or not known or findings.nothing_learned:
        return [describe(findings)[0]]
    # A technique stands there once a question; which one is only said where there are several.
    several = len({effect.design for effect in known}) > 1
    names = [f"{effect.name} ({effect.design})" if several else effect.name for effect in known]
    width = max(map(len, names))
    lines = [
        f"{SYMBOLS[kind_of(effect)]} {name:<{width}} {scale.difference(effect.mean)} "
        f"{interval_of(scale, effect)} {verdict_word(effect)}"
        for name, effect in zip(names, known, strict=True)
    ]
    best = [rung for rung in findings.rungs if rung.rung in findings.highest and rung.mean is not None]
    if best and best[0].mean is not None:
        extreme = "highest" if findings.metric.higher_is_better else "lowest"
        lines.append(f"{extreme} {findings.metric.label}: {best[0].rung}, {scale.full(best[0].mean)}")
    return lines


def _shortened(lines: list[str]) -> str:
    shown: list[str] = []
    left = MOST_LETTERS - 40
    for line in lines:
        if len(line) + 1 > left:
            cut = line[: max(left - 2, 0)].rstrip()
            more = f"… print() shows all {len(lines)} lines"
            return "\n".join([*shown, *([f"{cut}…"] if not shown and cut else []), more])
        shown.append(line)
        left -= len(line) + 1
    return "\n".join(shown)
