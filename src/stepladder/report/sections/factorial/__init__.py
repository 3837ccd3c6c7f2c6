"""Of a factorial: which techniques the gain comes from, and which of them interact."""

from __future__ import annotations

from functools import partial

from stepladder.report.section import Picture, Section
from stepladder.report.sections.effects import describe_effects
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.findings import Findings


class FactorialSection(Section[Findings]):
    """Shapley values and interactions."""

    key = "factorial"
    heading = "Which techniques the gain comes from, and which interact"
    short = "Shares of the gain"

    def applies(self, findings: Findings) -> bool:
        """Whether the plan asks for either, and any trial learned something."""
        return findings.nothing_learned is None and any(
            effect.design in (ContrastKind.SHAPLEY, ContrastKind.INTERACTION) for effect in findings.effects
        )

    def pictures(self, findings: Findings) -> tuple[Picture, ...]:
        """Return the bars and the matrix, each where the plan has it."""
        from stepladder.report.sections.factorial.figure import draw_interactions, draw_shapley

        found = []
        if shares := [effect for effect in findings.effects if effect.design is ContrastKind.SHAPLEY]:
            alt = describe_effects("Bars of the Shapley values", findings, shares)
            found.append(Picture("shapley", partial(draw_shapley, findings), alt))
        if interactions := [effect for effect in findings.effects if effect.is_interaction]:
            alt = describe_effects("Matrix of the interactions", findings, interactions)
            found.append(Picture("interactions", partial(draw_interactions, findings), alt))
        return tuple(found)
