"""Training the last blocks of a frozen network too."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.blocks import block_ends
from stepladder.techniques.base import Context, Frozen, Technique


class Unfreeze(Technique):
    """Train the last ``blocks`` of a network that freeze keeps, with all that follows them.

    A block is a residual or a concatenation, or where a network has none, a layer with weights; layers that are called
    ``block1``, ``block2``, … end one each, as in presets.
    """

    name = "unfreeze"
    group = "network"
    summary = "train the last blocks too"
    plain = (
        "Train the last few blocks of a frozen network too, not the output alone. The late layers are those that "
        "know most about the old images, so they gain most from learning yours."
    )
    papers = (cite("yosinski2014transferable", "section 4.1"),)
    differs = "the last blocks are trained; the paper trains all layers that it took over, or none"
    caveat = "with few images a class the blocks may learn these by heart"
    cost = "forward and backward through these blocks in every step"
    interactions = "needs freeze before it; layer_decay lets lower blocks move less"

    blocks: Annotated[int, Field(ge=0, le=1000, description="how many; 0 trains only what follows the last")] = 3

    def check(self, context: Context) -> list[str]:
        """Refuse a network that nothing freezes, and more blocks than there are."""
        assert context.rewritten is not None
        if not any(type(one).overrides("frozen") for one in self._before):
            raise RecipeError("unfreeze trains the last blocks of a network that freeze keeps; add freeze before it")
        ends = block_ends(context.rewritten)
        if self.blocks >= len(ends):
            raise RecipeError(
                f"`unfreeze.blocks` is {self.blocks} and the network has {len(ends)} blocks; choose at most "
                f"{len(ends) - 1}, or leave out freeze to train all"
            )
        return []

    def frozen(self, before: Frozen, network: Network) -> Frozen:
        """Freeze up to the last block that is not trained."""
        ends = block_ends(network)
        if self.blocks >= len(ends):
            return before
        return Frozen(min(before.layers, ends[-1 - self.blocks] + 1), before.views)
