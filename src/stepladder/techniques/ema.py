"""An exponential moving average of the weights."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.techniques.base import AVERAGE, Progress, Technique


class EMA(Technique):
    """averaged ← decay · averaged + (1 − decay) · current after every step; evaluation uses the average.

    Polyak and Juditsky 1992, section 1, with forgetting, as torch's ``get_ema_multi_avg_fn`` has it. With ``ramp`` the
    decay of step n is at most (1 + n) / (10 + n), as TensorFlow has it, so that short trials are not averages of their
    beginning: the average then looks back about a tenth of the steps so far. A decay of 0.999 is reached in step 8,990;
    in a shorter trial every larger one gives the same bits. Running statistics of a batch norm are averaged alike.
    """

    name = "ema"
    group = "loss and weights"
    summary = "evaluate a moving average of the weights"
    paper = "Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992, section 1"
    caveat = (
        "without ramp, a decay too close to 1 for the number of steps evaluates old weights: 0.999 looks back a "
        "thousand steps; with ramp, a trial of fewer than 8,990 steps never reaches 0.999, and more changes nothing"
    )
    cost = "0.2 ms a step on 1.2 million weights, and their memory twice"
    interactions = "does much of what a falling learning rate does; excludes swa"
    slot = AVERAGE

    decay: Annotated[float, Field(ge=0, lt=1, description="share of the average kept in each step")] = 0.999
    ramp: Annotated[
        bool,
        Field(description="lower decay in the first steps: at most (1 + n) / (10 + n) in step n, all of a short trial"),
    ] = True

    def weights(self, current: dict[str, Tensor], averaged: dict[str, Tensor], progress: Progress) -> None:
        """Move the average towards the current weights."""
        decay = min(self.decay, (1 + progress.step) / (10 + progress.step)) if self.ramp else self.decay
        if progress.step == 1 or decay == 0:
            decay = 0.0  # torch starts from the weights after the first step as well
        move(current, averaged, 1 - decay)


def move(current: dict[str, Tensor], averaged: dict[str, Tensor], share: float) -> None:
    """averaged ← averaged + share · (current − averaged), in place; what is no floating point is copied."""
    moving = [name for name, value in averaged.items() if value.is_floating_point()]
    for name in averaged.keys() - set(moving):
        averaged[name].copy_(current[name])
    if share == 1:
        torch._foreach_copy_([averaged[name] for name in moving], [current[name] for name in moving])
    else:
        torch._foreach_lerp_([averaged[name] for name in moving], [current[name] for name in moving], share)
