"""Convolutions that begin as the identity."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stepladder.citations import cite
from stepladder.techniques.base import Context, Stream, Technique
from stepladder.techniques.batch_norm import need_convolution
from stepladder.techniques.he_init import weighted_layers


class DiracInit(Technique):
    """Let the first channels out of every convolution begin as copies of its channels in (torch's ``dirac_``).

    Jordan 2024, section 3.3. The channels beyond as many as come in keep their random draw.
    """

    name = "dirac_init"
    group = "network"
    summary = "let convolutions begin by passing their input on"
    plain = (
        "Let each convolution begin by passing its input on unchanged, as far as it has channels for it. The "
        "image reaches the last layers undistorted in the first step, and learning starts faster."
    )
    papers = (cite("jordan2024airbench", "section 3.3"),)
    differs = "every convolution that learns begins so; the paper leaves out the first, which is frozen there"
    caveat = "a gain in the first epochs; over a long budget hardly any"
    cost = "nothing"
    interactions = "list it after he_init or xavier_init, which would draw over it"

    def check(self, context: Context) -> list[str]:
        """Refuse a network without convolutions."""
        if context.network.own is None:  # what a module of the user's own has is known once it is built
            need_convolution(self.name, context.network)
        return []

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:  # noqa: ARG002
        """Set the kernels of the first channels."""
        for _, layer in weighted_layers(module):
            if isinstance(layer, nn.Conv2d):
                passed = min(layer.weight.shape[:2])
                kernels = torch.zeros(passed, *layer.weight.shape[1:])
                layer.weight[:passed] = nn.init.dirac_(kernels).to(layer.weight.device)
