"""A learning rate that falls when the validation loss does not."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import SCHEDULE, Context, Progress, Technique


class ReduceOnPlateau(Technique):
    """lr ← lr · factor when the validation loss has not fallen for more than ``patience`` epochs.

    He et al. 2016, section 3.4, as torch's ``ReduceLROnPlateau`` has it: a fall counts from ``threshold`` of the best
    loss on. Validation images choose the rate here, so their accuracy flatters a little; the test images' does not.
    """

    name = "reduce_on_plateau"
    group = "learning rate"
    summary = "divide the learning rate by ten when the validation loss stops falling"
    plain = (
        "Watch the validation loss, and divide the learning rate by ten when it has stopped falling for a few "
        "epochs. The rate stays high as long as that helps, and no epoch has to be chosen beforehand."
    )
    papers = (cite("he2016deep", "section 3.4"),)
    differs = "a rule decides by the validation loss; the paper says only that the error plateaus"
    caveat = "on a noisy validation loss it reacts to chance; validation accuracy is then a little too good"
    cost = "nothing: the validation loss is measured anyway"
    interactions = "multiplies with warmup; excludes every other schedule of the whole budget; needs validation images"
    slot = SCHEDULE

    factor: Annotated[float, Field(gt=0, le=1, description="of the learning rate at each plateau")] = 0.1
    patience: Annotated[int, Field(ge=0, le=10_000, description="epochs without a fall that are let pass")] = 3
    threshold: Annotated[float, Field(ge=0, lt=1, description="share of the best loss that counts as a fall")] = 1e-4

    def check(self, context: Context) -> list[str]:
        """Refuse to work without validation images, or in a budget that ends before the first plateau can."""
        if not context.has_validation:
            raise RecipeError(
                "reduce_on_plateau reads the validation loss, and no image is left for validation; hold some out, "
                "as with `validation=0.1`, or leave reduce_on_plateau out"
            )
        if self.patience + 1 >= context.epochs:
            raise RecipeError(
                f"reduce_on_plateau.patience is {self.patience} and the budget is {context.epochs} epochs, so the rate "
                f"could never change; choose at most {context.epochs - 2}, or more epochs"
            )
        return []

    def epoch_ended(self, val_loss: float) -> None:
        """Count the epochs without a fall."""
        best, waited, reductions = (self._remembered(name) for name in ("best", "waited", "reductions"))
        if val_loss < best * (1 - self.threshold):
            best, waited = val_loss, 0
        else:
            waited += 1
        if waited > self.patience:
            waited, reductions = 0, reductions + 1
        for name, value in (("best", best), ("waited", waited), ("reductions", reductions)):
            self.state[name] = torch.tensor(value, dtype=torch.float64)

    def lr_factor(self, progress: Progress) -> float:  # noqa: ARG002
        """Return factor to the number of plateaus behind."""
        return float(self.factor ** self._remembered("reductions"))

    def _remembered(self, name: str) -> float:
        if name not in self.state:
            return math.inf if name == "best" else 0.0
        return float(self.state[name])
