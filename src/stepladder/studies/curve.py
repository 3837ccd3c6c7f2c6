"""Would more images help? A curve is a plan: one recipe on a tenth, a fifth, a half and all of the training images."""

from __future__ import annotations

from typing import Literal, get_args

from stepladder.errors import StudyError, unknown
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import Design
from stepladder.studies.design.rungs import Rung
from stepladder.training.assembly import count_steps

#: What ``study.json`` calls a curve, beside the names of designs.
CURVE = "curve"

#: Shares of the training images, each within the next.
SHARES = (0.1, 0.2, 0.5, 1.0)

#: What every size of a curve has as much of as the largest: passes over its images, or steps.
Budget = Literal["epochs", "steps"]

#: What ``study.json`` notes of a curve whose sizes have equal steps; equal epochs are the rule and not noted.
EQUAL_STEPS = "Every size takes as many steps as the largest, and so more epochs the fewer images it has."


def check_budget(budget: str) -> None:
    """Refuse a budget that there is not.

    Raises:
        StudyError: it is none.
    """
    if budget not in get_args(Budget):
        raise StudyError(unknown("budget", budget, get_args(Budget)))


def curve_design(recipe: Recipe, budget: Budget = "epochs") -> Design:
    """Return the plan of a curve: a rung a size, which is named once the images are counted, and nothing to compare.

    Args:
        budget: ``epochs``: every size keeps the epochs of the recipe, so a small one takes fewer steps; ``steps``:
            every size takes as many steps as the largest (:func:`with_equal_steps`).

    Raises:
        StudyError: there is no such budget.
    """
    check_budget(budget)
    adds = tuple(setting.name for setting in recipe.techniques)
    steps = budget == "steps"
    rungs = tuple(Rung("", adds, recipe, share=share, equal_steps=steps and share < 1) for share in SHARES)
    return Design(CURVE, rungs, notes=(EQUAL_STEPS,) if steps else ())


def with_equal_steps(recipe: Recipe, images: int, most: int) -> Recipe:
    """Return the recipe with the epochs that on ``images`` are as many steps as its own on ``most``, at least one."""
    steps = recipe.epochs * count_steps(most, recipe.batch_size)
    return recipe.model_copy(update={"epochs": max(1, round(steps / count_steps(images, recipe.batch_size)))})
