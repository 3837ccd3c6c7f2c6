"""Freezing: only the last layers learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.errors import RecipeError, unknown
from stepladder.network import Network
from stepladder.network.layers import BatchNorm1d, BatchNorm2d
from stepladder.techniques.base import Context, Frozen, Stream, Technique

# Images that the statistics of batch norms which have never seen any are taken from.
_CALIBRATED_ON = 64


class Freeze(Technique):
    """Keep all layers but the output as they begin, or all up to a layer; batch norms stay in evaluation mode.

    What is frozen makes the same features of the same image in every step, so they are worked out once for an image
    set, kept in the cache, and shared by all trials. With augmentation that is a fixed number of random views of each
    training image, the same for every seed, one of which is drawn in each step.

    Batch norms that have no statistics yet (those of a network that begins from random weights) get those of the first
    training images.
    """

    name = "freeze"
    group = "network"
    summary = "train the output layer alone; the features below are worked out once"
    plain = (
        "Keep all layers but the last as they are, and train the last one alone. With few images this is fast and "
        "cannot spoil what the network already knows."
    )
    papers = (cite("razavian2014features"),)
    differs = "the output layer is trained by gradient descent; the paper trains a linear SVM on the features"
    caveat = (
        "features of other images may miss what tells these classes apart; from random weights it is a floor, no more"
    )
    cost = "the features of each image and view once for an image set; after that a step costs what it trains"
    interactions = "pretrained makes it worth it; unfreeze trains the last blocks too; mixed images are not cached"

    up_to: Annotated[
        str | None,
        Field(description="name of the last layer that is frozen, as inspect shows it; by default all but the output"),
    ] = None
    views: Annotated[
        int, Field(ge=1, le=256, description="random views of each training image, where there is augmentation")
    ] = 8

    def check(self, context: Context) -> list[str]:
        """Refuse a layer that the network lacks."""
        assert context.rewritten is not None
        self.frozen(Frozen(), context.rewritten)
        return []

    def frozen(self, before: Frozen, network: Network) -> Frozen:  # noqa: ARG002
        """Freeze the layers up to ``up_to``, or all before the output."""
        names = [layer.name for layer in network.layers]
        if self.up_to is None:
            return Frozen(max(0, len(names) - 1), self.views)
        if self.up_to not in names:
            raise RecipeError(unknown("layer for `freeze.up_to`", self.up_to, names))
        return Frozen(names.index(self.up_to) + 1, self.views)

    @torch.no_grad()
    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Hold every batch norm in evaluation mode, with statistics."""
        norms = [one for one in module.modules() if isinstance(one, BatchNorm2d | BatchNorm1d)]
        fresh = [norm for norm in norms if norm.num_batches_tracked == 0]
        if fresh:
            momenta = [norm.momentum for norm in fresh]
            for norm in fresh:
                norm.momentum = None  # of all batches the plain mean
            module.train()
            seen = 0
            for batch in inputs:
                module(batch)
                seen += len(batch)
                if seen >= _CALIBRATED_ON:
                    break
            for norm, momentum in zip(fresh, momenta, strict=True):
                norm.momentum = momentum
        for norm in norms:
            norm.held = True
