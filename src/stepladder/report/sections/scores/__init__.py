"""How scores that another program made were found and judged: columns, folders or commands, rules, time, versions."""

from __future__ import annotations

from typing import Any, assert_never

from stepladder.report.markdown import render_list
from stepladder.report.section import Section
from stepladder.report.sections.protocol import describe_readings, judged_by
from stepladder.report.sections.protocol import platform as describe_platform
from stepladder.report.units import count, duration
from stepladder.studies.findings import Findings


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
        values = self.values(findings)
        how, where = (
            render_list(f"{what}: {which}" for what, which in values[name]) for name in ("protocol", "platform")
        )
        return f"{how}\n\n### Versions and hardware\n\n{where}" if where else how


def facts(findings: Findings) -> list[tuple[str, str]]:
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
            source = "a command, run here once for each rung and seed"
        case _:
            assert_never(scores.source)
    seconds = findings.facts.costs.seconds
    return [
        ("Source", f"{source}: {record.data.name}"),
        *scores.columns.items(),
        ("Plan", f"{record.plan}: {count(len(record.rungs), 'rung')}, {count(len(record.seeds), 'seed')}"),
        ("Judged by", judged_by(findings)),
        *([("Test", describe_readings(findings.study))] if scores.reads_test else []),
        *([("Time", f"{duration(seconds)} in all runs")] if seconds else []),
        ("Started", record.created),
        ("Plan hash", record.plan_hash),
        (
            "Fingerprint of the scores" if scores.source != "command" else "Fingerprint of the command",
            record.data.fingerprint,
        ),
    ]
