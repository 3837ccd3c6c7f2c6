"""Group normalization after every convolution."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.network import Network
from stepladder.network.spec import Conv, Layer
from stepladder.network.spec import GroupNorm as GroupNormLayer
from stepladder.techniques.base import NORMALIZATION, Context, Technique
from stepladder.techniques.batch_norm import followed_by, is_hidden_convolution, need_convolution


class GroupNorm(Technique):
    """Normalize groups of channels of each image, after every convolution and before its activation.

    Wu and He 2018, section 3. It never looks at other images, so that it does the same in training and evaluation and
    at any batch size.
    """

    name = "group_norm"
    group = "network"
    summary = "normalize groups of channels of each image after every convolution"
    plain = (
        "After each convolution, give groups of channels of each single image a mean of 0 and a standard "
        "deviation of 1. It steadies the values as batch norm does, and works for batches of any size."
    )
    papers = (cite("wu2018group", "section 3"),)
    differs = "8 groups by default, or fewer where the channels do not divide by 8; the paper takes 32"
    caveat = "at batches of 32 and more batch norm is usually a little better, and faster"
    cost = "a training step of the reference network takes about 1.7 times as long"
    interactions = "excludes batch_norm and layer_norm"
    slot = NORMALIZATION

    groups: Annotated[
        int, Field(ge=1, le=1024, description="groups of channels; fewer where the channels do not divide by it")
    ] = 8

    def check(self, context: Context) -> list[str]:
        """Refuse a network without convolutions."""
        need_convolution(self.name, context.network)
        return []

    def rewrite(self, network: Network) -> Network:
        """Put a group-norm layer after every convolution but one that has it and one that puts out the classes."""
        return network.insert_after(
            lambda layer: isinstance(layer, Conv) and is_hidden_convolution(layer),
            self._layer,
            unless=followed_by(GroupNormLayer),
        )

    def _layer(self, after: Layer) -> Layer:
        assert isinstance(after, Conv)
        assert isinstance(after.channels, int)
        return GroupNormLayer(name=f"{after.name}_norm", groups=math.gcd(self.groups, after.channels))
