"""What the curves of each rung show, by the fixed rules of ``judging.diagnosis``."""

from __future__ import annotations

from stepladder.report.section import Section, TextTable
from stepladder.report.units import UNDEFINED
from stepladder.studies.findings import Findings


class DiagnosisSection(Section[Findings]):
    """A row a finding."""

    key = "diagnosis"
    heading = "What the curves show"

    def tables(self, findings: Findings) -> tuple[TextTable, ...]:
        """Return the findings, where any trial has ended."""
        rows = tuple(
            (diagnosis.rung, finding.name, finding.evidence, finding.experiment or UNDEFINED)
            for diagnosis in findings.diagnosis
            for finding in diagnosis.findings
        )
        if not rows:
            return ()
        return (
            TextTable(
                caption=(
                    "By fixed rules on the mean curves over the finished seeds, in evaluation mode on plain images; "
                    "docs/statistics.md has the rules. They describe, and choose nothing."
                ),
                header=("rung", "finding", "evidence", "worth trying next"),
                rows=rows,
                text_columns=4,
            ),
        )
