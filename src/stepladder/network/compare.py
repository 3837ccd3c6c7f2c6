"""What each convolution would cost without shared weights, and without locality."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stepladder.network.arithmetic import LayerCost
from stepladder.network.spec import Conv, DepthwiseConv


@dataclass(frozen=True)
class Comparison:
    """A convolution against two layers of the same input and output.

    All three have a bias, or none: one a channel in the convolution, one an output value in the others. A locally
    connected layer multiplies exactly as often as the convolution; it only shares nothing.

    Attributes:
        weights: of the convolution.
        locally_connected: weights of a layer with its own kernel at every position.
        fully_connected: weights of a layer in which every output reads every input.
        macs: multiply-accumulates an image of the convolution, and of the locally connected layer.
        fully_connected_macs: of the fully connected layer.
    """

    cost: LayerCost
    weights: int
    locally_connected: int
    fully_connected: int
    macs: int
    fully_connected_macs: int


def compare_convolutions(costs: tuple[LayerCost, ...]) -> tuple[Comparison, ...]:
    """Return the comparison of every convolution, in order."""
    return tuple(_compare(cost) for cost in costs if isinstance(cost.layer, Conv | DepthwiseConv))


def _compare(cost: LayerCost) -> Comparison:
    layer = cost.layer
    assert isinstance(layer, Conv | DepthwiseConv)
    inputs, outputs = math.prod(cost.input_shape), math.prod(cost.output_shape)
    positions = outputs // cost.output_shape[0]
    return Comparison(
        cost,
        cost.weights,
        cost.weights * positions,
        (inputs + layer.bias) * outputs,
        cost.macs,
        inputs * outputs,
    )
