"""How every parameter of a network reads in a mirror, where channels come in twins: one the mirror image of the other.

Channels 2k and 2k + 1 of every hidden layer are twins. A network whose parameters all equal their own mirror images
puts out the same for an image and its mirror image, left and right exchanged: convolutions over the group of the two
reflections (Cohen and Welling, Group Equivariant Convolutional Networks, 2016, section 6), written as an ordinary
network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stepladder.errors import LayerError
from stepladder.network.arithmetic import LayerCost, trace_network
from stepladder.network.spec import (
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
    Network,
    Residual,
    SqueezeExcite,
    is_output,
)

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Mirror:
    """A parameter's mirror image: its values, seen as of ``shape``, in the opposite order along ``axes``.

    Attributes:
        shape: the parameter's own, but with an axis of n twins' channels as two, of n/2 and of 2.
        axes: those of the twins and of columns; none where nothing changes in the mirror.
    """

    shape: tuple[int, ...]
    axes: tuple[int, ...] = ()

    def __add__(self, other: Mirror) -> Mirror:
        """Return the mirror of a parameter whose first axes are this one's and whose last are the other's."""
        return Mirror(self.shape + other.shape, self.axes + tuple(len(self.shape) + axis for axis in other.axes))

    def of(self, values: Tensor) -> Tensor:
        """Return the mirror image of ``values``, of the same shape."""
        return values.view(self.shape).flip(self.axes).reshape(values.shape) if self.axes else values


@dataclass(frozen=True)
class _Values:
    """What passes between two layers: ``channels``, each of ``positions`` where there are any (height, width)."""

    channels: Mirror
    positions: Mirror = Mirror(())

    @property
    def every(self) -> Mirror:
        return self.channels + self.positions

    @property
    def twins(self) -> bool:
        return bool(self.channels.axes)


def mirrors_of(network: Network, input_shape: tuple[int, int, int], num_classes: int) -> dict[str, Mirror]:
    """Return the mirror of every parameter and running statistic of ``network``, by ``<layer name>.<parameter>``.

    Args:
        input_shape: (C, H, W) of the images; their channels have no twins.

    Raises:
        RecipeError: the network reads left and right differently, or channels cannot come in twins; with the layer.
    """
    costs = {cost.layer.name: cost for cost in trace_network(network, input_shape, num_classes)}
    found: dict[str, Mirror] = {}
    _pass(network.layers, _Values(Mirror(input_shape[:1]), _positions(input_shape)), costs, found)
    return found


def _pass(layers: tuple[Layer, ...], values: _Values, costs: dict[str, LayerCost], found: dict[str, Mirror]) -> _Values:
    """Put what ``layers`` have into ``found``, and return what comes out where ``values`` go in."""
    for layer in layers:
        cost = costs[layer.name]
        if isinstance(layer, Residual):
            values = _sum(layer, cost, values, _pass(layer.body, values, costs, found), found)
            continue
        if isinstance(layer, Concat):
            values = _concatenated(cost, [_pass(branch, values, costs, found) for branch in layer.branches])
            continue
        _reads_both_ways(cost)
        if isinstance(layer, Conv | DepthwiseConv | LocallyConnected | Linear):
            channels = _channels_out(layer, cost, values)
            found |= _weights(layer, cost, values, channels)
            values = _Values(channels, _positions(cost.output_shape))
        elif isinstance(layer, SqueezeExcite):
            found |= _gates(layer, cost, values)
        elif isinstance(layer, BatchNorm | GroupNorm | LayerNorm):
            found |= _normalization(layer, cost, values)
        elif isinstance(layer, Flatten):
            values = _Values(values.every)
        elif isinstance(layer, GlobalAvgPool | GlobalMaxPool):
            values = _Values(values.channels)
        elif cost.windows is not None:
            values = _Values(values.channels, _positions(cost.output_shape))
    return values


def _positions(shape: tuple[int, ...]) -> Mirror:
    """Return how (C, H, W) maps read in the mirror: columns from the other side."""
    return Mirror(shape[1:], (1,)) if len(shape) == 3 else Mirror(())


def _twins(count: int) -> Mirror:
    return Mirror((count // 2, 2), (1,))


def _reads_both_ways(cost: LayerCost) -> None:
    if cost.windows is None:
        return
    columns, width = cost.windows[1], cost.input_shape[2]
    over = (width + columns.before + columns.after - columns.extent) % columns.stride
    if columns.before != columns.after or over:
        raise LayerError(
            f"{cost.place} does not read maps {width} pixels wide alike from left and right; use a kernel, stride "
            f"and padding that begin and end alike, or images of another width",
            cost.layer.name,
        )


def _channels_out(layer: Layer, cost: LayerCost, values: _Values) -> Mirror:
    count = cost.output_shape[0]
    if is_output(layer):
        return Mirror((count,))
    if isinstance(layer, DepthwiseConv):
        # Each channel stays by itself, so that twins stay twins.
        return values.channels
    if count % 2:
        raise LayerError(
            f"{cost.place} has {count} channels, which cannot come in twins; give it {count + 1}", cost.layer.name
        )
    return _twins(count)


def _weights(
    layer: Conv | DepthwiseConv | LocallyConnected | Linear, cost: LayerCost, values: _Values, channels: Mirror
) -> dict[str, Mirror]:
    name, bias = layer.name, channels
    if isinstance(layer, Linear):
        weight = channels + values.channels
    else:
        if getattr(layer, "groups", 1) > 1 or getattr(layer, "multiplier", 1) > 1:
            raise LayerError(
                f"{cost.place} keeps channels in groups, and twins would come to lie in different ones; use groups = 1 "
                f"or multiplier = 1",
                name,
            )
        kernel = Mirror(layer.kernel, (1,))
        if isinstance(layer, DepthwiseConv):
            weight = channels + Mirror((1,)) + kernel
        elif isinstance(layer, LocallyConnected):
            positions = _positions(cost.output_shape)
            weight, bias = positions + channels + values.channels + kernel, channels + positions
        else:
            weight = channels + values.channels + kernel
    return {f"{name}.weight": weight} | ({f"{name}.bias": bias} if layer.bias else {})


def _gates(layer: SqueezeExcite, cost: LayerCost, values: _Values) -> dict[str, Mirror]:
    """Return the mirrors of a squeeze-and-excitation, whose means and gates are twins where the maps are.

    An odd number of hidden values has no twins: each then reads twins alike.
    """
    count = layer.hidden_of(cost.input_shape[0])
    hidden = Mirror((count,)) if count % 2 else _twins(count)
    reduce, expand = layer.parts
    kernel = Mirror((1, 1))
    return {
        f"{reduce}.weight": hidden + values.channels + kernel,
        f"{reduce}.bias": hidden,
        f"{expand}.weight": values.channels + hidden + kernel,
        f"{expand}.bias": values.channels,
    }


def _concatenated(cost: LayerCost, branches: list[_Values]) -> _Values:
    """Return what a concatenation puts out, where its branches put out these."""
    channels = [branch.channels for branch in branches]
    alike = len({(len(each.shape), each.shape[1:], each.axes) for each in channels}) == 1
    if not alike or channels[0].axes not in ((), (1,)):
        raise LayerError(
            f"{cost.place} puts channels that are twins behind channels that are not, or values behind others of "
            f"another kind; put a convolution before it, and the concatenation before the flatten",
            cost.layer.name,
        )
    first = sum(each.shape[0] for each in channels)
    return _Values(Mirror((first, *channels[0].shape[1:]), channels[0].axes), _positions(cost.output_shape))


def _normalization(layer: Layer, cost: LayerCost, values: _Values) -> dict[str, Mirror]:
    size = values.every if isinstance(layer, LayerNorm) else values.channels
    names = ["weight", "bias"]
    if isinstance(layer, BatchNorm):
        names += ["running_mean", "running_var"]
    if isinstance(layer, GroupNorm) and values.twins:
        in_group = cost.input_shape[0] // layer.groups
        if in_group > 1 and in_group % 2:
            raise LayerError(
                f"{cost.place} has groups of {in_group} channels, which part twins; choose groups of an even number",
                layer.name,
            )
    return {f"{layer.name}.{name}": size for name in names}


def _sum(layer: Residual, cost: LayerCost, before: _Values, body: _Values, found: dict[str, Mirror]) -> _Values:
    """Return what a residual puts out, its shortcut's weights put into ``found``."""
    stride = cost.shortcut_stride
    if stride is not None and (cost.input_shape[2] - 1) % stride:
        raise LayerError(
            f"{cost.place} takes every pixel number {stride} of maps {cost.input_shape[2]} pixels wide, which differs "
            f"from left to right; pool between residuals instead, or use images of another width",
            layer.name,
        )
    if stride is not None and layer.shortcut != "pad":
        found[f"{layer.shortcut_name}.weight"] = body.channels + before.channels + Mirror((1, 1))
        if layer.shortcut == "conv_norm":
            for name in ("weight", "bias", "running_mean", "running_var"):
                found[f"{layer.shortcut_norm_name}.{name}"] = body.channels
    elif before.twins != body.twins:
        raise LayerError(
            f"{cost.place} adds channels that are twins to channels that are not; put a convolution before it",
            layer.name,
        )
    return body
