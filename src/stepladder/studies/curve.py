"""Would more images help? A curve is a plan: one recipe on a tenth, a fifth, a half and all of the training images."""

from __future__ import annotations

from stepladder.recipe import Recipe
from stepladder.studies.design.designs import Design
from stepladder.studies.design.rungs import Rung

#: What ``study.json`` calls a curve, beside the names of designs.
CURVE = "curve"

#: Shares of the training images, each within the next.
SHARES = (0.1, 0.2, 0.5, 1.0)


def curve_design(recipe: Recipe) -> Design:
    """Return the plan of a curve: a rung a size, which is named once the images are counted, and nothing to compare.

    Every size keeps the epochs of the recipe, so a small one takes fewer steps.
    """
    adds = tuple(setting.name for setting in recipe.techniques)
    return Design(CURVE, tuple(Rung("", adds, recipe, share=share) for share in SHARES))
