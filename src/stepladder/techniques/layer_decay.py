"""Lower learning rates for lower layers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.blocks import block_ends
from stepladder.techniques.base import Context, Technique


class LayerDecay(Technique):
    """Multiply the learning rate by ``factor`` for every block further from the output.

    Howard and Ruder ("ULMFiT", 2018, section 3.2) divide by 2.6 a layer; Bao et al. ("BEiT", 2022) take 0.65
    to 0.85 a block: what is general needs to change least.
    """

    name = "layer_decay"
    group = "learning rate"
    summary = "train lower blocks at lower rates"
    plain = (
        "Train the layers near the image with a lower learning rate than those near the output. In a trained "
        "network the first layers see edges and colors, which serve any images and need to change least."
    )
    papers = (
        cite("howard2018ulmfit", "section 3.2"),
        cite("bao2022beit"),
    )
    differs = "the factor is 0.7 a block; Howard and Ruder divide by 2.6 a layer"
    caveat = "from random weights lower layers must learn as well, and it holds them back"
    cost = "none"
    interactions = "for weights that are already good, so with pretrained; without effect where one layer is trained"

    factor: Annotated[float, Field(gt=0, le=1, description="of the rate, a block")] = 0.7

    def check(self, context: Context) -> list[str]:
        """Refuse a network that is one block."""
        assert context.rewritten is not None
        if not block_ends(context.rewritten):
            raise RecipeError("layer_decay needs a network of several blocks; leave it out")
        return []

    def lr_scales(self, network: Network) -> dict[str, float]:
        """Return the factor of each layer of the list, by name; what follows the last block has 1."""
        ends = block_ends(network)
        return {layer.name: self.factor ** sum(end >= at for end in ends) for at, layer in enumerate(network.layers)}
