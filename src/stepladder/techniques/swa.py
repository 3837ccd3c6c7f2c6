"""The plain mean of the weights of the last epochs."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from stepladder.citations import cite
from stepladder.techniques.base import AVERAGE, Progress, Technique
from stepladder.techniques.ema import move


class SWA(Technique):
    """Evaluate the mean of the weights at the end of every epoch after the share ``start`` of the budget.

    Izmailov et al. 2018, section 3, as torch's ``AveragedModel(use_buffers=True)`` has it: running statistics of a
    batch norm are averaged too, where the paper passes over the data once more. Before that the weights themselves.
    """

    name = "swa"
    group = "loss and weights"
    summary = "evaluate the mean of the weights of the last epochs"
    plain = (
        "Average the weights of the last epochs, and evaluate the average. Each epoch ends at another edge of a "
        "good region, and the average lies in its middle."
    )
    papers = (cite("izmailov2018averaging", "section 3"),)
    differs = (
        "the learning rate stays the recipe's, where the paper has a constant or a cyclical one; the statistics "
        "of a batch norm are averaged, where the paper takes them anew from the training images"
    )
    caveat = "made for a rate that stays high to the end: after a decay the averaged weights hardly differ"
    cost = "nothing but the memory of the weights twice: they are added once an epoch"
    interactions = "gains least with a schedule that decays to zero; excludes ema"
    slot = AVERAGE

    start: Annotated[float, Field(ge=0, le=1, description="share of the budget before averaging; 1 never starts")] = 0.5

    def weights(self, current: dict[str, Tensor], averaged: dict[str, Tensor], progress: Progress) -> None:
        """At each epoch's end follow the weights up to ``start``, and then take them into the mean."""
        if progress.step % progress.steps_per_epoch:
            return
        if self.start == 1 or progress.step <= self.start * progress.steps:
            move(current, averaged, 1)
            return
        count = self.state.get("count", torch.zeros((), dtype=torch.int64))
        move(current, averaged, 1 / (int(count) + 1))
        self.state["count"] = count + 1
