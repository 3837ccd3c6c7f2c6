"""Some steps forward, one step back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Progress, Technique


class Lookahead(Technique):
    """Every ``every`` steps: slow ← slow + share · (fast − slow), and the weights that train go on from there.

    Zhang et al. 2019, algorithm 1. Evaluation sees the weights of the moment, which are up to ``every`` − 1 steps
    ahead of the slow ones.
    """

    name = "lookahead"
    group = "loss and weights"
    summary = "every few steps, go back half of the way"
    plain = (
        "Take a few steps forward, then go half of the way back to where they started, and go on from there. The "
        "detours of single steps cancel, which steadies training."
    )
    papers = (cite("zhang2019lookahead", "algorithm 1"),)
    differs = "evaluation sees the weights of the moment; the paper evaluates the slow ones"
    caveat = "steadies a learning rate that is too high, and slows one that is right"
    cost = "0.05 ms a step on 1.2 million weights, and their memory once more"
    interactions = "averages too, so ema and swa add little to it; the optimizer's momentum is kept as it is"

    every: Annotated[int, Field(ge=1, le=1000, description="steps forward before each one back")] = 5
    share: Annotated[float, Field(gt=0, le=1, description="of the way forward that is kept")] = 0.5

    def before_step(self, parameters: Sequence[Tensor], lr: float | Tensor) -> None:  # noqa: ARG002
        """Keep the initial weights, from which the slow ones start."""
        if "slow0" not in self.state and self.share < 1:
            self.state.update((f"slow{number}", weight.detach().clone()) for number, weight in enumerate(parameters))

    def after_step(self, parameters: Sequence[Tensor], progress: Progress) -> None:
        """Every few steps move the slow weights and go on from them."""
        if self.share == 1 or progress.step % self.every:
            return
        fast, slow = list(parameters), [self.state[f"slow{number}"] for number in range(len(parameters))]
        torch._foreach_lerp_(slow, fast, self.share)
        torch._foreach_copy_(fast, slow)
