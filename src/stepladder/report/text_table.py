"""Moved to ``section``; here until all that import it have followed."""

from stepladder.report.section import TextTable as TextTable
