"""What a study says, in figures, tables and words. Reads saved results; never trains."""

from stepladder.report.effect_tables import terminal_effects
from stepladder.report.figures import draw_curves, draw_forest, draw_interactions, draw_ladder, draw_shapley
from stepladder.report.page import write_report
from stepladder.report.tables import rung_rows, terminal_table
from stepladder.report.words import describe

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
