"""The effects: every contrast of the plan with its interval and its verdict, and its differences seed by seed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.atlas import describe_beside
from stepladder.report.marks import (
    chart_verdict,
    confidence_of,
    interval_of,
    question,
    seeds_range,
    several_kinds,
    verdict_word,
)
from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, Scale, amount, correlation, p_value, size
from stepladder.studies.findings import Findings
from stepladder.studies.judging.statistics import Effect
from stepladder.studies.judging.verdicts import POWER
from stepladder.studies.pool.atlas import techniques_of
from stepladder.studies.pool.sets import network_of_study


class EffectsSection(Section[Findings]):
    """What each technique does."""

    key = "effects"
    heading = "The effects"

    def applies(self, findings: Findings) -> bool:
        """Whether any trial learned something: differences between networks that did not are no effects."""
        return findings.nothing_learned is None

    def sentences(self, findings: Findings) -> list[str]:
        """Return what the atlas has of the same techniques; nothing where there is none."""
        if not findings.limits.read or findings.metric.name != "accuracy":
            return []
        record = findings.study.record
        asked = (
            (contrast.name, techniques_of(record, contrast))
            for contrast, effect in zip(record.contrasts, findings.effects, strict=True)
            if not effect.is_interaction
        )
        return describe_beside(asked, network_of_study(record))

    def pictures(self, findings: Findings) -> tuple[Picture, ...]:
        """Return the forest plot, where the plan asks anything of a technique."""
        from stepladder.report.sections.effects.figure import draw_forest

        if not findings.techniques:
            return ()
        alt = describe_effects("Forest plot of the effects", findings, findings.techniques)
        return (Picture("forest", partial(draw_forest, findings), alt),)

    def tables(self, findings: Findings) -> tuple[TextTable, ...]:
        """Return the verdicts, and every difference."""
        return (effect_table(findings), difference_table(findings)) if findings.effects else ()

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return every effect but the interactions with its paired differences; None where there are none yet.

        Shares are in points here, as the axis is; losses in nats.
        """
        scale, effects = Scale(findings.metric.unit), findings.techniques
        if not findings.limits.read or all(effect.mean is None for effect in effects):
            return None
        several = several_kinds(effects)
        return {
            "effects": [
                {
                    "name": effect.name,
                    "how": question(effect.design) if several else "",
                    "seeds": list(effect.differences),
                    "values": [scale.axis(value) for value in effect.differences.values()],
                    "mean": scale.axis(effect.mean),
                    "interval": scale.axis_interval(effect.interval),
                    "wider": scale.axis_interval(findings.on_new_images(effect)),
                    **chart_verdict(scale, effect),
                }
                for effect in effects
            ],
            "smallest": scale.axis(findings.study.record.smallest_effect),
            "axis": f"difference, {scale.step}; right is better",
            "step": scale.step,
        }

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the tables as the page has them: first the verdicts alone, the rest folded up."""
        table = effect_table(findings)
        how = ("how",) if several_kinds(findings.effects) else ()
        return {
            "verdicts": table.pick(
                ("technique", *how, "verdict", "mean", "interval", "new images", "p", "n", "seeds to decide"),
                "Plus is better; – marks what is not defined.",
            ),
            "more_figures": table.pick(
                ("technique", *how, "difference of", "correlation", "detectable"), table.caption
            ),
            "differences": difference_table(findings)
            if findings.test_set is not None and len(findings.study.record.seeds) > 1
            else None,
        }


def describe_effects(what: str, findings: Findings, effects: Sequence[Effect]) -> str:
    """Return what a figure of effects shows, for those who cannot see it."""
    scale = Scale(findings.metric.unit)
    each = [
        f"{effect.name} {scale.difference(effect.mean)} {interval_of(scale, effect)}, {verdict_word(effect)}"
        for effect in effects
    ]
    return f"{what}, in {scale.step}: {'; '.join(each)}."


def effect_table(findings: Findings) -> TextTable:
    """Return every contrast of the plan with its interval and verdict; a column that no row fills is left out."""
    scale = Scale(findings.metric.unit)
    new_images = findings.test_set is not None and any(findings.test_set.effects)
    pairs = any(effect.rung for effect in findings.effects)  # Shapley values are sums over all rungs
    rows = []
    for effect in findings.effects:
        line = (
            effect.name,
            question(effect.design),
            *([f"{effect.rung} − {effect.below}" if effect.rung else UNDEFINED] if pairs else []),
            verdict_word(effect),
            scale.difference(effect.mean),
            interval_of(scale, effect),
            *([scale.interval(findings.on_new_images(effect), effect.most)] if new_images else []),
            p_value(effect.p_value),
            str(effect.n),
            *([correlation(effect.correlation)] if pairs else []),
            _detectable(scale, effect.detectable),
            seeds_word(effect),
        )
        rows.append(line)
    header = ["technique", "how", *(["difference of"] if pairs else []), "verdict", f"mean, {scale.step}", "interval"]
    header += ["new images"] if new_images else []
    header += ["p", "n"]
    header += ["correlation"] if pairs else []
    header += [f"detectable, {scale.step}", "seeds to decide"]
    return TextTable(
        caption=_caption(findings, new_images), header=tuple(header), rows=tuple(rows), text_columns=4 if pairs else 3
    )


def difference_table(findings: Findings) -> TextTable:
    """Return every paired difference, a column a seed."""
    scale, seeds = Scale(findings.metric.unit), findings.study.record.seeds
    return TextTable(
        caption=(
            f"Difference between trials of the same seed, in {scale.step}; plus is better. {UNDEFINED} marks a seed of "
            "which a trial has not ended or was stopped, or test was not read; (d) marks one of which a trial diverged "
            f"and counts as a result of {scale.full(findings.limits.failed_counts_as)}."
        ),
        header=("technique", "how", *(f"seed {seed}" for seed in seeds), f"mean, {scale.step}"),
        rows=tuple(
            (
                effect.name,
                question(effect.design),
                *(_difference(scale, effect, seed) for seed in seeds),
                scale.difference(effect.mean),
            )
            for effect in findings.effects
        ),
        text_columns=2,
        title="Every paired difference",
    )


def terminal_effects(findings: Findings) -> Table:
    """Return the verdicts for a terminal of 80 columns."""
    scale = Scale(findings.metric.unit)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    several = several_kinds(findings.effects)
    for head in ("technique", *(["how"] if several else [])):
        table.add_column(head, overflow="fold")
    table.add_column(f"mean\n{scale.step}", justify="right", no_wrap=True)
    table.add_column("adjusted\ninterval", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for effect in findings.effects:
        words = [effect.name, *([question(effect.design)] if several else [])]
        cells = [*words, scale.difference(effect.mean), interval_of(scale, effect), verdict_word(effect)]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def seeds_word(effect: Effect) -> str:
    """Return how many seeds would probably decide an undecided contrast."""
    if effect.verdict != "undecided":
        return UNDEFINED
    return seeds_range(effect) if effect.decided_by else UNDEFINED


def _detectable(scale: Scale, difference: float | None) -> str:
    return UNDEFINED if difference is None else size(scale, difference).removesuffix(f" {scale.step}")


def _difference(scale: Scale, effect: Effect, seed: int) -> str:
    text = scale.difference(effect.differences.get(seed))
    return f"{text} (d)" if seed in effect.failed else text


def _caption(findings: Findings, new_images: bool) -> str:
    record, scale = findings.study.record, Scale(findings.metric.unit)
    looks = f" at any of {len(record.looks)} looks" if len(record.looks) > 1 else ""
    if record.spending == "open":
        looks = ", however often seeds are added,"
    several = max(findings.together, findings.interactions) > 1
    adjusted = "adjusted t-interval (Bonferroni)" if several else "t-interval"
    right = confidence_of(findings.together, findings.interactions, record.alpha, looks, findings.unseen)
    pairs = " Correlation: of the two rungs over seeds." if any(effect.rung for effect in findings.effects) else ""
    together, independent = "", ""
    if findings.together and findings.interactions:
        together, independent = " (of two techniques: stronger or weaker together)", " (independent)"
    text = (
        f"Mean of the paired differences, plus is better, and its {adjusted}. {right} p is adjusted in the same way. "
        f"Helped or hurt{together}: the interval excludes zero. Equivalent{independent}: it lies within ± "
        f"{amount(scale, record.smallest_effect)}, the smallest effect of interest.{pairs} Detectable: the smallest "
        f"true difference that as many seeds with this spread find with a probability of {100 * POWER:.0f} %."
    )
    if any(effect.decided_by for effect in findings.effects):
        text += (
            " Seeds to decide: how many in all would decide it with an even chance, and with one of "
            f"{100 * POWER:.0f} %; neither the effect nor its spread is known better than the seeds so far tell."
        )
    if new_images:
        text += (
            " New images: the interval on other images like the test images with other seeds, at the same level; the "
            "verdicts do not use it."
        )
    if any(effect.interval and effect.most and effect.most in map(abs, effect.interval) for effect in findings.effects):
        text += " “any” stands where an interval goes as far as a difference can: so few seeds say nothing there."
    return text
