"""A head that begins at zero."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network.own_module import output_path
from stepladder.network.pretrained import output_layer
from stepladder.techniques.base import Context, Stream, Technique


class HeadInit(Technique):
    """Multiply the initial weights of the output layer by ``scale``; its biases begin at zero.

    At 0 every class begins equally likely, so that the first steps do not push noise of the head into layers that are
    already good (Dosovitskiy et al. 2021, section 3.2; Kumar et al. 2022).
    """

    name = "head_init"
    group = "network"
    summary = "begin with an output layer of zeros"
    plain = (
        "Let the output layer begin with zeros, so that at first all classes are equally likely. Random outputs "
        "would send wrong gradients into layers that are already good."
    )
    papers = (
        cite("dosovitskiy2021image", "section 3.2"),
        cite("kumar2022finetuning"),
    )
    caveat = "the layers below get no gradient in the first step"
    cost = "none"
    interactions = "matters where layers below the head are trained from good weights"

    scale: Annotated[
        float, Field(ge=0, le=1, description="of the weights as drawn; 0 sets them to zero, 1 changes the biases alone")
    ] = 0.0

    def check(self, context: Context) -> list[str]:
        """Refuse a network whose last layer is not told."""
        assert context.rewritten is not None
        if output_layer(context.rewritten) is None:
            raise RecipeError(
                "head_init finds no output layer; let the network end in fc, with one value a class, or leave it out"
            )
        return []

    @torch.no_grad()
    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Scale the output layer's weights."""
        assert self.context.rewritten is not None
        name = output_layer(self.context.rewritten)
        if self.context.rewritten.own is not None:
            name = output_path(module, self.context.num_classes)
            if name is None:
                raise RecipeError("head_init finds no layer that puts out one value a class; leave it out")
        for path, layer in module.named_modules():
            if name in (path, path.rpartition(".")[2]) and isinstance(layer, nn.Linear | nn.Conv2d):
                layer.weight.mul_(self.scale)
                if layer.bias is not None:
                    layer.bias.zero_()
