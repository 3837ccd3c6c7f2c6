"""Batch normalization after every convolution."""

from __future__ import annotations

from stepladder.network import Network
from stepladder.network.spec import BatchNorm as BatchNormLayer
from stepladder.network.spec import Conv, DepthwiseConv, Layer, is_output
from stepladder.techniques.base import Technique


class BatchNorm(Technique):
    """Normalize each channel over the batch, after every convolution and before its activation.

    Ioffe and Szegedy 2015, section 3.2. Evaluation uses running statistics of the training batches.
    """

    name = "batch_norm"
    group = "network"
    summary = "normalize each channel over the batch after every convolution"
    paper = "Ioffe and Szegedy, Batch Normalization, 2015, section 3.2"
    caveat = "needs batches of a dozen images or more; makes the bias of the convolution before it idle"

    def rewrite(self, network: Network) -> Network:
        """Put a batch-norm layer after every convolution but one that has it and one that puts out the classes."""
        return network.insert_after(
            lambda layer: isinstance(layer, Conv | DepthwiseConv) and not is_output(layer),
            self._layer,
            unless_before=lambda layer: isinstance(layer, BatchNormLayer),
        )

    @staticmethod
    def _layer(after: Layer) -> Layer:
        return BatchNormLayer(name=f"{after.name}_norm")
