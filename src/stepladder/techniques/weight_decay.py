"""Weights that shrink unless the data hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique


class WeightDecay(Technique):
    """Add ``amount`` · w to the gradient of every weight w, the gradient of amount / 2 · |w|² (Krogh and Hertz 1991).

    As torch's optimizers have it under ``weight_decay``, or, ``decoupled``, as AdamW has it: w ← w − lr·amount·w beside
    the step (Loshchilov and Hutter 2019, section 2), which an optimizer that rescales gradients does not undo.
    """

    name = "weight_decay"
    group = "loss and weights"
    regularizes = True
    summary = "shrink every weight a little in every step"
    plain = (
        "Make every weight a tiny bit smaller in every step, unless the images hold it up. Small weights make "
        "simpler functions, which fit noise less."
    )
    papers = (
        cite("krogh1991simple"),
        cite("loshchilov2019decoupled", "section 2"),
    )
    differs = (
        "decoupled, a step takes lr · amount of each weight, as torch's AdamW has it; Loshchilov and Hutter multiply "
        "the amount by the schedule alone, and not by the initial rate"
    )
    caveat = "its effect scales with the learning rate and the number of steps: after changing those, tune it again"
    cost = "0.1 ms a step on 1.2 million weights"
    interactions = (
        "before a normalization it regularizes by the effective learning rate alone (van Laarhoven 2017); put "
        "gradient_clipping before it; with adam and rmsprop set decoupled"
    )

    amount: Annotated[float, Field(ge=0, le=10, description="share of each weight, times the rate, lost in a step")] = (
        5e-4
    )
    decoupled: Annotated[bool, Field(description="beside the optimizer's step instead of through the gradient")] = False
    biases: Annotated[bool, Field(description="decay biases, scales and shifts too")] = True

    def before_step(self, parameters: Sequence[Tensor], lr: float | Tensor) -> None:
        """Add to the gradients, or shrink the weights."""
        if self.amount == 0:
            return
        weights = [weight for weight in parameters if self.biases or weight.ndim > 1]
        if self.decoupled:
            torch._foreach_mul_(weights, 1 - lr * self.amount)
        else:
            torch._foreach_add_(
                [weight.grad for weight in weights if weight.grad is not None], weights, alpha=self.amount
            )
