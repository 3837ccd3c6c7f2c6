"""What a study or an audit says, in figures, tables and words. Reads findings and computes nothing.

Its names are loaded when they are first used: an audit needs neither the figures nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.report.document import build_document
    from stepladder.report.sections.curves.figure import draw_curves
    from stepladder.report.sections.effects import terminal_effects
    from stepladder.report.sections.effects.figure import draw_forest
    from stepladder.report.sections.factorial.figure import draw_interactions, draw_shapley
    from stepladder.report.sections.ladder import terminal_table
    from stepladder.report.sections.ladder.figure import draw_ladder
    from stepladder.report.sections.meaning import describe
    from stepladder.report.write import write_page, write_report

_HOMES = {
    "build_document": "document",
    "describe": "sections.meaning",
    "draw_curves": "sections.curves.figure",
    "draw_forest": "sections.effects.figure",
    "draw_interactions": "sections.factorial.figure",
    "draw_ladder": "sections.ladder.figure",
    "draw_shapley": "sections.factorial.figure",
    "terminal_effects": "sections.effects",
    "terminal_table": "sections.ladder",
    "write_page": "write",
    "write_report": "write",
}

__all__ = [
    "build_document",
    "describe",
    "draw_curves",
    "draw_forest",
    "draw_interactions",
    "draw_ladder",
    "draw_shapley",
    "terminal_effects",
    "terminal_table",
    "write_page",
    "write_report",
]

__getattr__ = lazy_names(__name__, _HOMES)
