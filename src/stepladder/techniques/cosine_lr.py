"""Cosine learning-rate decay."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from stepladder.techniques.base import SCHEDULE, Progress, Technique


class CosineLR(Technique):
    """lr · (floor + (1 − floor)·(1 + cos(π·t)) / 2), t being the share of the budget behind.

    Loshchilov and Hutter 2017, equation 5, without restarts and step by step, as torch's ``CosineAnnealingLR`` has it.
    """

    name = "cosine_lr"
    group = "learning rate"
    summary = "let the learning rate fall to zero along half a cosine"
    paper = "Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, section 3"
    caveat = "the budget must be known: a trial stopped half-way never had the low rate that settles it"
    cost = "nothing"
    interactions = "multiplies with warmup; excludes every other schedule of the whole budget"
    slot = SCHEDULE

    floor: Annotated[float, Field(ge=0, le=1, description="share of the learning rate that is left at the end")] = 0.0

    def lr_factor(self, progress: Progress) -> float:
        """Return where the half cosine is."""
        if self.floor == 1:
            return 1.0
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * progress.fraction)) / 2
