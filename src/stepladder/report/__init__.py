"""What a study says, in figures, tables and words. Reads saved results; never trains."""

from stepladder.report.figures import draw_curves, draw_ladder
from stepladder.report.page import write_report
from stepladder.report.tables import ladder_rows, terminal_table
from stepladder.report.words import describe

__all__ = ["describe", "draw_curves", "draw_ladder", "ladder_rows", "terminal_table", "write_report"]
