"""Targets that are not quite certain."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import Technique


class LabelSmoothing(Technique):
    """t ← (1 − amount)·t + amount / classes: the same loss as torch's ``cross_entropy(label_smoothing=amount)``.

    Szegedy et al. 2016, section 7. It changes the targets and not the loss, so that it goes with targets that are
    mixed and with other losses.
    """

    name = "label_smoothing"
    group = "loss and weights"
    regularizes = True
    summary = "give every wrong class a small share of the target"
    plain = (
        "Of ten classes, ask the network for 91 % of the right one and 1 % of each other one, instead of 100 % and "
        "0 %. It need not become ever more certain, which often helps on new images."
    )
    papers = (cite("szegedy2016rethinking", "section 7"),)
    caveat = "the training loss no longer goes to zero, and probabilities are less sharp than the accuracy deserves"
    cost = "0.02 ms a batch of 128"
    interactions = "adds to mixup and cutmix, which soften targets too; together they may be too much"
    mixes_targets = True

    amount: Annotated[float, Field(ge=0, lt=1, description="share of the target spread over all classes")] = 0.1

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Leave the images as they are and soften the targets."""
        if self.amount == 0:
            return images, targets
        classes = self.context.num_classes
        shares = F.one_hot(targets, classes).float() if targets.ndim == 1 else targets
        return images, shares * (1 - self.amount) + self.amount / classes
