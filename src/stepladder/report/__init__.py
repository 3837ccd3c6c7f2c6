"""What a study or an audit says, in figures, tables and words. Reads saved results; never trains.

Its names are loaded when they are first used: an audit needs neither the figures nor torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.report.effect_tables import terminal_effects
    from stepladder.report.figures import draw_curves, draw_forest, draw_interactions, draw_ladder, draw_shapley
    from stepladder.report.page import write_report
    from stepladder.report.tables import rung_rows, terminal_table
    from stepladder.report.words import describe

_HOMES = {
    "describe": "words",
    "draw_curves": "figures",
    "draw_forest": "figures",
    "draw_interactions": "figures",
    "draw_ladder": "figures",
    "draw_shapley": "figures",
    "rung_rows": "tables",
    "terminal_effects": "effect_tables",
    "terminal_table": "tables",
    "write_report": "page",
}

__all__ = [
    "describe",
    "draw_curves",
    "draw_forest",
    "draw_interactions",
    "draw_ladder",
    "draw_shapley",
    "rung_rows",
    "terminal_effects",
    "terminal_table",
    "write_report",
]

__getattr__ = lazy_names(__name__, _HOMES)
