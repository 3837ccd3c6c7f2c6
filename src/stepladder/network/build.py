"""The module built from a layer list."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network.arithmetic import LayerCost, trace_network
from stepladder.network.layers import MaxPool2x2, SeededDropout
from stepladder.network.spec import BatchNorm, Conv, Dropout, Flatten, Linear, MaxPool, Network, Relu

#: Gives the random stream of a name on a device; the same name always starts the same stream.
Stream = Callable[[str, torch.device], torch.Generator]

_CPU = torch.device("cpu")


def build_network(
    network: Network, input_shape: tuple[int, int, int], num_classes: int, stream: Stream, device: torch.device = _CPU
) -> nn.Sequential:
    """Build ``network`` for images of ``input_shape`` (C, H, W), with initial weights, on ``device``.

    Weights and biases are drawn uniformly from ±1/√fan_in, PyTorch's default for both kinds of layer, from the stream
    ``weights/<layer name>``; always on the CPU, so that every device starts from the same weights. The global random
    state is neither read nor changed.

    Returns:
        a module from (N, C, H, W) float images to (N, num_classes) logits, in channels-last layout.

    Raises:
        RecipeError: a layer does not fit what comes into it, or has a name that a module cannot have.
    """
    costs = trace_network(network, input_shape, num_classes)
    for number, layer in enumerate(network.layers, start=1):
        if hasattr(nn.Sequential(), layer.name):
            raise RecipeError(
                f"layer {number} is called '{layer.name}', which PyTorch needs itself; choose another name"
            )
    # On the meta device constructors draw no random numbers and fill no memory.
    with torch.device("meta"):
        modules = OrderedDict((cost.layer.name, _module(cost, stream, device)) for cost in _relu_after_pooling(costs))
    built = nn.Sequential(modules).to_empty(device=_CPU)
    for name, module in built.named_children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _draw_weights(module, stream(f"weights/{name}", _CPU))
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.reset_parameters()
    return built.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _relu_after_pooling(costs: tuple[LayerCost, ...]) -> tuple[LayerCost, ...]:
    """Swap each ReLU with a max pooling right after it: they commute, and a 2×2 pool leaves a quarter to do."""
    order = list(costs)
    for position in range(len(order) - 1):
        if isinstance(order[position].layer, Relu) and isinstance(order[position + 1].layer, MaxPool):
            order[position], order[position + 1] = order[position + 1], order[position]
    return tuple(order)


def _module(cost: LayerCost, stream: Stream, device: torch.device) -> nn.Module:
    layer, channels = cost.layer, cost.input_shape[0]
    if isinstance(layer, Conv):
        return nn.Conv2d(channels, layer.channels, layer.kernel_size, layer.stride, layer.padding)
    if isinstance(layer, MaxPool):
        if layer.kernel_size == layer.stride == 2:
            return MaxPool2x2(layer.ceil_mode)
        return nn.MaxPool2d(layer.kernel_size, layer.stride, ceil_mode=layer.ceil_mode)
    if isinstance(layer, BatchNorm):
        return nn.BatchNorm2d(channels) if len(cost.input_shape) == 3 else nn.BatchNorm1d(channels)
    if isinstance(layer, Dropout):
        return SeededDropout(layer.p, stream(f"dropout/{layer.name}", device))
    if isinstance(layer, Linear):
        return nn.Linear(channels, cost.output_shape[0])
    if isinstance(layer, Flatten):
        return nn.Flatten()
    return nn.ReLU()


def _draw_weights(module: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    fan_in = module.weight[0].numel()
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    assert module.bias is not None
    nn.init.uniform_(module.bias, -bound, bound, generator=generator)
