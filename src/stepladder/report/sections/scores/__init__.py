"""How scores that another program made were found and judged: columns, folders or commands, rules, time, versions."""

from __future__ import annotations

from typing import Any, TypeVar, assert_never

from stepladder.report.markdown import render_list
from stepladder.report.section import Section
from stepladder.report.sections.protocol import describe_readings, judged_by, rules_of_curve, rules_of_sweep
from stepladder.report.sections.protocol import platform as describe_platform
from stepladder.report.units import count, duration
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings

_Found = TypeVar("_Found", SweepFindings, CurveFindings)


class ScoresSection(Section[Findings]):
    """What someone needs to judge how far scores can be believed."""

    key = "protocol"
    heading = "How it was done"

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return both lists of facts."""
        own = findings.study.record.scores
        ran_here = own is not None and own.source == "command"
        return {"protocol": facts(findings), "platform": describe_platform(findings.study.record) if ran_here else []}

    def markdown(self, findings: Findings) -> str:
        """Return the lists of facts."""
        return _as_markdown(self.values(findings))


class CommandScoresSection(Section[_Found]):
    """What someone needs to judge how far a sweep or a curve of a command can be believed."""

    key = "protocol"
    heading = "How it was done"

    def values(self, findings: _Found) -> dict[str, Any]:
        """Return both lists of facts."""
        return {"protocol": facts(findings), "platform": describe_platform(findings.study.record)}

    def markdown(self, findings: _Found) -> str:
        """Return the lists of facts."""
        return _as_markdown(self.values(findings))


def _as_markdown(values: dict[str, Any]) -> str:
    how, where = (render_list(f"{what}: {which}" for what, which in values[name]) for name in ("protocol", "platform"))
    return f"{how}\n\n### Versions and hardware\n\n{where}" if where else how


def facts(findings: AnyFindings) -> list[tuple[str, str]]:
    """Return where the scores come from and how they were judged, as (what, how) pairs."""
    record = findings.study.record
    scores = record.scores
    assert scores is not None
    match scores.source:
        case "table":
            source = "a table of scores"
        case "runs":
            source = "folders that training programs wrote"
        case "command":
            source = f"a command, run here once for each {_noun(findings)} and seed"
        case _:
            assert_never(scores.source)
    seconds = findings.facts.costs.seconds
    reads = "in every run, by the command itself"
    test = [("Test", describe_readings(findings.study) if scores.reads_test else reads)]
    match findings:
        case Findings():
            rules = [("Judged by", judged_by(findings))]
            test = test if scores.reads_test else []
        case SweepFindings():
            rules = rules_of_sweep(findings)
            test = [("Test", "no part of it: a sweep chooses by val alone, and keeps no test score")]
        case CurveFindings():
            rules = rules_of_curve(findings)
        case _:
            assert_never(findings)
    return [
        ("Source", f"{source}: {record.data.name}"),
        *scores.columns.items(),
        ("Plan", f"{record.plan}: {count(len(record.rungs), _noun(findings))}, {count(len(record.seeds), 'seed')}"),
        *rules,
        *test,
        *([("Time", f"{duration(seconds)} in all runs")] if seconds else []),
        ("Started", record.created),
        ("Plan hash", record.plan_hash),
        (
            "Fingerprint of the scores" if scores.source != "command" else "Fingerprint of the command",
            record.data.fingerprint,
        ),
    ]


def _noun(findings: AnyFindings) -> str:
    match findings:
        case Findings():
            return "rung"
        case SweepFindings():
            return "point"
        case CurveFindings():
            return "size"
        case _:
            assert_never(findings)
