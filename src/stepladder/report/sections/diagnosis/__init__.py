"""What the curves of each rung show, by the table of states of ``judging.diagnosis``, and what to try next."""

from __future__ import annotations

from stepladder.report.section import Section, TextTable
from stepladder.report.units import UNDEFINED
from stepladder.studies.findings import Findings


class DiagnosisSection(Section[Findings]):
    """A row a rung."""

    key = "diagnosis"
    heading = "What the curves show"

    def tables(self, findings: Findings) -> tuple[TextTable, ...]:
        """Return the states, where any trial has ended."""
        rows = tuple((one.rung, one.state, one.evidence, one.advice or UNDEFINED) for one in findings.diagnosis)
        if not rows:
            return ()
        return (
            TextTable(
                caption=(
                    "One state a rung, by fixed rules on the mean curves over the finished seeds; ± is two standard "
                    "errors. docs/report.md has the rules with their sources. No two rungs get opposed advice."
                ),
                header=("rung", "state", "evidence", "what to try next"),
                rows=rows,
                text_columns=4,
            ),
        )
