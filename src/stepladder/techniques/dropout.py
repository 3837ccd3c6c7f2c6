"""Dropout before the last layer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.spec import BatchNorm, Layer, Linear
from stepladder.network.spec import Dropout as DropoutLayer
from stepladder.techniques.base import Context, Technique


class Dropout(Technique):
    """Zero each input of the last fully connected layer with probability ``p`` while training.

    Units cannot rely on one another: an average over many thinned networks (Srivastava et al. 2014, section 4, where p
    is the probability of keeping an input).
    """

    name = "dropout"
    group = "network"
    regularizes = True
    summary = "zero random inputs of the last layer while training"
    plain = (
        "While training, set each input of the last layer to zero with probability one half, anew for every "
        "image. The layer cannot rely on any single input, which makes it harder to learn the training images by "
        "heart."
    )
    papers = (cite("srivastava2014dropout", "section 4"),)
    differs = (
        "only inputs of the last fully connected layer are dropped by default; p is the share that is dropped, "
        "where the paper's is the share that is kept; what is kept is scaled up in training, where the paper "
        "scales the weights down afterwards"
    )
    caveat = "slows learning; on a network that under-fits, or before batch norm, it costs accuracy"
    cost = "0.1 ms a batch of 128 on 1,000 inputs"
    interactions = "warns where a batch norm follows it in the network (Li et al. 2019)"

    quiet = frozenset({"where"})

    p: Annotated[float, Field(ge=0, lt=1, description="probability of zeroing an input")] = 0.5
    where: Annotated[
        Literal["last", "all"], Field(description="before the last fully connected layer, or before all of them")
    ] = "last"

    def check(self, context: Context) -> list[str]:
        """Refuse a network without a fully connected layer; warn of a batch norm that comes later."""
        if not any(isinstance(layer, Linear) for layer in context.network.every_layer()):
            raise RecipeError(
                "dropout acts before a fully connected layer, and the network has none; leave it out, or use "
                "spatial_dropout"
            )
        return warn_before_batch_norm(self.name, context) if self.p else []

    def rewrite(self, network: Network) -> Network:
        """Put a dropout layer before the last fully connected layer, or before each."""
        if self.p == 0:
            return network
        if self.where == "last":
            return network.insert_before_last(lambda layer: isinstance(layer, Linear), self._layer)
        layers: list[Layer] = []
        for layer in network.layers:
            layers += [self._layer(layer), layer] if isinstance(layer, Linear) else [layer]
        return Network(layers=tuple(layers))

    def _layer(self, before: Layer) -> Layer:
        return DropoutLayer(name=f"{before.name}_dropout", p=self.p)


def warn_before_batch_norm(name: str, context: Context) -> list[str]:
    """Return a warning where a batch norm follows a dropout in the rewritten network."""
    layers = list((context.rewritten or context.network).every_layer())
    dropped = [position for position, layer in enumerate(layers) if isinstance(layer, DropoutLayer)]
    norms = [layer.name for layer in layers[min(dropped, default=len(layers)) :] if isinstance(layer, BatchNorm)]
    if not norms:
        return []
    return [
        f"{name} comes before the batch norm '{norms[0]}', whose running variance is then that of thinned networks and "
        f"too large in evaluation (Li et al. 2019, section 3); put dropout after the last batch norm"
    ]
