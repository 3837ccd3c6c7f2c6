"""Every figure of a layer written out: the formula, the numbers put in, the result."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stepladder.network.arithmetic import LayerCost, Window, format_shape
from stepladder.network.receptive_field import Field, Fields
from stepladder.network.spec import (
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    DepthwiseConv,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    LayerNorm,
    Linear,
    LocallyConnected,
    MaxPool,
    OwnModule,
    Relu,
    Residual,
    SqueezeExcite,
)

#: What a figure is, and its working.
Working = tuple[str, str]


def explain_layer(cost: LayerCost, before: Fields, after: Fields) -> tuple[Working, ...]:
    """Return the working of a layer's output size, weights, MACs and receptive field.

    Args:
        before, after: the receptive fields at its input and output.
    """
    workings = [*_output(cost), *_weights(cost), *_macs(cost), *_field(cost, before, after)]
    return tuple(workings)


def explain_memory(shape: tuple[int, ...], batch_size: int, bytes_per_value: int) -> Working:
    """Return the working of the memory that an output takes for a batch."""
    values = "·".join(map(str, shape))
    total = math.prod(shape) * batch_size * bytes_per_value
    return "memory", f"{values} values · {batch_size} images · {bytes_per_value} bytes = {total:,} bytes"


def general_rules(costs: tuple[LayerCost, ...]) -> tuple[str, ...]:
    """Return the rules that all layers share, with the kernel of the first convolution put in."""
    kernels = [cost.layer.kernel for cost in costs if isinstance(cost.layer, Conv | DepthwiseConv)]
    k = next((rows for rows, columns in kernels if rows == columns > 1), 3)
    return (
        "size: ⌊(n + 2·padding − k)/stride⌋ + 1. The + 1 is the first window; the report's own formula forgets it.",
        "weights: k·k·channels in·channels out, and one bias a channel out.",
        "MACs: the weights without biases, once for every position of the output.",
        f"receptive field: r ← r + (k − 1)·j, then j ← j·stride, from r = j = 1. Two k×k convolutions at stride 1 see "
        f"(2k − 1)² pixels: with k = {k}, r = 1 + {k - 1} + {k - 1} = {2 * k - 1}, {2 * k - 1}·{2 * k - 1} = "
        f"{(2 * k - 1) ** 2}.",
        "center: of the first output's field, in pixels from the middle of the image's first pixel; start + (r − 1)/2.",
    )


def _output(cost: LayerCost) -> Iterator[Working]:
    layer, shape, output = cost.layer, cost.input_shape, format_shape(cost.output_shape)
    if cost.windows is not None:
        rows, columns = (
            _size(size, window, result)
            for size, window, result in zip(shape[1:], cost.windows, cost.output_shape[1:], strict=True)
        )
        yield "output", f"{rows}{' rows and columns' if rows == columns else f' rows, {columns} columns'}; {output}"
    elif isinstance(layer, Flatten) and len(shape) == 3:
        yield "output", f"{'·'.join(map(str, shape))} = {math.prod(shape):,} values in a row"
    elif isinstance(layer, GlobalAvgPool | GlobalMaxPool):
        yield "output", f"one value for each of {shape[0]} maps"
    elif isinstance(layer, Linear):
        yield "output", f"{cost.output_shape[0]:,} values, each from all {shape[0]:,}"
    elif isinstance(layer, Residual):
        yield "output", f"input + body, {output}"
    elif isinstance(layer, SqueezeExcite):
        yield "output", f"each of {shape[0]} maps times its gate, {output}"
    elif isinstance(layer, Concat):
        what = "channels" if len(shape) == 3 and len(cost.output_shape) == 3 else "values"
        yield "output", f"the {what} of {len(layer.branches)} branches one behind another, {output}"


def _size(size: int, window: Window, result: int) -> str:
    if window.kernel_size == 1 and window.stride == 1:
        return f"{size} + {window.before} + {window.after} = {result}" if window.after else f"{size}"
    padding = f"2·{window.before}" if window.before == window.after else f"{window.before} + {window.after}"
    extent = f"({window.dilation}·({window.kernel_size} − 1) + 1)" if window.dilation > 1 else str(window.kernel_size)
    left, right = "⌈⌉" if window.ceil_mode else "⌊⌋"
    working = f"{left}({size} + {padding} − {extent})/{window.stride}{right} + 1"
    plain = Window(window.kernel_size, window.stride, window.dilation, window.before, window.after)
    if window.ceil_mode and result not in (plain.output_size(size), plain.output_size(size) + 1):
        working += " (less a window that would start beyond the map)"
    elif window.ceil_mode and -(-(size + 2 * window.before - window.extent) // window.stride) + 1 != result:
        working += " − 1 (the last window would start beyond the map)"
    return f"{working} = {result}"


def _weights(cost: LayerCost) -> Iterator[Working]:
    layer, shape = cost.layer, cost.input_shape
    total = f"{cost.weights:,}"
    if isinstance(layer, Conv | DepthwiseConv | LocallyConnected):
        working, maps = _kernels(cost), cost.output_shape[0]
        working += f" + {maps}" if layer.bias else " (no bias)"
        if isinstance(layer, LocallyConnected):
            working = f"{cost.output_shape[1]}·{cost.output_shape[2]} positions · ({working})"
        yield "weights", f"{working} = {total}"
    elif isinstance(layer, Linear):
        bias = f" + {cost.output_shape[0]}" if layer.bias else " (no bias)"
        yield "weights", f"{shape[0]}·{cost.output_shape[0]}{bias} = {total}"
    elif isinstance(layer, BatchNorm | GroupNorm):
        yield "weights", f"a scale and a shift for {shape[0]} channels, 2·{shape[0]} = {total}"
    elif isinstance(layer, LayerNorm):
        yield "weights", f"a scale and a shift for every value, 2·{'·'.join(map(str, shape))} = {total}"
    elif isinstance(layer, SqueezeExcite):
        hidden = layer.hidden_of(shape[0])
        yield "weights", f"{shape[0]}·{hidden} + {hidden} + {hidden}·{shape[0]} + {shape[0]} = {total}"
    elif isinstance(layer, OwnModule):
        yield "weights", f"those of the module that {layer.reference} returns = {total}"
    elif cost.weights:
        assert isinstance(layer, Residual)
        maps = cost.output_shape[0]
        norm = f" + 2·{maps} of its batch norm" if layer.shortcut == "conv_norm" else ""
        yield "weights", f"shortcut 1·1·{shape[0]}·{maps} (no bias){norm} = {total}"


def _kernels(cost: LayerCost) -> str:
    """Write out the weights of all kernels without their biases."""
    layer, channels, maps = cost.layer, cost.input_shape[0], cost.output_shape[0]
    if isinstance(layer, Residual):
        return f"1·1·{channels}·{maps}"
    assert isinstance(layer, Conv | DepthwiseConv | LocallyConnected)
    kernel = f"{layer.kernel[0]}·{layer.kernel[1]}"
    if isinstance(layer, DepthwiseConv):
        return f"{kernel}·{maps}"
    if isinstance(layer, Conv) and layer.groups > 1:
        return f"{kernel}·({channels}/{layer.groups})·{maps}"
    return f"{kernel}·{channels}·{maps}"


def _macs(cost: LayerCost) -> Iterator[Working]:
    layer, shape = cost.layer, cost.input_shape
    if not cost.macs:
        return
    if isinstance(layer, OwnModule):
        yield "MACs", f"counted by torch in one forward pass = {cost.macs:,}"
        return
    if isinstance(layer, Linear):
        yield "MACs", f"{shape[0]}·{cost.output_shape[0]} = {cost.macs:,}"
        return
    if isinstance(layer, SqueezeExcite):
        yield "MACs", f"2·{shape[0]}·{layer.hidden_of(shape[0])} = {cost.macs:,}"
        return
    _, rows, columns = cost.output_shape
    yield "MACs", f"{_kernels(cost)} at each of {rows}·{columns} positions = {cost.macs:,}"


def _field(cost: LayerCost, before: Fields, after: Fields) -> Iterator[Working]:
    """Work out the field along rows, and along columns too where a kernel is not square or was not before."""
    alike = cost.windows is None or cost.windows[0].kernel_size == cost.windows[1].kernel_size
    if alike and before[0] == before[1] and after[0] == after[1]:
        yield from (("field", working) for working in _along(cost, before[0], after[0], 0))
        return
    unlike = not alike or before[0].size != before[1].size or after[0].size != after[1].size
    for axis, words in enumerate(("field", "columns") if unlike else ("field",)):
        yield from ((words, working) for working in _along(cost, before[axis], after[axis], axis))


def _along(cost: LayerCost, before: Field, after: Field, axis: int) -> Iterator[str]:
    if cost.windows is not None and before.jump is not None:
        window = cost.windows[axis]
        if window.kernel_size == 1 and window.stride == 1 and not window.before:
            return
        taps = f"({window.kernel_size} − 1)" + (f"·{window.dilation}" if window.dilation > 1 else "")
        yield (
            f"r = {before.size} + {taps}·{before.jump} = {after.size}, "
            f"j = {before.jump}·{window.stride} = {after.jump}, center {after.center:g}"
        )
    elif isinstance(cost.layer, Residual | Concat):
        ways = "body and input" if isinstance(cost.layer, Residual) else "the branches together"
        what = "the larger of" if isinstance(cost.layer, Residual) else "what"
        see = "" if isinstance(cost.layer, Residual) else " see"
        yield f"{what} {ways}{see}: r = {after.size}, j = {after.jump}, center {after.center:g}"
    elif before.jump is not None and after.jump is None:
        count = cost.input_shape[1 + axis]
        word = "rows" if axis == 0 else "columns"
        yield f"all {count} {word}: r = {before.size} + ({count} − 1)·{before.jump} = {after.size}"


def describe_layer(cost: LayerCost) -> str:
    """Say in a few words what a layer is, as ``conv 5×5, padding 2``; its input and output stand elsewhere."""
    layer = cost.layer
    words = layer.kind.replace("_", " ")
    parts: list[str] = []
    if isinstance(layer, MaxPool | AvgPool):
        words += f" {layer.kernel_size}×{layer.kernel_size}"
    if isinstance(layer, Conv | DepthwiseConv | LocallyConnected):
        words += f" {layer.kernel[0]}×{layer.kernel[1]}"
        parts += [f"stride {layer.stride}"] if layer.stride > 1 else []
        padding = layer.padding if not isinstance(layer.padding, tuple) else "×".join(map(str, layer.padding))
        parts += [f"padding {padding}"] if padding else []
        parts += [f"dilation {layer.dilation}"] if layer.dilation > 1 else []
        parts += [f"groups {layer.groups}"] if isinstance(layer, Conv) and layer.groups > 1 else []
        parts += [] if layer.bias else ["no bias"]
    elif isinstance(layer, MaxPool | AvgPool):
        parts += [f"stride {layer.stride}"] if layer.stride != layer.kernel_size else []
        parts += [f"padding {layer.padding}"] if layer.padding else []
        parts += ["rounds up"] if layer.ceil_mode else []
    elif isinstance(layer, Linear):
        parts += [] if layer.bias else ["no bias"]
    elif isinstance(layer, Relu):
        words += "" if layer.ceiling is None else f", at most {layer.ceiling}"
    elif isinstance(layer, BatchNorm):
        parts += [f"{key} {layer.model_dump()[key]:g}" for key in ("eps", "momentum") if key in layer.model_dump()]
    elif isinstance(layer, OwnModule):
        words = f"module of {layer.reference}"
    elif isinstance(layer, Residual):
        if cost.shortcut_stride is not None:
            kind = {"pad": "zero channels", "conv": "1×1 conv", "conv_norm": "1×1 conv, batch norm"}[layer.shortcut]
            parts.append(f"shortcut of stride {cost.shortcut_stride} and {kind}")
        words = "sum of input and body"
    elif isinstance(layer, Concat):
        words = f"concatenation of {len(layer.branches)} branches"
        if () in layer.branches:
            words += ", one the input"
    elif isinstance(layer, SqueezeExcite):
        words = f"squeeze and excite by {layer.hidden_of(cost.input_shape[0])} values"
        parts += ["SiLU"] if layer.activation == "silu" else []
        parts += ["hard sigmoid"] if layer.gate == "hard_sigmoid" else []
    else:
        parts += [f"{value:g}" for key, value in layer if key not in ("name", "kind") and isinstance(value, float)]
        parts += [f"{key} {value}" for key, value in layer if key in ("groups", "size")]
    return ", ".join([words, *parts])
