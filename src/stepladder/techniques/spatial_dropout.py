"""Dropout of whole maps."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.spec import Conv, DepthwiseConv, Layer
from stepladder.network.spec import Dropout as DropoutLayer
from stepladder.techniques.base import Context, Technique
from stepladder.techniques.batch_norm import need_convolution
from stepladder.techniques.dropout import warn_before_batch_norm


class SpatialDropout(Technique):
    """Zero whole maps before every convolution but the first, with probability ``p`` each, while training.

    Neighboring pixels of a map are nearly the same, so that dropping single ones takes little away (Tompson et al.
    2015, section 3.2).
    """

    name = "spatial_dropout"
    group = "network"
    regularizes = True
    summary = "zero whole maps before every convolution but the first while training"
    plain = (
        "While training, set whole feature maps to zero at random. Neighboring pixels of a map say nearly the "
        "same, so only without the whole map must the network do without that feature."
    )
    papers = (cite("tompson2015efficient", "section 3.2"),)
    differs = "it stands before every convolution but the first, at 0.1; the paper adds it at one place of its network"
    caveat = "slows learning; narrow layers lose too much"
    cost = "0.5 ms a batch of 128 on the reference network"
    interactions = "warns where a batch norm follows it in the network (Li et al. 2019)"

    p: Annotated[float, Field(ge=0, lt=1, description="probability of zeroing a map")] = 0.1

    def check(self, context: Context) -> list[str]:
        """Refuse a network without convolutions; warn of a batch norm that comes later."""
        need_convolution(self.name, context.network)
        if self.p and self.rewrite(context.network) == context.network:
            raise RecipeError(
                "spatial_dropout acts before every convolution but the first, and the network has one; leave it out"
            )
        return warn_before_batch_norm(self.name, context) if self.p else []

    def rewrite(self, network: Network) -> Network:
        """Put a dropout of whole maps before every convolution but the first."""
        if self.p == 0:
            return network
        convolutions = [layer for layer in network.every_layer() if isinstance(layer, Conv | DepthwiseConv)]
        first = convolutions[0].name if convolutions else None

        def insert(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
            new: list[Layer] = []
            for layer in layers:
                if isinstance(layer, Conv | DepthwiseConv) and layer.name != first:
                    new.append(DropoutLayer(name=f"{layer.name}_dropout", p=self.p, whole_maps=True))
                new.append(layer.with_inner([insert(inner) for inner in layer.inner]))
            return tuple(new)

        return Network(layers=insert(network.layers))
