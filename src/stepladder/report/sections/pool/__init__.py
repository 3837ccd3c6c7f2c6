"""Several studies together: what they say, set by set, what may move it, and what was left out."""

from __future__ import annotations

import shlex
from functools import partial
from typing import ClassVar

from stepladder.report.section import Head, Picture, Section, TextTable
from stepladder.report.sections.pool_techniques import counted_words, describe_technique, odds_ratio, sets_of
from stepladder.report.units import UNDEFINED, Scale, count, listing
from stepladder.studies.pool.findings import FEWEST_FITTED, PROPERTIES, PooledTechnique, PoolFindings

#: Contrasts left out that a sentence names; the table has all.
_MOST_NAMED = 3


class PoolMeaningSection(Section[PoolFindings]):
    """What the studies say together, and what they cannot say."""

    key = "meaning"
    heading = "What it says"

    def sentences(self, findings: PoolFindings) -> list[str]:
        """Return all that is said in words."""
        return describe_pool(findings)


class PoolSetsSection(Section[PoolFindings]):
    """The effect on each image set."""

    key = "sets"
    heading = "Set by set"

    def applies(self, findings: PoolFindings) -> bool:
        """Whether anything is pooled."""
        return bool(findings.techniques)

    def pictures(self, findings: PoolFindings) -> tuple[Picture, ...]:
        """Return a forest plot a technique."""
        from stepladder.report.sections.pool.figure import draw_sets

        return tuple(
            Picture(f"forest-{number}", partial(draw_sets, findings, one), _alt(findings, one))
            for number, one in enumerate(findings.techniques, start=1)
        )

    def tables(self, findings: PoolFindings) -> tuple[TextTable, ...]:
        """Return a row an effect and set."""
        return (set_table(findings),)


class PoolMovesSection(Section[PoolFindings]):
    """What an effect may depend on."""

    key = "moves"
    heading = "What may move it"

    def applies(self, findings: PoolFindings) -> bool:
        """Whether anything is pooled."""
        return bool(findings.techniques)

    def sentences(self, findings: PoolFindings) -> list[str]:  # noqa: ARG002
        """Return how the plots are to be read."""
        return [
            "A dot is an image set, its bar the 95 % interval over seeds. Nothing is fitted: sets differ in everything "
            f"at the same time, and below {FEWEST_FITTED} of them a line through the dots would be a guess."
        ]

    def pictures(self, findings: PoolFindings) -> tuple[Picture, ...]:
        """Return a row of small plots a technique."""
        from stepladder.report.sections.pool.figure import draw_properties

        listed = listing([each.words.partition(",")[0] for each in PROPERTIES])
        return tuple(
            Picture(
                f"moves-{number}",
                partial(draw_properties, findings, one),
                f"Small plots of the effect of {one.name} against {listed}, a dot an image set.",
            )
            for number, one in enumerate(findings.techniques, start=1)
        )


class PoolLeftOutSection(Section[PoolFindings]):
    """What takes no part."""

    key = "left-out"
    heading = "Left out"

    def applies(self, findings: PoolFindings) -> bool:
        """Whether anything was."""
        return bool(findings.left_out)

    def tables(self, findings: PoolFindings) -> tuple[TextTable, ...]:
        """Return a row a contrast."""
        rows = tuple((one.study, one.name, one.why) for one in findings.left_out)
        caption = (
            "Effects are pooled where they are of the same contrast: the same techniques with the same settings, in "
            "the same order, on the same network and optimizer."
        )
        return (TextTable(caption, ("image set", "technique", "why"), rows, 3),)


class PoolStudiesSection(Section[PoolFindings]):
    """Which studies they are."""

    key = "studies"
    heading = "The studies"
    _HEADER: ClassVar[tuple[str, ...]] = (
        "image set", "plan", "hardware", "precision", "pixels", "classes", "training images", "test images", "seeds",
    )  # fmt: skip

    def tables(self, findings: PoolFindings) -> tuple[TextTable, ...]:
        """Return a row a study."""
        rows = tuple(
            (
                label,
                record.plan,
                record.machine.accelerator or record.machine.processor,
                record.precision,
                "×".join(map(str, record.image_shape)),
                f"{record.classes:,}",
                f"{record.images['train']:,}",
                f"{record.images.get('test', 0):,}",
                str(record.seeds),
            )
            for label, record in zip(findings.labels, findings.studies, strict=True)
        )
        versions = sorted({f"{name} {at}" for record in findings.studies for name, at in record.versions.items()})
        caption = f"Pixels: height × width × channels. Versions: {', '.join(versions) or UNDEFINED}."
        return (TextTable(caption, self._HEADER, rows, 4),)


def pool_head(findings: PoolFindings, command: str = "") -> Head:
    """Return what stands around the sections."""
    return Head(
        kicker="Stepladder pool",
        title=f"{count(len(findings.studies), 'study').replace('studys', 'studies')} of {sets_of(findings)}",
        command=command or shlex.join(["stepladder", "pool", *map(str, findings.sources)]),
        question="What does each technique do in general, and what will it probably do on a new image set?",
    )


def describe_pool(findings: PoolFindings) -> list[str]:
    """Return what the studies say together and what they cannot say, a sentence or two an item."""
    scale = Scale(findings.unit)
    sentences = [describe_technique(scale, one) for one in findings.techniques]
    if not findings.techniques:
        sentences.append(
            f"Nothing is pooled: no two image sets have the same contrast ({sets_of(findings)}, "
            f"{count(len(findings.left_out), 'contrast')})."
        )
    else:
        sentences = [_headline(findings), *sentences]
        sentences.append(
            "Each interval is of 95 %, for itself. The mean is of these sets; what counts for your images is the "
            "interval of a new set. It holds for sets like these, which somebody chose: they are no sample of all "
            f"image sets, and {sets_of(findings)} are few."
        )
    if findings.left_out:
        named = [f"{one.name} on {one.study} ({one.why})" for one in findings.left_out[:_MOST_NAMED]]
        more = len(findings.left_out) - _MOST_NAMED
        listed = "; ".join(named) + (f"; and {more} more" if more > 0 else "")
        sentences.append(f"Left out: {listed}.")
    return [*sentences, *findings.cautions]


def _headline(findings: PoolFindings) -> str:
    """Say first what to expect on a new set: what the predictions leave no doubt of, or that they leave it."""
    predicted = [one for one in findings.techniques if one.points.prediction is not None]
    helps = [one.name for one in predicted if one.direction > 0]
    hurts = [one.name for one in predicted if one.direction < 0]
    told = [f"{listing(helps)} will very probably help"] if helps else []
    told += [f"{listing(hurts)} will very probably hurt"] if hurts else []
    if told:
        by = " (by the odds ratios)" if all(one.odds is not None for one in predicted) else ""
        return f"On a new image set like these, {', and '.join(told)}{by}."
    if not predicted:
        return "So few image sets say nothing of a new one."
    return "No technique is certain to help or to hurt on a new image set like these."


def set_table(findings: PoolFindings) -> TextTable:
    """Return one row an effect and image set, with the odds ratio."""
    scale = Scale(findings.unit)
    rows = tuple(
        (
            one.name,
            member.label,
            member.effect.verdict or "no verdict",
            scale.difference(member.effect.mean),
            scale.interval(member.effect.interval),
            scale.value(member.effect.without),
            odds_ratio(member.effect.log_odds),
            str(member.effect.n),
            str(member.effect.epochs),
        )
        for one in findings.techniques
        for member in one.members
    )
    return TextTable(
        caption=(
            "Verdict and interval are those of the set's own study, adjusted for its comparisons. Without: the score "
            f"of the rung without the technique. {UNDEFINED} marks what is not defined."
        ),
        header=(
            "technique", "image set", "verdict", f"mean, {scale.step}", "interval", f"without, {scale.unit}",
            "odds ratio", "n", "epochs",
        ),
        rows=rows,
        text_columns=3,
    )  # fmt: skip


def _alt(findings: PoolFindings, one: PooledTechnique) -> str:
    scale = Scale(findings.unit)
    each = [f"{member.label} {scale.difference(member.effect.mean)}" for member in one.members]
    return f"Forest plot of {one.name} in {scale.step}: {', '.join(each)}; {counted_words(one)}."
