"""Would more images help? What a curve says: its sentences, its figure and its table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from stepladder.report.marks import WATCHED
from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, count, interval, listing, mean_and_spread, percent, points
from stepladder.studies.judging.sizes import CurveFindings, PowerLaw


class SizesSection(Section[CurveFindings]):
    """Test accuracy by the number of training images, the power law through it, and what twice as many would bring."""

    key = "sizes"
    heading = "Would more images help?"

    def sentences(self, findings: CurveFindings) -> list[str]:
        """Return what more images would bring."""
        return describe_sizes(findings)

    def pictures(self, findings: CurveFindings) -> tuple[Picture, ...]:
        """Return accuracy by size; none before test was read."""
        from stepladder.report.sections.sizes.figure import draw_sizes

        each = [f"{size.images:,} images {percent(size.mean)}" for size in findings.sizes if size.mean is not None]
        if not each:
            return ()
        fitted = " with the fitted power law" if findings.law else ""
        alt = f"Test accuracy against training images{fitted}: {', '.join(each)}."
        return (Picture("sizes", partial(draw_sizes, findings), alt),)

    def tables(self, findings: CurveFindings) -> tuple[TextTable, ...]:
        """Return accuracy by size."""
        return (size_table(findings),)


def describe_sizes(findings: CurveFindings) -> list[str]:
    """Return what twice as many images would bring, and on what that rests."""
    study, law = findings.study, findings.law
    sentences = opening_sentences(findings)
    sentences += [f"Do not trust these figures: {study.edited}."] if study.edited else []
    if study.record.validation == 0:
        sentences.append(f"{WATCHED[0].upper()}{WATCHED[1:]}.")
    if failed := [f"{one.rung}, seed {one.seed}" for one in findings.facts.failed]:
        sentences.append(f"{count(len(failed), 'trial')} failed and counted as guessing: {listing(failed)}.")
    if findings.nothing_learned is not None and not study.missing and not study.unread:
        return [*sentences, "So nothing can be said of more images."]
    if law is not None:
        return [*sentences, *_gain(law), _fit(findings, law)]
    if study.missing:
        have = "has" if study.missing == 1 else "have"
        trials = f"{study.missing} of {count(study.record.planned_trials, 'trial')} {have} not ended"
        sentences.append(f"The curve is unfinished: {trials}. Test is read when all have.")
    elif study.unread:
        sentences.append("Test was not read yet, so there is nothing to fit.")
    else:
        sentences.append("There are too few trials to fit a curve.")
    return sentences


def _gain(law: PowerLaw) -> Iterator[str]:
    low, high = law.gain_interval
    yield (
        f"With twice the {law.images:,} training images, accuracy would change by about {points(law.gain)} points (95 "
        f"% interval {interval(law.gain_interval)}), if the power law goes on: the error would go from "
        f"{percent(law.error)} to about {percent(law.error - law.gain)}."
    )
    if high < 0:
        yield "On these sizes, more images made it worse."
    elif low <= 0:
        yield "The interval includes zero, so it is undecided whether more images help."


def _fit(findings: CurveFindings, law: PowerLaw) -> str:
    exponent = interval((law.exponent_interval[0] / 100, law.exponent_interval[1] / 100))
    sign = "+" if law.exponent < 0 else "−"
    sizes, seeds = count(len(findings.sizes), "size"), count(len(findings.study.record.seeds), "seed")
    return (
        f"Fitted: error = {law.scale:.3g} · images^{sign}{abs(law.exponent):.3f} (95 % interval of the exponent "
        f"{exponent}) over {sizes} × {seeds}. The fit has no floor: near an error that no number of images gets under, "
        "the gain would be smaller."
    )


def size_table(findings: CurveFindings) -> TextTable:
    """Return accuracy by size; the last row is the fit's."""
    law = findings.law
    rows = [
        (
            f"{size.images:,}",
            mean_and_spread(size.mean, size.sd),
            _fitted(law, size.images),
            str(len(size.scores)),
        )
        for size in findings.sizes
    ]
    last = ""
    if law is not None:
        rows.append((f"{2 * law.images:,}", UNDEFINED, _fitted(law, 2 * law.images), UNDEFINED))
        last = " The last row is the fit's."
    return TextTable(
        caption=f"Mean ± sample standard deviation over n seeds. Each size is within the next.{last}",
        header=("training images", "test accuracy, %", "fitted, %", "n"),
        rows=tuple(rows),
        text_columns=1,
    )


def _fitted(law: PowerLaw | None, images: int) -> str:
    return UNDEFINED if law is None else f"{100 * (1 - law.at(images)):.2f}"
