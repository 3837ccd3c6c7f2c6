"""The mean of each map in place of all its pixels."""

from __future__ import annotations

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.spec import Flatten, GlobalAvgPool
from stepladder.techniques.base import Context, Technique


class GlobalAveragePooling(Technique):
    """Put the mean of each map where the network flattens maps (Lin et al. 2014, section 3.2).

    The first fully connected layer then reads one value a channel. In the paper nothing is fully connected after it;
    here the layers that follow stay.
    """

    name = "global_average_pooling"
    group = "network"
    summary = "give the first fully connected layer the mean of each map instead of its pixels"
    plain = (
        "Replace each feature map by its mean before the fully connected layers. That saves most weights of the first "
        "of them, and makes the answer depend on what is in the image, not on where."
    )
    papers = (cite("lin2014network", "section 3.2"),)
    differs = "the fully connected layers behind it stay; in the paper none follows"
    caveat = "forgets where in the image something was; hurts digits and textures that differ by place"
    cost = "saves: on the reference network 0.96 of 1.19 million weights"
    interactions = "with hardly any fully connected weights left, dropout before the last layer has less to do"

    def check(self, context: Context) -> list[str]:
        """Refuse a network that does not flatten."""
        if not any(isinstance(layer, Flatten) for layer in context.network.layers):
            raise RecipeError(
                "global_average_pooling replaces the flatten of a network, and this one has none; leave it out"
            )
        return []

    def rewrite(self, network: Network) -> Network:
        """Replace the flatten."""
        return Network(
            layers=tuple(
                GlobalAvgPool(name=layer.name) if isinstance(layer, Flatten) else layer for layer in network.layers
            )
        )
