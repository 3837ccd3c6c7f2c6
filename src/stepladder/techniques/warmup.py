"""A gentle start of the learning rate."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Progress, Technique


class Warmup(Technique):
    """Raise the learning rate from ``start`` · lr to lr in a straight line over the first ``epochs``.

    Goyal et al. 2017, section 2.2; step by step, as torch's ``LinearLR`` has it.
    """

    name = "warmup"
    group = "learning rate"
    summary = "raise the learning rate in a straight line at the beginning"
    plain = (
        "Begin with a small learning rate and raise it to the full one within the first epoch. The first "
        "gradients of a fresh network are large and wild, and small steps keep it from diverging."
    )
    papers = (cite("goyal2017accurate", "section 2.2"),)
    differs = "one epoch from a tenth of the rate; the paper has five epochs from the rate of a single worker"
    caveat = "pays off where the first steps at the full rate diverge: large batches, high rates, no normalization"
    cost = "nothing"
    interactions = "multiplies with every schedule, which goes on counting from the first step"

    epochs: Annotated[float, Field(ge=0, le=10_000, description="length in epochs; parts of one count")] = 1.0
    start: Annotated[float, Field(ge=0, le=1, description="share of the learning rate in the first step")] = 0.1

    def check(self, context: Context) -> list[str]:
        """Refuse a warmup longer than the budget."""
        if self.epochs > context.epochs:
            raise RecipeError(
                f"warmup.epochs is {self.epochs:g} and the budget is {context.epochs} epochs, so the rate would never "
                f"be reached; choose at most {context.epochs}"
            )
        return []

    def lr_factor(self, progress: Progress) -> float:
        """Return how far up the line the step is."""
        steps = round(self.epochs * progress.steps_per_epoch)
        if progress.step >= steps:
            return 1.0
        return self.start + (1 - self.start) * progress.step / steps
