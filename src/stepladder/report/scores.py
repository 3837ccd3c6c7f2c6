"""What is said of scores that another program made: what is odd about them, and what nobody can know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stepladder.report.units import count, listing
from stepladder.studies.findings import AnyFindings, Findings, find_constants


def describe_scores(findings: Findings) -> list[str]:
    """Return what a reader must know before any figure, a sentence or two an item."""
    scores = findings.study.record.scores
    assert scores is not None
    sentences = list(scores.notes)
    constant = find_constants(findings.rungs)
    if constant:
        one = len(constant) == 1
        sentences.append(
            f"All seeds of {listing(list(constant))} have {'one' if one else 'each one'} score, to the last digit: the "
            "program may not use its seed. Two such rungs are compared by nothing but one run each, so there is no "
            "verdict on them."
        )
    if unpaired := [effect.name for effect in findings.effects if not effect.paired]:
        why = (
            "its rungs share no two seeds"
            if scores.paired
            else "nothing says that a seed means the same in both of its rungs"
        )
        sentences.append(
            f"Not paired: {listing(unpaired)}. The comparison is of two means (Welch's t-test), as {why}; with shared "
            "seeds it would take fewer of them."
        )
    if single := [rung.rung for rung in findings.rungs if rung.n == 1] if len(findings.study.record.seeds) > 1 else []:
        sentences.append(f"{listing(single)} {'has' if len(single) == 1 else 'have'} one seed, which shows no spread.")
    sentences += describe_untold(findings)
    uneven = {rung.n for rung in findings.rungs if rung.n > 1}
    if len(uneven) > 1 and scores.paired:
        each = ", ".join(f"{rung.rung} {rung.n}" for rung in findings.rungs)
        sentences.append(
            f"Not every rung has every seed ({each}). A comparison uses the seeds that both of its rungs have."
        )
    return sentences


def describe_untold(findings: AnyFindings) -> list[str]:
    """Return why runs of a command have no curve that they promised, a sentence each."""
    return [
        f"{count(runs, 'run')} {'has' if runs == 1 else 'have'} no curve: {reason}."
        for reason, runs in findings.facts.warnings
    ]


def describe_unknown(findings: Findings) -> list[str]:
    """Return what scores cannot tell of how they were made, one sentence; nothing of what was made here."""
    scores = findings.study.record.scores
    if scores is None:
        return []
    sentences = []
    if scores.tried is not None:
        sentences.append(
            f"{count(scores.tried, 'comparison')} were tried, {len(findings.effects)} of which are shown; every "
            "interval is adjusted for all of them."
        )
    if scores.source == "command":
        if not scores.reads_test:
            sentences.append(
                "The command read test in every run: nothing here can tell whether it was used to choose anything."
            )
        return sentences
    untold = (
        ""
        if scores.tried is not None
        else " and how many variants were tried and are not shown (`tried=40` adjusts for them)"
    )
    sentences.append(f"Scores cannot tell whether test was read before{untold}.")
    return sentences


#: Raised with every change of the document that a reader of the earlier one would misread.
JUDGMENT_VERSION = 1


def judgment_document(findings: Findings) -> dict[str, Any]:
    """Return what was judged as plain values, as ``judge.schema.json`` beside this file describes them."""
    from stepladder.report.sections.meaning import describe

    record = findings.study.record
    scores = record.scores
    assert scores is not None
    return {
        "version": JUDGMENT_VERSION,
        "source": {"kind": scores.source, "name": record.data.name, "fingerprint": record.data.fingerprint},
        "metric": {"name": record.metric, "share": scores.share, "higher_is_better": scores.higher_is_better},
        "columns": dict(scores.columns),
        "notes": list(scores.notes),
        "plan": record.plan,
        "alpha": record.alpha,
        "smallest_effect": record.smallest_effect,
        "comparisons": findings.together,
        "rungs": [
            {
                "name": rung.rung,
                "n": rung.n,
                "mean": rung.mean,
                "sd": rung.sd,
                "interval": None if rung.interval is None else list(rung.interval),
                "validation": rung.validation,
                "failed": list(rung.failed),
                "scores": {str(seed): value for seed, value in rung.scores.items()},
            }
            for rung in findings.rungs
        ],
        "effects": [
            {
                "name": effect.name,
                "rung": effect.rung,
                "below": effect.below,
                "verdict": effect.verdict,
                "mean": effect.mean,
                "sd": effect.sd,
                "interval": None if effect.interval is None else list(effect.interval),
                "level": effect.level,
                "p_value": effect.p_value,
                "n": effect.n,
                "paired": effect.paired,
                "differences": {str(seed): value for seed, value in effect.differences.items()},
                "detectable": effect.detectable,
                "seeds_needed": effect.seeds_needed,
            }
            for effect in findings.effects
        ],
        "recommended": findings.choice.rung,
        "summary": describe(findings),
    }


def judgment_schema() -> str:
    """Return the JSON schema of :func:`judgment_document`, as text."""
    return Path(__file__).with_name("judge.schema.json").read_text(encoding="utf-8")
