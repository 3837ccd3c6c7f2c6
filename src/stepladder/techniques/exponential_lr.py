"""Exponential learning-rate decay."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.techniques.base import SCHEDULE, Technique
from stepladder.techniques.facts import Progress


class ExponentialLR(Technique):
    """lr ← lr · gamma after every epoch, so lr · gammaᵉ in epoch e (from 0), as torch's ``ExponentialLR`` has it."""

    name = "exponential_lr"
    group = "learning rate"
    summary = "multiply the learning rate by gamma after every epoch"
    paper = "Goodfellow, Bengio and Courville, Deep Learning, 2016, section 8.3.1"
    caveat = "with a small gamma the rate is gone before the budget is; 0.95 leaves 38 % after 20 epochs"
    cost = "nothing"
    interactions = "multiplies with warmup; excludes every other schedule of the whole budget"
    slot = SCHEDULE

    gamma: Annotated[float, Field(gt=0, le=1, description="factor of the learning rate after each epoch")] = 0.95

    def lr_factor(self, progress: Progress) -> float:
        """Return gamma to the number of full epochs behind."""
        return self.gamma**progress.epoch
