"""How the points of a sweep learned, epoch by epoch."""

from __future__ import annotations

from functools import partial

from stepladder.report.section import Picture, Section
from stepladder.report.sections.curves.axes import held_out_axes
from stepladder.studies.judging.points import SweepFindings


class SweepCurvesSection(Section[SweepFindings]):
    """Validation accuracy and loss by epoch, of every point."""

    key = "curves"
    heading = "Curves"

    def applies(self, findings: SweepFindings) -> bool:
        """Whether there are any: a command need not tell."""
        return bool(held_out_axes(findings))

    def pictures(self, findings: SweepFindings) -> tuple[Picture, ...]:
        """Return the curves of all points."""
        from stepladder.report.sections.sweep_curves.figure import draw_sweep_curves

        measured = " and ".join(axis.noun for axis in held_out_axes(findings).values())
        keys = " and ".join(axis.key for axis in findings.sweep.axes)
        alt = f"Validation {measured} by epoch for every point of {keys}."
        return (Picture("curves", partial(draw_sweep_curves, findings), alt),)
