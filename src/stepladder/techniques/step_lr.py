"""The learning rate in steps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import SCHEDULE, Context, Progress, Technique


class StepLR(Technique):
    """lr ← lr · gamma after every ``every`` epochs, as torch's ``StepLR`` has it (He et al. 2016, section 4.2)."""

    name = "step_lr"
    group = "learning rate"
    summary = "divide the learning rate by ten every third of the budget"
    plain = (
        "Divide the learning rate by ten a few times during training. Each time the steps become small enough to "
        "settle into what the larger steps jumped over."
    )
    papers = (cite("he2016deep", "section 4.2"),)
    differs = "a step after every third of the budget; the paper has steps at a half and at three quarters of it"
    caveat = "a step that comes before the loss has settled costs accuracy; the places are settings to tune"
    cost = "nothing"
    interactions = "multiplies with warmup; excludes every other schedule of the whole budget"
    slot = SCHEDULE

    every: Annotated[
        int | None, Field(ge=1, description="epochs between the steps; by default a third of the budget, rounded up")
    ] = None
    gamma: Annotated[float, Field(gt=0, le=1, description="factor of the learning rate at each step")] = 0.1

    def check(self, context: Context) -> list[str]:
        """Refuse a first step that the budget does not reach."""
        if self.every is not None and self.every >= context.epochs:
            raise RecipeError(
                f"step_lr.every is {self.every} and the budget is {context.epochs} epochs, so the rate would never "
                f"change; choose at most {max(1, context.epochs - 1)}, or more epochs"
            )
        return []

    def lr_factor(self, progress: Progress) -> float:
        """Return gamma to the number of steps behind."""
        return float(self.gamma ** (progress.epoch // (self.every or -(-progress.epochs // 3))))
