"""An exponential moving average of the weights."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import AVERAGE, Context, Progress, Technique


class EMA(Technique):
    """averaged ← decay · averaged + (1 − decay) · current after every step; evaluation uses the average.

    Polyak and Juditsky 1992, with forgetting, as torch's ``get_ema_multi_avg_fn`` has it. With ``ramp`` the
    decay of step n is at most (1 + n) / (10 + n), as TensorFlow has it, so that short trials are not averages of their
    beginning: the average then looks back about a tenth of the steps so far. A decay of 0.999 is reached in step 8,990;
    in a shorter trial every larger one gives the same bits. Running statistics of a batch norm are averaged alike.
    """

    name = "ema"
    group = "loss and weights"
    summary = "evaluate a moving average of the weights"
    plain = (
        "Keep a running average of the weights beside those that train, and evaluate the average. The weights "
        "jump about from step to step, and their average lies closer to the middle of where they jump."
    )
    papers = (cite("polyak1992acceleration"),)
    differs = (
        "the average forgets: a step counts less the longer ago it was, where the paper's mean counts all alike; "
        "the first steps count least, by a ramp as TensorFlow has it"
    )
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

    def check(self, context: Context) -> list[str]:
        """Warn of a decay that the ramp does not reach within the budget; the default asks for none in particular."""
        steps = context.epochs * context.steps_per_epoch
        last = (1 + steps) / (10 + steps)
        if not self.ramp or self.decay <= last or self.decay == type(self).model_fields["decay"].default:
            return []
        needed = math.ceil(round((10 * self.decay - 1) / (1 - self.decay), 6))  # 89,990 and not a rounding above it
        return [
            f"ema.decay is {self.decay:g} and is never reached: its ramp ends at {last:.4g} after {steps:,} steps, so "
            f"that every larger decay gives the same result; choose at most {math.floor(1000 * last) / 1000:g}, set "
            f"ema.ramp=false, or train for {needed:,} steps"
        ]

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
