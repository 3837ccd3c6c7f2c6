"""Dropout before the last layer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stepladder.network import Network
from stepladder.network.spec import Dropout as DropoutLayer
from stepladder.network.spec import Layer, Linear
from stepladder.techniques.base import Technique


class Dropout(Technique):
    """Zero each input of the last fully connected layer with probability ``p`` while training.

    Units cannot rely on one another: an average over many thinned networks (Srivastava et al., JMLR 2014, section 2).
    """

    name = "dropout"
    group = "network"
    summary = "zero random inputs of the last layer while training"
    paper = "Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, Dropout, JMLR 2014, section 2"
    caveat = "slows learning; on a network that under-fits, or before batch norm, it costs accuracy"

    p: Annotated[float, Field(ge=0, lt=1)] = 0.5

    def rewrite(self, network: Network) -> Network:
        """Put a dropout layer before the last fully connected layer."""
        if self.p == 0:
            return network
        return network.insert_before_last(lambda layer: isinstance(layer, Linear), self._layer)

    def _layer(self, before: Layer) -> Layer:
        return DropoutLayer(name=f"{before.name}_dropout", p=self.p)
