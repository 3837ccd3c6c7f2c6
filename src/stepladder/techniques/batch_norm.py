"""Batch normalization after every convolution, or after every hidden layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from stepladder.citations import cite
from stepladder.errors import RecipeError
from stepladder.network import Network
from stepladder.network.spec import AvgPool, Conv, DepthwiseConv, Layer, Linear, MaxPool, is_output
from stepladder.network.spec import BatchNorm as BatchNormLayer
from stepladder.techniques.base import NORMALIZATION, Context, Technique


class BatchNorm(Technique):
    """Normalize each channel over the batch, after every convolution and before its activation.

    Ioffe and Szegedy 2015, section 3.2, who normalize fully connected layers alike: ``where = "hidden"``. Evaluation
    uses running statistics of the training batches.
    """

    name = "batch_norm"
    group = "network"
    summary = "normalize each channel over the batch after every convolution"
    plain = (
        "After each convolution, give every channel a mean of 0 and a standard deviation of 1 over the batch, and "
        "let the network learn a scale and a shift. The layers then read values of a steady size, so that higher "
        "learning rates work and training is faster."
    )
    papers = (cite("ioffe2015batch", "section 3.2"),)
    differs = (
        'fully connected layers are normalized only with `where = "hidden"`; the bias of the convolution before '
        "it stays, though it has no effect"
    )
    caveat = "needs batches of a dozen images or more; makes the bias of the convolution before it idle"
    cost = "about an eighth of a training step of the reference network"
    interactions = (
        "behind a dropout its running statistics are those of thinned networks (Li et al. 2019); allows and likes a "
        "higher learning rate; excludes group_norm and layer_norm"
    )
    slot = NORMALIZATION
    quiet = frozenset({"where"})

    where: Annotated[
        Literal["convolutions", "hidden"],
        Field(description="after every convolution, or after every layer with weights but the last"),
    ] = "convolutions"

    def check(self, context: Context) -> list[str]:
        """Refuse a network without convolutions."""
        need_convolution(self.name, context.network)
        return []

    def rewrite(self, network: Network) -> Network:
        """Put a batch-norm layer after every convolution but one that has it and one that puts out the classes."""
        return network.insert_after(self._is_normalized, self._layer, unless=followed_by(BatchNormLayer))

    def _is_normalized(self, layer: Layer) -> bool:
        fully_connected = self.where == "hidden" and isinstance(layer, Linear) and not is_output(layer)
        return fully_connected or is_hidden_convolution(layer)

    @staticmethod
    def _layer(after: Layer) -> Layer:
        return BatchNormLayer(name=f"{after.name}_norm")


def is_hidden_convolution(layer: Layer) -> bool:
    """Whether ``layer`` is a convolution that does not put out the classes."""
    return isinstance(layer, Conv | DepthwiseConv) and not is_output(layer)


def need_convolution(name: str, network: Network) -> None:
    """Refuse the technique ``name`` where it would find nothing to act on.

    Raises:
        RecipeError: no layer of ``network`` is a convolution.
    """
    if not any(is_hidden_convolution(layer) for layer in network.every_layer()):
        raise RecipeError(f"{name} acts on convolutions, and the network has none; leave it out, or add a convolution")


def followed_by(kind: type) -> Callable[[tuple[Layer, ...]], bool]:
    """Return whether a layer of ``kind`` follows, at once or behind pooling, as some networks have it."""

    def is_there(behind: tuple[Layer, ...]) -> bool:
        return isinstance(next((layer for layer in behind if not isinstance(layer, MaxPool | AvgPool)), None), kind)

    return is_there
