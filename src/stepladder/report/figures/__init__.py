"""The figures of a study, for the page, the README and papers."""

from stepladder.report.figures.curves import draw_curves
from stepladder.report.figures.effects import draw_forest, draw_shapley
from stepladder.report.figures.interactions import draw_interactions
from stepladder.report.figures.ladder import draw_ladder
from stepladder.report.figures.style import to_png, to_svg

__all__ = ["draw_curves", "draw_forest", "draw_interactions", "draw_ladder", "draw_shapley", "to_png", "to_svg"]
