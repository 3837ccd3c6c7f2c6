"""Several studies together, technique by technique: the mean over image sets, and what a new set will probably have."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.marks import SYMBOLS
from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, Scale, count, listing
from stepladder.studies.judging.verdicts import VERDICTS
from stepladder.studies.pool.findings import PooledTechnique, PoolFindings
from stepladder.studies.pool.statistics import PooledEffect


class PoolTechniquesSection(Section[PoolFindings]):
    """Every technique that two image sets or more have."""

    key = "techniques"
    heading = "Technique by technique"

    def applies(self, findings: PoolFindings) -> bool:
        """Whether anything is pooled."""
        return bool(findings.techniques)

    def pictures(self, findings: PoolFindings) -> tuple[Picture, ...]:
        """Return all techniques on one axis."""
        from stepladder.report.sections.pool_techniques.figure import draw_techniques

        title = "What each technique does, over image sets"
        return (Picture("techniques", partial(draw_techniques, findings, title), self.values(findings)["alt"]),)

    def tables(self, findings: PoolFindings) -> tuple[TextTable, ...]:
        """Return the pooled effects, and what stands around them with the odds ratios."""
        return (pool_table(findings), odds_table(findings))

    def chart(self, findings: PoolFindings) -> dict[str, Any] | None:
        """Return every technique with a dot a set, the mean's interval, and the band of a new set."""
        scale = Scale(findings.unit)
        return {
            "items": [
                {
                    "name": one.name,
                    "lines": [],
                    "notes": [],
                    "seeds": [member.label for member in one.members],
                    "values": [scale.axis(member.effect.mean) for member in one.members],
                    "mean": scale.axis(one.points.mean),
                    "interval": scale.axis_interval(one.points.interval),
                    "wider": scale.axis_interval(one.points.prediction),
                    "kind": "none",
                    "symbol": SYMBOLS["none"],
                    "word": counted_words(one, short=True),
                    "text": f"{scale.difference(one.points.mean)} {scale.step}",
                }
                for one in findings.techniques
            ],
            "smallest": scale.axis(smallest_effect(findings)),
            "axis": f"difference, {scale.step}; right is better",
            "step": scale.step,
        }

    def values(self, findings: PoolFindings) -> dict[str, Any]:
        """Return what the chart shows in words, for those who cannot see it."""
        scale = Scale(findings.unit)
        each = [
            f"{one.name} {scale.difference(one.points.mean)}, a new set {new_set(scale, one)}"
            for one in findings.techniques
        ]
        return {"alt": f"Forest plot of pooled effects, in {scale.step}: {'; '.join(each)}."}


def smallest_effect(findings: PoolFindings) -> float:
    """Return the smallest effect of interest that any of the studies has."""
    return min(record.smallest_effect for record in findings.studies)


def sets_of(findings: PoolFindings) -> str:
    """Write how many image sets there are."""
    return count(findings.sets, "image set")


def counted_words(one: PooledTechnique, *, short: bool = False) -> str:
    """Write how many sets have which verdict: ``helped on 5 of 9 sets, hurt on 1 and undecided on 3``."""
    words = [f"{verdict or 'no verdict'} on {number}" for verdict, number in one.counted.items()]
    first = next(iter(one.counted.items()))
    words[0] = f"{first[0] or 'no verdict'} on {first[1]} of {one.sets}" + ("" if short else " sets")
    return words[0] if short else listing(words)


def new_set(scale: Scale, one: PooledTechnique) -> str:
    """Write what a new set lies within: "[−0.60, +4.20]"."""
    return scale.interval(one.points.prediction)


def pool_table(findings: PoolFindings) -> TextTable:
    """Return a row a technique: how many sets, how many verdicts of which kind, mean, prediction, spread."""
    scale = Scale(findings.unit)
    rows = tuple(
        (
            one.name,
            str(one.sets),
            *(str(one.counted.get(verdict, 0)) for verdict in VERDICTS),
            scale.difference(one.points.mean),
            scale.interval(one.points.interval),
            new_set(scale, one),
            UNDEFINED if one.points.above_zero is None else f"{100 * one.points.above_zero:.0f} %",
        )
        for one in findings.techniques
    )
    return TextTable(
        caption=(
            "Mean: of a random-effects model (Paule and Mandel), plus is better, with its 95 % interval (Hartung and "
            "Knapp). A new set: the effect on an image set like these is within this in 95 % of cases; above zero: the "
            "chance that it is above zero. Verdicts are those of each set's own study. Each interval is right for "
            f"itself, and not all at the same time. {UNDEFINED} marks what is not defined."
        ),
        header=(
            "technique",
            "sets",
            *VERDICTS,
            f"mean, {scale.step}",
            "interval",
            "a new set",
            "above zero",
        ),
        rows=rows,
        text_columns=1,
    )


def odds_table(findings: PoolFindings) -> TextTable:
    """Return how far sets are apart, and the same as odds ratios, which do not depend on how high accuracy is."""
    scale = Scale(findings.unit)
    rows = []
    for one in findings.techniques:
        odds = one.odds or PooledEffect(one.sets)
        apart = UNDEFINED if one.points.tau is None else scale.difference(one.points.tau).lstrip("+")
        ratios = odds_ratio(odds.mean), _ratios(odds.interval), _ratios(odds.prediction)
        rows.append((one.name, ", ".join(one.around) or "nothing", one.network, one.optimizer, apart, *ratios))
    return TextTable(
        caption=(
            "Beside: the techniques that all rungs have. Apart: standard deviation of the true effects between sets. "
            "The odds of a right answer (right over wrong) are multiplied by this; above 1 is better. A point at 99 % "
            "is not a point at 60 %: from 60 to 61 % the odds grow by 1.04, from 98 to 99 % by 2.02. Worked out of the "
            "mean accuracies of rungs, their standard errors by the delta method from the paired seeds, and pooled as "
            "logarithms in the same way."
        ),
        header=(
            "technique",
            "beside",
            "network",
            "optimizer",
            f"apart, {scale.step}",
            "odds ratio",
            "interval",
            "a new set",
        ),
        rows=tuple(rows),
        text_columns=4,
        title="What stands around it, how far sets are apart, and odds ratios",
    )


def terminal_pool(findings: PoolFindings) -> Table:
    """Return the pooled effects for a terminal of 80 columns."""
    scale = Scale(findings.unit)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("technique", overflow="fold")
    for head in ("sets", "helped", "hurt", f"mean\n{scale.step}", "its 95 %", "a new set\n95 %"):
        table.add_column(head, justify="right", no_wrap=True)
    for one in findings.techniques:
        cells = (
            one.name,
            str(one.sets),
            str(one.counted.get("helped", 0)),
            str(one.counted.get("hurt", 0)),
            scale.difference(one.points.mean),
            scale.interval(one.points.interval),
            new_set(scale, one),
        )
        table.add_row(*(Text(cell) for cell in cells))
    return table


def describe_technique(scale: Scale, one: PooledTechnique) -> str:
    """Say of a technique how sets judged it, its mean, and what a new set will probably have.

    >>> describe_technique(scale, one)  # doctest: +SKIP
    'augment: helped on 5 of 9 sets and undecided on 4. Mean +1.80 points [+0.41, +3.19]; a new set [−0.60, +4.20].'
    """
    counted = f"{one.name}: {counted_words(one)}."
    if one.points.interval is None:
        return counted
    text = f"{counted} Mean {scale.difference(one.points.mean)} {scale.step} {scale.interval(one.points.interval)}"
    if one.points.prediction is None:
        return f"{text}, of {count(one.sets, 'set')}."
    return f"{text}; a new set {new_set(scale, one)}."


def odds_ratio(log_odds: float | None) -> str:
    """Write an odds ratio, whose logarithm is given."""
    return UNDEFINED if log_odds is None else f"{_exp(log_odds):.3g}"


def _ratios(bounds: tuple[float, float] | None) -> str:
    return UNDEFINED if bounds is None else f"[{_exp(bounds[0]):.3g}, {_exp(bounds[1]):.3g}]"


def _exp(value: float) -> float:
    """The exponential, which ends where floats do: few sets allow anything."""
    return math.exp(min(max(value, -700.0), 700.0))
