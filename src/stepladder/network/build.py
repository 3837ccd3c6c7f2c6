"""The module built from a layer list, or by a function of the user's own."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

import torch
from torch import nn

from stepladder.errors import RecipeError
from stepladder.network.arithmetic import LayerCost, trace_network
from stepladder.network.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Concatenation,
    GlobalPool,
    LocallyConnected2d,
    MaxPool2x2,
    PaddedConv2d,
    PadTo,
    ResidualSum,
    Scaled,
    SeededDropout,
    SqueezeExcitation,
    SubsampledShortcut,
)
from stepladder.network.own_module import build_own
from stepladder.network.spec import (
    AvgPool,
    BatchNorm,
    Celu,
    Concat,
    Conv,
    DepthwiseConv,
    Dropout,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    HardSwish,
    Layer,
    LayerNorm,
    LeakyRelu,
    Linear,
    LocallyConnected,
    MaxPool,
    Network,
    Pad,
    Relu,
    Residual,
    Scale,
    Silu,
    SqueezeExcite,
    Tanh,
    walk,
)

#: Gives the random stream of a name on a device; the same name always starts the same stream.
Stream = Callable[[str, torch.device], torch.Generator]

_CPU = torch.device("cpu")


def build_network(
    network: Network, input_shape: tuple[int, int, int], num_classes: int, stream: Stream, device: torch.device = _CPU
) -> nn.Sequential:
    """Build ``network`` for images of ``input_shape`` (C, H, W), with initial weights, on ``device``.

    Weights and biases are drawn uniformly from ±1/√fan_in, PyTorch's default for convolutions and linear layers, from
    the stream ``weights/<layer name>``; always on the CPU, so that every device starts from the same weights. The
    global random state is neither read nor changed.

    Returns:
        a module from (N, C, H, W) float images to (N, num_classes) logits, in channels-last layout (one of the user's
        own only where it reads it). Its children have the layers' names; a residual's are ``body``, with children of
        its layers' names, ``<name>_shortcut`` and ``<name>_shortcut_norm``; a concatenation's ``branch1``,
        ``branch2``, …; those of a squeeze-and-excitation ``<name>_reduce`` and ``<name>_expand``.

    Raises:
        RecipeError: a layer does not fit what comes into it, has a name that a module cannot have, or needs more memory
            than there is.
    """
    if network.own is not None:
        return build_own(network.own, input_shape, num_classes, stream, device)
    costs = trace_network(network, input_shape, num_classes)
    try:
        built = outline_network(network, costs, stream, device)
        _allocate(built)
    except RuntimeError as error:
        largest = max(costs, key=lambda cost: cost.weights)
        raise RecipeError(
            f"there is no memory for {sum(cost.weights for cost in costs):,} weights, "
            f"{largest.weights:,} of them in {largest.place}; make that layer smaller"
        ) from error
    for path, module in built.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear | LocallyConnected2d):
            _draw_weights(module, stream(f"weights/{path.rpartition('.')[2]}", _CPU))
        elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d | nn.GroupNorm | nn.LayerNorm):
            module.reset_parameters()
    return built.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def outline_network(
    network: Network, costs: Sequence[LayerCost], stream: Stream, device: torch.device = _CPU
) -> nn.Sequential:
    """Build the layer list ``network`` on the meta device: the names and shapes of all its weights, and no memory.

    Args:
        costs: what :func:`trace_network` says of it.
        device: where dropouts will draw.

    Raises:
        RecipeError: a layer has a name that a module cannot have.
        RuntimeError: a tensor has more numbers than any can have.
    """
    for number, layer in walk(network.layers):
        if hasattr(nn.Sequential(), layer.name):
            raise RecipeError(
                f"layer {number} is called '{layer.name}', which PyTorch needs itself; choose another name"
            )
    # On the meta device constructors draw no random numbers and fill no memory.
    with torch.device("meta"):
        return _sequence(network.layers, {cost.layer.name: cost for cost in costs}, stream, device)


def _sequence(
    layers: tuple[Layer, ...], costs: dict[str, LayerCost], stream: Stream, device: torch.device
) -> nn.Sequential:
    modules: OrderedDict[str, nn.Module] = OrderedDict()
    for layer in _relu_after_pooling(layers):
        cost = costs[layer.name]
        if isinstance(layer, Residual):
            body = _sequence(layer.body, costs, stream, device)
            modules[layer.name] = ResidualSum(body, _shortcut(layer, cost))
        elif isinstance(layer, Concat):
            modules[layer.name] = Concatenation(_sequence(branch, costs, stream, device) for branch in layer.branches)
        else:
            modules[layer.name] = _module(cost, stream, device)
    return nn.Sequential(modules)


def _relu_after_pooling(layers: tuple[Layer, ...]) -> list[Layer]:
    """Swap each ReLU with a max pooling right after it: they commute, and a 2×2 pool leaves a quarter to do.

    Of the activations ReLU alone: GELU is not monotone, so that the largest value need not stay the largest, and what
    rounding makes of the others is not exactly monotone.
    """
    order = list(layers)
    for position in range(len(order) - 1):
        if isinstance(order[position], Relu) and isinstance(order[position + 1], MaxPool):
            order[position], order[position + 1] = order[position + 1], order[position]
    return order


def _shortcut(layer: Residual, cost: LayerCost) -> dict[str, nn.Module]:
    if cost.shortcut_stride is None:
        return {}
    channels_in, channels_out = cost.input_shape[0], cost.output_shape[0]
    if layer.shortcut == "pad":
        return {layer.shortcut_name: SubsampledShortcut(cost.shortcut_stride, channels_out - channels_in)}
    modules: dict[str, nn.Module] = {
        layer.shortcut_name: nn.Conv2d(channels_in, channels_out, 1, cost.shortcut_stride, bias=False)
    }
    if layer.shortcut == "conv_norm":
        modules[layer.shortcut_norm_name] = BatchNorm2d(channels_out)
    return modules


def _module(cost: LayerCost, stream: Stream, device: torch.device) -> nn.Module:
    layer, channels = cost.layer, cost.input_shape[0]
    if isinstance(layer, Conv | DepthwiseConv | LocallyConnected):
        return _convolution(layer, cost)
    if isinstance(layer, MaxPool):
        if layer.kernel_size == layer.stride == 2 and layer.padding == 0:
            return MaxPool2x2(layer.ceil_mode)
        return nn.MaxPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
    if isinstance(layer, AvgPool):
        return nn.AvgPool2d(layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode)
    if isinstance(layer, BatchNorm):
        norm = BatchNorm2d if len(cost.input_shape) == 3 else BatchNorm1d
        return norm(channels, layer.eps, layer.momentum)
    if isinstance(layer, GroupNorm):
        return nn.GroupNorm(layer.groups, channels)
    if isinstance(layer, LayerNorm):
        return nn.LayerNorm(cost.input_shape)
    if isinstance(layer, Dropout):
        return SeededDropout(layer.p, stream(f"dropout/{layer.name}", device), layer.whole_maps)
    if isinstance(layer, Linear):
        return nn.Linear(channels, cost.output_shape[0], layer.bias)
    if isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        return GlobalPool(largest=isinstance(layer, GlobalMaxPool))
    if isinstance(layer, Pad):
        return PadTo(layer.size)
    if isinstance(layer, Scale):
        return Scaled(layer.factor)
    if isinstance(layer, SqueezeExcite):
        reduce, expand = layer.parts
        hidden = layer.hidden_of(channels)
        return SqueezeExcitation({reduce: (channels, hidden), expand: (hidden, channels)}, layer.activation, layer.gate)
    if isinstance(layer, LeakyRelu):
        return nn.LeakyReLU(layer.negative_slope)
    if isinstance(layer, Silu):
        return nn.SiLU()
    if isinstance(layer, HardSwish):
        return nn.Hardswish()
    if isinstance(layer, Celu):
        return nn.CELU(layer.alpha)
    if isinstance(layer, Gelu):
        return nn.GELU()
    if isinstance(layer, Tanh):
        return nn.Tanh()
    if isinstance(layer, Flatten):
        return nn.Flatten()
    assert isinstance(layer, Relu), layer
    return nn.ReLU() if layer.ceiling is None else nn.Hardtanh(0.0, float(layer.ceiling))


def _convolution(layer: Conv | DepthwiseConv | LocallyConnected, cost: LayerCost) -> nn.Module:
    assert cost.windows is not None
    rows, columns = cost.windows
    channels = cost.input_shape[0]
    maps, *positions = cost.output_shape
    if isinstance(layer, LocallyConnected):
        return LocallyConnected2d(channels, maps, (positions[0], positions[1]), cost.windows, bias=layer.bias)
    groups = channels if isinstance(layer, DepthwiseConv) else layer.groups
    if rows.before == rows.after and columns.before == columns.after:
        padding = (rows.before, columns.before)
        return nn.Conv2d(channels, maps, layer.kernel, layer.stride, padding, layer.dilation, groups, layer.bias)
    return PaddedConv2d(channels, maps, cost.windows, groups=groups, bias=layer.bias)


def _allocate(built: nn.Module) -> None:
    """Give every tensor of a module on the meta device memory on the CPU, not filled.

    ``Module.to_empty`` does the same, by way of code that imports sympy: a third of a second in every process.
    """
    for module in built.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            module.register_parameter(name, nn.Parameter(torch.empty(parameter.shape, dtype=parameter.dtype)))
        for name, buffer in list(module.named_buffers(recurse=False)):
            module.register_buffer(name, torch.empty(buffer.shape, dtype=buffer.dtype))


def _draw_weights(module: nn.Conv2d | nn.Linear | LocallyConnected2d, generator: torch.Generator) -> None:
    fan_in = module.fan_in if isinstance(module, LocallyConnected2d) else module.weight[0].numel()
    bound = 1 / math.sqrt(fan_in)
    nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    if module.bias is not None:
        nn.init.uniform_(module.bias, -bound, bound, generator=generator)
