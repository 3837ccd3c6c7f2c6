"""Rare classes count more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.techniques.base import Context, Technique


class ClassWeights(Technique):
    """Weigh each image by N / (classes · n_c) to the power ``power``, n_c being the images of its class.

    King and Zeng 2001, section 4.2: with power 1 every class has the same say, whatever its size. The mean is weighted,
    as torch's ``cross_entropy(weight=...)`` has it; shares of several classes are weighted each.
    """

    name = "class_weights"
    group = "loss and weights"
    summary = "let rare classes count more in the loss"
    plain = (
        "Let each image of a rare class count more in the loss than one of a frequent class. Otherwise a network "
        "can be right most of the time by ignoring the rare classes."
    )
    papers = (cite("king2001logistic", "section 4.2"),)
    differs = (
        "for any number of classes, each with the same share of the population; the paper has two, with shares "
        "that are known"
    )
    caveat = "gains on rare classes are paid for on frequent ones, so overall accuracy often falls"
    cost = "0.02 ms a batch of 128"
    interactions = "excludes focal_loss, which replaces the loss too; takes mixed targets"
    takes_soft_targets = True

    power: Annotated[float, Field(ge=0, le=1, description="0 weighs all images alike, 1 all classes")] = 1.0

    def check(self, context: Context) -> list[str]:
        """Refuse a single class; say that equal classes need no weights."""
        if context.num_classes < 2:
            raise RecipeError("class_weights needs two classes or more, and the images have one; leave it out")
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Return ``weight``, float32 (classes,), from how many images each class has."""
        counts = torch.tensor(self.context.class_counts, dtype=torch.float64)
        # A class without images is never a target.
        weights = (counts.sum() / (len(counts) * counts.clamp(min=1))) ** self.power
        return {"weight": weights.float()}

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the weighted mean cross-entropy."""
        weight = self.learned["weight"]
        if self.power == 0:
            return F.cross_entropy(logits, targets)
        if targets.ndim == 1:
            return F.cross_entropy(logits, targets, weight)
        weighted = targets * weight
        return F.cross_entropy(logits, weighted) * (len(targets) / weighted.sum())
