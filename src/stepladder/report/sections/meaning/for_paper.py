"""A paragraph of results to copy into a paper, and how to cite what it was made with."""

from __future__ import annotations

from stepladder.report.marks import WATCHED, figures_of, question, several_kinds, verdict_word
from stepladder.report.units import Scale, capital, count, listing
from stepladder.studies.findings import Findings

#: As in CITATION.cff.
_TITLE = "Stepladder: which training techniques help on your images, by how much, with intervals"


def paragraph_for_paper(findings: Findings) -> str:
    """Return the results in the words of a paper: data, n, spread, every difference with its interval, the method.

    Empty where there is nothing to print: before test is read, without an interval, of an edited plan, and of scores
    that another program made.
    """
    record, limits, scale = findings.study.record, findings.limits, Scale(findings.metric.unit)
    judged = [effect for effect in findings.effects if effect.interval is not None]
    if not (limits.read and judged) or limits.edited or findings.nothing_learned or record.scores is not None:
        return ""
    splits = listing([f"{images:,} {split}" for split, images in record.data.counts.items() if images])
    means = [
        f"{rung.rung} {scale.spread(rung.mean, rung.sd)} {scale.unit} (n = {rung.n})"
        for rung in findings.rungs
        if rung.mean is not None
    ]
    several = several_kinds(judged)
    differences = [
        f"{effect.name}{f' ({question(effect.design)})' if several else ''} {figures_of(scale, effect)}, "
        f"{verdict_word(effect)}"
        for effect in judged
    ]
    return " ".join(
        [
            f"{count(len(record.rungs), 'recipe')} were compared on {record.data.name} ({splits} images, "
            f"{len(record.data.class_names):,} classes) with Stepladder {record.versions.get('stepladder', '')}. "
            f"{_read(findings)}",
            f"{capital(findings.metric.label)}, mean ± standard deviation over n seeds: {'; '.join(means)}.",
            f"Mean differences {_paired(findings)}with {_level(findings)}: {'; '.join(differences)}.",
            *_odd(findings),
            f"The plan was fixed before the first trial (SHA-256 {record.plan_hash[:12]}).",
        ]
    )


def _odd(findings: Findings) -> list[str]:
    failed = len(findings.limits.failed)
    said = []
    if findings.study.record.resplit:
        said.append("Each seed drew its own split; intervals are widened for that (Nadeau and Bengio 2003).")
    if failed:
        said.append(f"{count(failed, 'trial')} failed and {'is' if failed == 1 else 'are'} counted.")
    return said


def citation(findings: Findings) -> str:
    """Return how to cite Stepladder and this plan, one line."""
    record = findings.study.record
    version = record.versions.get("stepladder")
    return f"The Stepladder authors. {_TITLE}.{f' Version {version}.' if version else ''} Plan {record.plan_hash[:12]}."


def _read(findings: Findings) -> str:
    readings = len(findings.study.readings)
    if findings.limits.watched_test:
        return f"There were {WATCHED}."
    if readings == 1:
        return "Test images were read once, after all training."
    return f"Test images were read {readings} times, at the looks of the plan."


def _paired(findings: Findings) -> str:
    return "over paired seeds " if all(effect.paired for effect in findings.effects) else ""


def _level(findings: Findings) -> str:
    together, interactions = findings.together, findings.interactions
    sure = f"{100 * (1 - findings.study.record.alpha):g} %"
    if max(together, interactions) == 1 and not (together and interactions):
        return f"a {sure} t-interval"
    over = listing(
        [f"{number} {what}" for number, what in ((together, "comparisons"), (interactions, "interactions")) if number]
    )
    looks = (
        ", at every look" if findings.study.record.spending == "open" or len(findings.study.record.looks) > 1 else ""
    )
    return f"simultaneous {sure} t-intervals (Bonferroni over {over}{looks})"
