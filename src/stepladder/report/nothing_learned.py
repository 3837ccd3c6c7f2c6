"""The first lines of a report of trials none of which learned anything: that, with the figures, and what to try."""

from __future__ import annotations

from typing import assert_never

from stepladder.report.units import count, percent
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.learning import NothingLearned
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings


def opening_sentences(findings: AnyFindings) -> list[str]:
    """Return what is said before anything else, tables too; empty where some trial learned something."""
    match findings:
        case Findings() | CurveFindings():
            found = findings.nothing_learned
            return [] if found is None else describe_nothing_learned(found, unfinished=findings.study.missing > 0)
        case SweepFindings():
            if not findings.nothing_learned:
                return []
            if findings.chance_level is None or findings.validation_images is None:  # another program measured
                return ["Nothing was learned: every run diverged, its score being no number."]
            images = count(findings.validation_images, "validation image")
            return [
                "Nothing was learned: every trial diverged or ended no better than guessing "
                f"({percent(findings.chance_level)} or less on {images}).",
                " ".join(findings.advice),
            ]
        case _:
            assert_never(findings)


def describe_nothing_learned(found: NothingLearned, *, unfinished: bool = False) -> list[str]:
    """Return that nothing was learned with its figures, and what to try, a paragraph each."""
    return [f"Nothing was learned{' so far' if unfinished else ''}: {found.evidence}.", " ".join(found.advice)]
