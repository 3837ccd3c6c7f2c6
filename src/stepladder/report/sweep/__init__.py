"""What a sweep says: sentences, tables and its page. It chooses by validation; nothing here knows a test figure."""

from stepladder.report.sweep.page import write_sweep
from stepladder.report.sweep.tables import terminal_points
from stepladder.report.sweep.words import describe_sweep

__all__ = ["describe_sweep", "terminal_points", "write_sweep"]
