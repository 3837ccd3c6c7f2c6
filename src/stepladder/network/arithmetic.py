"""What each layer of a network puts out and costs, worked out from the layer list alone; no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stepladder.errors import RecipeError
from stepladder.network.spec import BatchNorm, Conv, Dropout, Flatten, Layer, Linear, MaxPool, Network, Relu

#: (channels, height, width) of a map, or (features,) after flattening.
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCost:
    """One layer of a network on one input size.

    Attributes:
        input_shape: (C, H, W), or (features,) after flattening; without the batch.
        output_shape: the same of what comes out.
        weights: learned numbers, biases among them.
        macs: multiply-accumulates an image forward, of convolutions and fully connected layers; biases, pooling and
            activations are not counted.
    """

    layer: Layer
    input_shape: Shape
    output_shape: Shape
    weights: int
    macs: int


def trace_network(network: Network, input_shape: tuple[int, int, int], num_classes: int) -> tuple[LayerCost, ...]:
    """Work out every layer of ``network`` for images of ``input_shape`` (C, H, W).

    Raises:
        RecipeError: a layer does not fit what comes into it, named by number and name.
    """
    costs = []
    shape: Shape = input_shape
    for number, layer in enumerate(network.layers, start=1):
        place = f"layer {number} ({layer.name})"
        cost = _cost(layer, place, shape, num_classes)
        costs.append(cost)
        shape = cost.output_shape
    if shape != (num_classes,):
        raise RecipeError(
            f"the network puts out {_written(shape)} where {num_classes} classes need {num_classes} values; "
            f'let it end in a linear layer with features = "classes"'
        )
    return tuple(costs)


def _cost(layer: Layer, place: str, shape: Shape, num_classes: int) -> LayerCost:
    output, weights, macs = shape, 0, 0
    if isinstance(layer, Conv):
        channels, height, width = _map(place, shape)
        rows = _output_size(place, height, layer.kernel_size, layer.stride, layer.padding)
        columns = _output_size(place, width, layer.kernel_size, layer.stride, layer.padding)
        kernel = layer.kernel_size**2 * channels
        output = (layer.channels, rows, columns)
        weights = (kernel + 1) * layer.channels
        macs = kernel * layer.channels * rows * columns
    elif isinstance(layer, MaxPool):
        channels, height, width = _map(place, shape)
        size, stride, ceil = layer.kernel_size, layer.stride, layer.ceil_mode
        output = (
            channels,
            _pooled_size(place, height, size, stride, ceil),
            _pooled_size(place, width, size, stride, ceil),
        )
    elif isinstance(layer, BatchNorm):
        weights = 2 * shape[0]
    elif isinstance(layer, Flatten):
        output = (math.prod(shape),)
    elif isinstance(layer, Linear):
        if len(shape) != 1:
            raise RecipeError(f"{place} is fully connected and gets maps of {_written(shape)}; put a flatten before it")
        features = num_classes if layer.features == "classes" else layer.features
        output, weights, macs = (features,), (shape[0] + 1) * features, shape[0] * features
    else:
        assert isinstance(layer, Relu | Dropout), layer
    return LayerCost(layer, shape, output, weights, macs)


def _output_size(place: str, size: int, kernel_size: int, stride: int, padding: int) -> int:
    """⌊(size + 2·padding − kernel_size) / stride⌋ + 1 (Dumoulin and Visin 2016, relationship 6)."""
    if size + 2 * padding < kernel_size:
        raise RecipeError(
            f"{place} has a kernel of {kernel_size} and gets {size} + 2·{padding} = {size + 2 * padding} pixels; "
            f"use larger images, a smaller kernel or more padding"
        )
    return (size + 2 * padding - kernel_size) // stride + 1


def _pooled_size(place: str, size: int, kernel_size: int, stride: int, ceil_mode: bool) -> int:
    # Rounding up takes a window that lacks less than one stride; one that lacks more does not fit, in PyTorch neither.
    if not ceil_mode or size + stride - 1 < kernel_size:
        return _output_size(place, size, kernel_size, stride, 0)
    rounded_up = -(-(size - kernel_size) // stride) + 1
    # As in PyTorch, a window that would start beyond the map is left out.
    return rounded_up - 1 if (rounded_up - 1) * stride >= size else rounded_up


def _map(place: str, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise RecipeError(f"{place} works on maps and gets {_written(shape)}; put it before the flatten")
    channels, height, width = shape
    return channels, height, width


def _written(shape: Shape) -> str:
    return "×".join(map(str, shape)) + (" values" if len(shape) == 1 else "")
