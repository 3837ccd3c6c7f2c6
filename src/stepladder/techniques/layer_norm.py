"""Layer normalization after every convolution."""

from __future__ import annotations

from stepladder.citations import cite
from stepladder.network import Network
from stepladder.network.spec import Layer
from stepladder.network.spec import LayerNorm as LayerNormLayer
from stepladder.techniques.base import NORMALIZATION, Context, Technique
from stepladder.techniques.batch_norm import followed_by, is_hidden_convolution, need_convolution


class LayerNorm(Technique):
    """Normalize all values of each image's maps, after every convolution and before its activation.

    Ba, Kiros and Hinton 2016, section 3. Each value has a scale and a shift of its own, as torch's ``LayerNorm``.
    """

    name = "layer_norm"
    group = "network"
    summary = "normalize all values of each image after every convolution"
    plain = (
        "After each convolution, give all values of each single image a mean of 0 and a standard deviation of 1. "
        "It steadies the values without looking at the other images of the batch."
    )
    papers = (cite("ba2016layer", "section 3"),)
    caveat = "its authors found batch norm better in convolutional networks: pixels at the rim differ from others"
    cost = "a training step of the reference network takes about twice as long; two weights a value of each map"
    interactions = "excludes batch_norm and group_norm"
    slot = NORMALIZATION

    def check(self, context: Context) -> list[str]:
        """Refuse a network without convolutions."""
        need_convolution(self.name, context.network)
        return []

    def rewrite(self, network: Network) -> Network:
        """Put a layer-norm layer after every convolution but one that has it and one that puts out the classes."""
        return network.insert_after(is_hidden_convolution, self._layer, unless=followed_by(LayerNormLayer))

    @staticmethod
    def _layer(after: Layer) -> Layer:
        return LayerNormLayer(name=f"{after.name}_norm")
