"""The two figures of a study, for the page, the README and papers."""

from stepladder.report.figures.curves import draw_curves
from stepladder.report.figures.ladder import draw_ladder
from stepladder.report.figures.style import to_png, to_svg

__all__ = ["draw_curves", "draw_ladder", "to_png", "to_svg"]
