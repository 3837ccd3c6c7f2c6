"""Would more images help? What a curve says: its sentences, its figure and its table."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from stepladder.report.marks import WATCHED
from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, Scale, capital, count, interval, listing, percent, points
from stepladder.studies.files.records import Ending
from stepladder.studies.judging.power_law import PowerLaw
from stepladder.studies.judging.sizes import CurveFindings, SizeResult, has_law


class SizesSection(Section[CurveFindings]):
    """What decides, by the number of training images, the power law through it, and what twice as many would bring."""

    key = "sizes"
    heading = "Would more images help?"

    def sentences(self, findings: CurveFindings) -> list[str]:
        """Return what more images would bring."""
        return describe_sizes(findings)

    def pictures(self, findings: CurveFindings) -> tuple[Picture, ...]:
        """Return the metric by size; none before test was read."""
        from stepladder.report.sections.sizes.figure import draw_sizes

        scale = Scale(findings.metric.unit)
        each = [f"{name_size(size)} {scale.full(size.mean)}" for size in findings.sizes if size.mean is not None]
        if not each:
            return ()
        fitted = " with the fitted power law" if findings.law else ""
        alt = f"{capital(findings.metric.label)} against training images{fitted}: {', '.join(each)}."
        return (Picture("sizes", partial(draw_sizes, findings), alt),)

    def tables(self, findings: CurveFindings) -> tuple[TextTable, ...]:
        """Return the metric by size."""
        return (size_table(findings),)


def describe_sizes(findings: CurveFindings) -> list[str]:
    """Return what twice as many images would bring, and on what that rests."""
    study, law = findings.study, findings.law
    sentences = opening_sentences(findings)
    sentences += [f"Do not trust these figures: {study.edited}."] if study.edited else []
    if study.record.validation == 0 and not findings.of_command:
        sentences.append(f"{capital(WATCHED)}.")
    if findings.of_command:
        sentences += _failed_runs(findings)
    elif failed := [f"{one.rung}, seed {one.seed}" for one in findings.facts.failed]:
        sentences.append(f"{count(len(failed), 'trial')} failed and counted as guessing: {listing(failed)}.")
    if findings.nothing_learned is not None and not study.missing and not study.unread:
        return [*sentences, "So nothing can be said of more images."]
    if law is not None:
        told = [*_gain(findings, law), *_left_out(findings), *_off(findings, law)]
        return [*sentences, *told, _fit(findings, law), _budget(findings)]
    if study.missing:
        have = "has" if study.missing == 1 else "have"
        trials = f"{study.missing} of {count(study.record.planned_trials, 'trial')} {have} not ended"
        sentences.append(f"The curve is unfinished: {trials}. Test is read when all have.")
    elif study.unread:
        sentences.append("Test was not read yet, so there is nothing to fit.")
    else:
        sentences += [_not_fitted(findings), _budget(findings)]
    return sentences


def _failed_runs(findings: CurveFindings) -> Iterator[str]:
    """Of a command, what diverged has a score that was agreed on, and what failed otherwise has none."""
    for diverged, what in ((True, f"diverged and counted as {_guessing(findings)}"), (False, "failed and left out")):
        failed = [
            f"{one.rung}, seed {one.seed}"
            for one in findings.facts.failed
            if (one.ending is Ending.DIVERGED) is diverged
        ]
        if failed:
            yield f"{count(len(failed), 'run')} {what}: {listing(failed)}."


def _gain(findings: CurveFindings, law: PowerLaw) -> Iterator[str]:
    metric = findings.metric
    low, high = law.gain_interval
    twice = "training images" if findings.of_command else f"{law.images:,} training images"
    tested = "the same" if findings.of_command else "as many"
    what, ends = "the error", (law.error, law.predicted)
    if metric.name != "accuracy":
        what, ends = "it", (1 - law.error, 1 - law.predicted)
    yield (
        f"With twice the {twice}, {metric.label.removeprefix('test ')} would change by about "
        f"{points(law.gain)} points ({100 * law.confidence:.0f} % interval {interval(law.gain_interval)}): {what} "
        f"would go from {percent(ends[0])}, as measured, to about {percent(ends[1])}. The interval is for what would "
        f"be measured, by as many seeds on {tested} test images."
    )
    if high < 0:
        yield "On these sizes, more images made it worse."
    elif low <= 0:
        yield "The interval includes zero, so it is undecided whether more images help."


def _left_out(findings: CurveFindings) -> Iterator[str]:
    if findings.at_chance:
        left = _listed(findings.at_chance, Scale(findings.metric.unit))
        yield f"No better than {_floor(findings)} ({_guessing(findings)}), and so left out of the fit: {left}."


def _off(findings: CurveFindings, law: PowerLaw) -> Iterator[str]:
    """What a fit must not pass over: sizes that it misses."""
    if law.off:
        names = {size.amount: name_size(size) for size in findings.sizes}
        missed = [
            f"{names[size.images]}, error {percent(size.measured)} measured and {percent(size.fitted)} fitted"
            for size in law.off
        ]
        explain = "seeds explain" if findings.of_command else "seeds and test images explain"
        yield (
            f"The law misses {count(len(missed), 'size')} by more than {explain}, which the interval allows for: "
            f"{listing(missed)}."
        )


def _fit(findings: CurveFindings, law: PowerLaw) -> str:
    low, high = (f"{end:.2f}".replace("-", "−") for end in law.exponent_interval)
    sizes, seeds = count(len(law.sizes), "size"), count(len(findings.study.record.seeds), "seed")
    sign = "+" if law.exponent < 0 else "−"
    begins = percent(1 - findings.guess) if findings.of_command else "guessing"
    return (
        f"Fitted over {sizes} × {seeds}: an error that begins at {begins} and falls as images^{sign}"
        f"{abs(law.exponent):.2f} ({100 * law.confidence:.0f} % interval of the exponent {low} to {high}). Laws with a "
        f"floor, an error that no number of images gets under, have {100 * law.floor_weight:.0f} % of the weight."
    )


def _not_fitted(findings: CurveFindings) -> str:
    above = [size for size in findings.sizes if size.scores and not size.at_chance]
    if findings.of_command and not any(size.scores for size in findings.sizes):
        return "No run has a score, so nothing was fitted."
    guessing = f"{_floor(findings)}, {_guessing(findings)}"
    if above and not has_law(findings.metric):
        return (
            f"{capital(findings.metric.label)} is no share that is 1 at best, so no power law is fitted to it: the "
            "table has the sizes."
        )
    if not above:
        return f"No size is better than {guessing}, so nothing was fitted: use more images, or train longer."
    if findings.sizes[-1].at_chance:
        return f"The largest size is no better than {guessing}, so nothing was fitted: look at its training first."
    return (
        f"Only one size is better than {guessing} ({_listed(tuple(above), Scale(findings.metric.unit))}), and a fit "
        "takes two: use more images, or train longer."
    )


def _floor(findings: CurveFindings) -> str:
    """What the law begins at: of a command nobody knows what guessing has, unless that is what diverging counts as."""
    return "what a run that diverged counts as" if findings.of_command else "guessing"


def _guessing(findings: CurveFindings) -> str:
    return Scale(findings.metric.unit).full(findings.guess)


def _listed(sizes: tuple[SizeResult, ...], scale: Scale) -> str:
    told = [f"{name_size(size)}, {scale.full(size.mean)}" for size in sizes if size.mean is not None]
    return listing(told)


def _budget(findings: CurveFindings) -> str:
    """How long each size was trained: with equal epochs, part of what more images bring is more steps."""
    if findings.of_command:
        return (
            "How long the command trains on each size is its own: with equal epochs, part of what more images bring is "
            "more steps."
        )
    small, large = findings.sizes[0], findings.sizes[-1]
    if findings.equal_steps:
        return (
            f"Equal steps: {small.images:,} images took {count(small.steps, 'step')} in "
            f"{count(small.epochs, 'epoch')}, {large.images:,} took {large.steps:,} in {large.epochs:,}."
        )
    return (
        f"Equal epochs, {large.epochs:,} of them: {small.images:,} images took {count(small.steps, 'step')}, "
        f"{large.images:,} took {large.steps:,}, so part of the gain is that of more steps."
    )


def name_size(size: SizeResult) -> str:
    """Return a size in words: so many images, or so much of the training images where nobody told their number."""
    return f"{100 * size.share:g} % of the images" if size.images is None else f"{size.images:,} images"


def size_table(findings: CurveFindings) -> TextTable:
    """Return the metric by size; the last row is what twice the images would bring."""
    law, metric, scale = findings.law, findings.metric, Scale(findings.metric.unit)
    fitted = {} if law is None else {size.images: f"{100 * (1 - size.fitted):.2f}" for size in law.sizes}
    known = not findings.of_command
    rows = [
        (
            f"{100 * size.share:g}" if size.images is None else f"{size.images:,}",
            UNDEFINED if size.mean is None else scale.spread(size.mean, size.sd),
            "at chance" if size.at_chance else fitted.get(size.amount, UNDEFINED),
            *((f"{size.epochs:,}", f"{size.steps:,}") if known else ()),
            str(len(size.scores)),
        )
        for size in findings.sizes
    ]
    last = ""
    if law is not None:
        high, low = (100 * (1 - end) for end in law.interval)
        then = f"{100 * (1 - law.predicted):.2f} [{low:.2f}, {high:.2f}]"
        twice = f"{2 * law.images:,}" if known else f"{200 * law.images:g}"
        rows.append((twice, UNDEFINED, then, *((UNDEFINED, UNDEFINED) if known else ()), UNDEFINED))
        last = f" The last row is what would be measured, with its {100 * law.confidence:.0f} % interval."
    nested = " Each size is within the next." if known else ""
    return TextTable(
        caption=f"Mean ± sample standard deviation over n seeds.{nested}{last}",
        header=(
            "training images" if known else "training images, %",
            f"{metric.label}, {scale.unit}",
            f"fitted, {scale.unit}",
            *(("epochs", "steps") if known else ()),
            "n",
        ),
        rows=tuple(rows),
        text_columns=1,
    )
