"""Initial weights that keep the variance forward and backward."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.techniques.base import WEIGHTS, Stream, Technique
from stepladder.techniques.he_init import set_weights, weighted_layers


class XavierInit(Technique):
    """Draw weights uniformly from ±√(6 / (fan_in + fan_out)) and set biases to 0 (torch's ``xavier_uniform_``).

    Glorot and Bengio 2010, section 4.2.1, equation 16: a compromise between keeping the variance of the values forward
    and of the gradients backward.
    """

    name = "xavier_init"
    group = "network"
    summary = "draw initial weights so that values and gradients keep their variance"
    plain = (
        "Draw the initial weights so that neither the values on the way forward nor the gradients on the way back "
        "grow or fade from layer to layer. A deep network can then learn in all of its layers from the first step."
    )
    papers = (cite("glorot2010understanding", "section 4.2.1, equation 16"),)
    caveat = "derived for tanh; with ReLUs the variance halves at every layer"
    cost = "nothing"
    interactions = "a normalization after each layer undoes the scale; excludes he_init"
    slot = WEIGHTS

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Draw from the streams that the layers' weights come from anyway."""
        for name, layer in weighted_layers(module):
            weight = torch.empty(layer.weight.shape)
            nn.init.xavier_uniform_(weight, generator=stream(f"weights/{name}"))
            set_weights(layer, weight)
