"""What each layer of a network puts out and costs, worked out from the layer list alone; no torch.

Of a network that a user's own file builds, :mod:`stepladder.network.own` asks the module, with torch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from stepladder.errors import LayerError, RecipeError
from stepladder.network.spec import (
    AvgPool,
    BaseLayer,
    BatchNorm,
    Concat,
    Conv,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    LocallyConnected,
    MaxPool,
    Network,
    OwnModule,
    Pad,
    Residual,
    SqueezeExcite,
    number_within,
)

#: (channels, height, width) of a map, or (features,) after flattening.
Shape = tuple[int, ...]
#: (C, H, W) of images.
Shape3 = tuple[int, int, int]

# The largest figure of an image size that is read.
_LARGEST = 2**16


@dataclass(frozen=True)
class Window:
    """How a layer reads one axis of its input.

    Attributes:
        kernel_size: taps of a window.
        stride: pixels from one window to the next.
        dilation: pixels from one tap to the next.
        before: pixels of padding before the first pixel (at the top or left).
        after: the same behind the last pixel.
        ceil_mode: whether a last window that overhangs by less than a stride is kept.
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    ceil_mode: bool = False

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last: dilation·(kernel_size − 1) + 1."""
        return self.dilation * (self.kernel_size - 1) + 1

    def output_size(self, size: int) -> int:
        """⌊(size + padding − extent) / stride⌋ + 1 (Dumoulin and Visin 2016, relationship 15); 0 where nothing fits.

        With ``ceil_mode`` rounded up instead; as in PyTorch, a window that would start beyond the map is left out.
        """
        room = size + self.before + self.after - self.extent + (self.stride - 1 if self.ceil_mode else 0)
        if room < 0:
            return 0
        windows = room // self.stride + 1
        if self.ceil_mode and (windows - 1) * self.stride >= size + self.before:
            windows -= 1
        return windows

    def unread(self, size: int) -> int:
        """Pixels at the end of an axis of ``size`` that no window reaches."""
        reached = (self.output_size(size) - 1) * self.stride + self.extent - self.before
        return max(0, size - reached)


def windows_of(layer: BaseLayer, height: int, width: int) -> tuple[Window, Window] | None:
    """Return how ``layer`` reads rows and columns of (height, width) maps; None where no window slides."""
    if isinstance(layer, Conv | DepthwiseConv | LocallyConnected):
        return _convolved(layer, 0, height), _convolved(layer, 1, width)
    if isinstance(layer, MaxPool | AvgPool):
        pad, ceil = layer.padding, layer.ceil_mode
        window = Window(layer.kernel_size, layer.stride, 1, pad, pad, ceil)
        return window, window
    if isinstance(layer, Pad):
        rows, columns = (_padded(size, layer.size) for size in (height, width))
        return rows, columns
    return None


def _convolved(layer: Conv | DepthwiseConv | LocallyConnected, axis: int, size: int) -> Window:
    window = Window(layer.kernel[axis], layer.stride, layer.dilation)
    if layer.padding == "same":
        total = max(0, (-(-size // layer.stride) - 1) * layer.stride + window.extent - size)
        return replace(window, before=total // 2, after=total - total // 2)
    padding = layer.padding if isinstance(layer.padding, int) else layer.padding[axis]
    return replace(window, before=padding, after=padding)


def _padded(size: int, wanted: int) -> Window:
    missing = max(0, wanted - size)
    return Window(1, before=missing // 2, after=missing - missing // 2)


@dataclass(frozen=True)
class LayerCost:
    """One layer of a network on one input size.

    Attributes:
        number: where it stands: ``3``, or ``3.2`` for the second layer in the body of the third; see
            :func:`stepladder.network.spec.walk`.
        input_shape: (C, H, W), or (features,) after flattening; without the batch.
        output_shape: the same of what comes out.
        weights: learned numbers, biases among them; of a residual those of its shortcut, as its body has its own rows.
        macs: multiply-accumulates an image forward, of convolutions and fully connected layers; biases, pooling and
            activations are not counted.
        windows: how it reads rows and columns; None where no window slides.
        shortcut_stride: of a residual whose body changes the shape, the stride of its shortcut; else None.
        branch_stride: of a concatenation, how many pixels of its input neighbors of its output are apart; else None.
    """

    layer: Layer
    number: str
    input_shape: Shape
    output_shape: Shape
    weights: int
    macs: int
    windows: tuple[Window, Window] | None = None
    shortcut_stride: int | None = None
    branch_stride: int | None = None

    @property
    def stride(self) -> int:
        """How many pixels of its input neighbors of its output are apart."""
        return self.windows[0].stride if self.windows else self.shortcut_stride or self.branch_stride or 1

    @property
    def place(self) -> str:
        """How messages name it: by number and name."""
        return f"layer {self.number} ({self.layer.name})"


def trace_network(network: Network, input_shape: tuple[int, int, int], num_classes: int) -> tuple[LayerCost, ...]:
    """Work out every layer of ``network`` for images of ``input_shape`` (C, H, W).

    Returns:
        a cost a layer, those within a residual or a concatenation before its own; sums over all are the network's.

    Raises:
        RecipeError: a layer does not fit what comes into it, named by number and name.
    """
    if min(input_shape) < 1:
        raise RecipeError(f"the images are {format_shape(input_shape)}; channels, height and width must be at least 1")
    costs = _trace(network.layers, input_shape, num_classes, "")
    shape = costs[-1].output_shape if costs else input_shape
    if shape != (num_classes,):
        raise _wrong_output(network, costs, shape, num_classes)
    return costs


def _trace(layers: tuple[Layer, ...], shape: Shape, num_classes: int, above: str) -> tuple[LayerCost, ...]:
    costs: list[LayerCost] = []
    for position, layer in enumerate(layers, start=1):
        number = f"{above}{position}"
        inner = [
            _trace(layers, shape, num_classes, number_within(layer, number, branch))
            for branch, layers in enumerate(layer.inner, start=1)
        ]
        for traced in inner:
            costs += traced
        if isinstance(layer, Residual):
            (body,) = inner
            costs.append(_join(layer, number, shape, _end_of(body, shape), _total_stride(layer.body, body)))
        elif isinstance(layer, Concat):
            costs.append(_concatenate(layer, number, shape, inner))
        else:
            costs.append(_cost(layer, number, shape, num_classes))
        shape = costs[-1].output_shape
    return tuple(costs)


def _cost(layer: Layer, number: str, shape: Shape, num_classes: int) -> LayerCost:
    place = f"layer {number} ({layer.name})"
    output, weights, macs, windows = shape, 0, 0, None
    if isinstance(layer, OwnModule):
        from stepladder.network.own import figures_of  # here, as it runs a user's code, which needs torch

        output = (num_classes,)
        weights, macs = figures_of(layer, _map(place, shape, layer.name), num_classes)
    elif isinstance(layer, BatchNorm):
        weights = 2 * shape[0]
    elif isinstance(layer, GroupNorm):
        _divides(layer.groups, shape[0], "channels", place, layer.name)
        weights = 2 * shape[0]
    elif isinstance(layer, LayerNorm):
        weights = 2 * math.prod(shape)
    elif isinstance(layer, SqueezeExcite):
        channels = _map(place, shape, layer.name)[0]
        hidden = layer.hidden_of(channels)
        weights, macs = 2 * channels * hidden + hidden + channels, 2 * channels * hidden
    elif isinstance(layer, Flatten):
        output = (math.prod(shape),)
    elif isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        output = (_map(place, shape, layer.name)[0],)
    elif isinstance(layer, Linear):
        if len(shape) != 1:
            raise LayerError(
                f"{place} is fully connected and gets maps of {format_shape(shape)}; put a flatten before it",
                layer.name,
            )
        features = num_classes if layer.features == "classes" else layer.features
        output, weights, macs = (features,), (shape[0] + layer.bias) * features, shape[0] * features
    elif (windows := windows_of(layer, *(shape[1:] if len(shape) == 3 else (1, 1)))) is not None:
        channels = _map(place, shape, layer.name)[0]
        rows, columns = (_fit(place, size, window, layer.name) for size, window in zip(shape[1:], windows, strict=True))
        output = (channels, rows, columns)
        if isinstance(layer, Conv | DepthwiseConv | LocallyConnected):
            maps, taps = _kernels(layer, place, channels, num_classes)
            positions = rows * columns if isinstance(layer, LocallyConnected) else 1
            output = (maps, rows, columns)
            weights = positions * maps * (taps + layer.bias)
            macs = rows * columns * maps * taps
    return LayerCost(layer, number, shape, output, weights, macs, windows)


def _kernels(
    layer: Conv | DepthwiseConv | LocallyConnected, place: str, channels: int, classes: int
) -> tuple[int, int]:
    """Return how many maps come out, and the weights of one kernel without its bias."""
    taps = math.prod(layer.kernel)
    if isinstance(layer, DepthwiseConv):
        return channels * layer.multiplier, taps
    if isinstance(layer, LocallyConnected):
        return layer.channels, taps * channels
    maps = classes if layer.channels == "classes" else layer.channels
    _divides(layer.groups, channels, "input channels", place, layer.name)
    _divides(layer.groups, maps, "output channels", place, layer.name)
    return maps, taps * channels // layer.groups


def _end_of(costs: tuple[LayerCost, ...], shape: Shape) -> Shape:
    """Return what comes out of the layers of ``costs`` where ``shape`` goes in."""
    return costs[-1].output_shape if costs else shape


def _join(layer: Residual, number: str, shape: Shape, inner: Shape, stride: int) -> LayerCost:
    """Work out the sum at the end of a residual, and the shortcut that it needs."""
    place = f"layer {number} ({layer.name})"
    if inner == shape:
        return LayerCost(layer, number, shape, shape, 0, 0)
    fits = len(inner) == len(shape) == 3 and all(
        (before - 1) // stride + 1 == after for before, after in zip(shape[1:], inner[1:], strict=True)
    )
    if not fits:
        raise LayerError(
            f"{place} cannot add its input of {format_shape(shape)} to the {format_shape(inner)} of its body; keep the "
            f"size with padding = (kernel_size − 1)/2, or let the body's strides divide it",
            layer.name,
        )
    if layer.shortcut == "pad":
        if inner[0] < shape[0]:
            raise LayerError(
                f"{place} pads its shortcut with zero channels, and its body makes fewer channels of {shape[0]}, "
                f'{inner[0]}; use shortcut = "conv"',
                layer.name,
            )
        return LayerCost(layer, number, shape, inner, 0, 0, None, stride)
    kernels = shape[0] * inner[0]
    norm = 2 * inner[0] if layer.shortcut == "conv_norm" else 0
    return LayerCost(layer, number, shape, inner, kernels + norm, kernels * inner[1] * inner[2], None, stride)


def _concatenate(layer: Concat, number: str, shape: Shape, inner: list[tuple[LayerCost, ...]]) -> LayerCost:
    """Work out the concatenation of branches."""
    place = f"layer {number} ({layer.name})"
    ends = [_end_of(costs, shape) for costs in inner]
    if len({end[1:] for end in ends}) > 1 or len({len(end) for end in ends}) > 1:
        raise LayerError(
            f"{place} cannot put the {', '.join(map(format_shape, ends[:-1]))} and {format_shape(ends[-1])} of its "
            f"branches behind one another; let all have one height and width, with the same strides and with padding = "
            f"(kernel_size − 1)/2",
            layer.name,
        )
    strides = [_total_stride(layers, costs) for layers, costs in zip(layer.inner, inner, strict=True)]
    if len(set(strides)) > 1 and any(side > 1 for side in ends[0][1:]):
        raise LayerError(
            f"{place} has branches with strides of {' and '.join(map(str, sorted(set(strides))))}, so that their "
            f"pixels belong to different places of the image; give all the same stride",
            layer.name,
        )
    output = (sum(end[0] for end in ends), *ends[0][1:])
    return LayerCost(layer, number, shape, output, 0, 0, branch_stride=max(strides))


def _total_stride(layers: tuple[Layer, ...], costs: tuple[LayerCost, ...]) -> int:
    """Return how many pixels apart neighbors of the last layer's output are at the input of the first.

    Args:
        costs: of ``layers``, and of those within them.
    """
    own = {id(layer) for layer in layers}
    return math.prod(cost.stride for cost in costs if id(cost.layer) in own)


def _fit(place: str, size: int, window: Window, name: str) -> int:
    """Return the output size, at least 1."""
    output = window.output_size(size)
    if output < 1:
        padding = window.before + window.after
        padded = f"{size} + 2·{window.before} = {size + padding}"
        if window.before != window.after:
            padded = f"{size} + {padding} = {size + padding}"
        reach = f" (dilation {window.dilation}: {window.extent} pixels)" if window.dilation > 1 else ""
        raise LayerError(
            f"{place} has a kernel of {window.kernel_size}{reach} and gets {padded} pixels; "
            f"use larger images, a smaller kernel or more padding",
            name,
        )
    return output


def _divides(groups: int, channels: int, word: str, place: str, name: str) -> None:
    if channels % groups:
        fitting = [str(count) for count in range(1, min(channels, 512) + 1) if channels % count == 0]
        raise LayerError(
            f"{place} has groups = {groups}, which does not divide its {channels} {word}; choose "
            f"{' or '.join(fitting[-4:])}",
            name,
        )


def _map(place: str, shape: Shape, name: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise LayerError(f"{place} works on maps and gets {format_shape(shape)}; put it before the flatten", name)
    channels, height, width = shape
    return channels, height, width


def _wrong_output(network: Network, costs: tuple[LayerCost, ...], shape: Shape, num_classes: int) -> RecipeError:
    sentence = f"the network puts out {format_shape(shape)} where {num_classes} classes need {num_classes} values; "
    fix = 'let it end in a linear layer with features = "classes"'
    last = next((cost for cost in reversed(costs) if cost.macs), None)
    if last is None:
        return RecipeError(sentence + fix)
    if len(shape) == 1 and last.output_shape == shape and isinstance(last.layer, Linear):
        return LayerError(f"{sentence}{fix} in place of {last.layer.features} in {last.place}", last.layer.name)
    return LayerError(f"{sentence}{fix} after {costs[-1].place}", network.layers[-1].name)


def format_shape(shape: Shape) -> str:
    """Write a shape as ``3×32×32`` or ``1024 values``."""
    return "×".join(map(str, shape)) + (" values" if len(shape) == 1 else "")


def parse_input(text: str, parameter: str = "input") -> tuple[int, int, int]:
    """Return (C, H, W) of a text such as ``3x32x32``: the size of images as users write it, channels first.

    Args:
        parameter: what the text was given as, for the message.

    Raises:
        RecipeError: another form; the sentence says which order is wanted.
    """
    figures = [figure.strip() for figure in re.split(r"[x×X*,]", text)]
    wanted = "channels, height and width in this order, as 3x32x32 for color or 1x28x28 for gray"
    given = f"`{parameter}` is '{text}'"
    if not all(re.fullmatch(r"\d{1,9}", figure, re.ASCII) for figure in figures):
        raise RecipeError(f"{given}; write {wanted}")
    sizes = [int(figure) for figure in figures]
    if len(sizes) != 3:
        hint = (
            f"; for color images of {sizes[0]}×{sizes[1]} that is 3x{sizes[0]}x{sizes[1]}"
            if len(sizes) == 2 and sizes[0] > 4
            else ""
        )
        raise RecipeError(f"{given}, {len(sizes)} figure{'s' * (len(sizes) != 1)}; write {wanted}{hint}")
    channels, height, width = sizes
    if channels > 4 and width <= 4:
        raise RecipeError(f"{given}, which has the channels last; write {wanted}: here {width}x{channels}x{height}")
    if not all(1 <= size <= _LARGEST for size in sizes):
        raise RecipeError(f"{given}; each figure must be 1 to {_LARGEST:,}")
    return channels, height, width
