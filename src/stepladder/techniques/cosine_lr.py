"""Cosine learning-rate decay."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.techniques.base import SCHEDULE, Progress, Technique


class CosineLR(Technique):
    """lr · (floor + (1 − floor)·(1 + cos(π·t)) / 2), t being the share of the budget behind.

    Loshchilov and Hutter 2017, equation 5, without restarts and step by step, as torch's ``CosineAnnealingLR`` has it.
    """

    name = "cosine_lr"
    group = "learning rate"
    summary = "let the learning rate fall to zero along half a cosine"
    plain = (
        "Let the learning rate fall slowly at first, faster in the middle, and slowly to zero at the end, like "
        "half a cosine. Most of the training uses large steps, and the last epochs settle the weights."
    )
    papers = (cite("loshchilov2017sgdr", "section 3, equation 5"),)
    differs = "one fall over the whole budget; the paper starts again several times"
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
