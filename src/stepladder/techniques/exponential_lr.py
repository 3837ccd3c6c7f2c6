"""Exponential learning-rate decay."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.techniques.base import SCHEDULE, Progress, Technique


class ExponentialLR(Technique):
    """lr ← lr · gamma after every epoch, so lr · gammaᵉ in epoch e (from 0), as torch's ``ExponentialLR`` has it.

    Szegedy et al. 2016, section 8, multiply by 0.94 every two epochs. The rates of all epochs together stay finite,
    where theory wants their sum to grow without end (Goodfellow et al. 2016, section 8.3.1): in a long budget it stops
    early.
    """

    name = "exponential_lr"
    group = "learning rate"
    summary = "multiply the learning rate by gamma after every epoch"
    plain = (
        "Multiply the learning rate by a number a little below 1 after every epoch. Large steps at first find the "
        "right region quickly, and small steps later settle into it."
    )
    papers = (cite("szegedy2016rethinking", "section 8"),)
    differs = "0.95 after every epoch; the paper has 0.94 after every second one"
    caveat = "with a small gamma the rate is gone before the budget is; 0.95 leaves 36 % after 20 epochs"
    cost = "nothing"
    interactions = "multiplies with warmup; excludes every other schedule of the whole budget"
    slot = SCHEDULE

    gamma: Annotated[float, Field(gt=0, le=1, description="factor of the learning rate after each epoch")] = 0.95

    def lr_factor(self, progress: Progress) -> float:
        """Return gamma to the number of full epochs behind."""
        return self.gamma**progress.epoch
