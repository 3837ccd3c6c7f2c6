"""May a network read images of another size than it was built for?

Convolutions and poolings may; whatever has a weight a position may not.
"""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.errors import RecipeError
from stepladder.network.arithmetic import LayerCost, Shape, Shape3, format_shape, trace_network
from stepladder.network.spec import Flatten, LayerNorm, Linear, LocallyConnected, Network

#: How far the search for sizes that fit goes.
_FARTHEST = 4096


@dataclass(frozen=True)
class Sizes:
    """Which image sizes a network takes once it is built.

    Attributes:
        binding: the first layer with a weight a position, which fixes the size; None where any size fits.
        wants: the shape that ``binding`` has weights for, as maps; of a fully connected layer that of the maps before
            the flatten.
        rows, columns: smallest and largest height and width that give it; largest None where any larger fits.
    """

    binding: LayerCost | None
    wants: Shape | None
    rows: tuple[int, int | None]
    columns: tuple[int, int | None]


def find_sizes(network: Network, costs: tuple[LayerCost, ...], num_classes: int) -> Sizes:
    """Return which image sizes ``network``, built as ``costs`` say, can be fed."""
    height, width = costs[0].input_shape[1:]
    channels = costs[0].input_shape[0]
    bound = _binding(costs)
    if bound is None:
        smallest = tuple(_smallest(network, channels, num_classes, axis, (height, width)) for axis in (0, 1))
        return Sizes(None, None, (smallest[0], None), (smallest[1], None))
    cost, wants = bound
    rows, columns = (_range(network, costs, num_classes, axis) for axis in (0, 1))
    return Sizes(cost, wants, rows, columns)


def check_feeding(network: Network, built_for: Shape3, given: Shape3, num_classes: int) -> tuple[LayerCost, ...]:
    """Return the costs of feeding images of ``given`` (C, H, W) to a network with weights for ``built_for``.

    Raises:
        RecipeError: it cannot read them; the sentence names the layer, the size that it wants, and two ways out.
    """
    built = trace_network(network, built_for, num_classes)
    if given == built_for:
        return built
    if given[0] != built_for[0]:
        raise RecipeError(
            f"the network is built for {format_shape(built_for)} and the images have {given[0]} channels; "
            f"give it images of {built_for[0]}"
        )
    sizes = find_sizes(network, built, num_classes)
    if sizes.binding is None:
        return trace_network(network, given, num_classes)
    if all(_within(size, limits) for size, limits in zip(given[1:], (sizes.rows, sizes.columns), strict=True)):
        return trace_network(network, given, num_classes)
    raise RecipeError(_refusal(network, sizes, built_for, given, num_classes))


def describe_sizes(sizes: Sizes, built_for: Shape3) -> str:
    """Say in a sentence or two what other sizes the network takes once it is built."""
    rows, columns = sizes.rows, sizes.columns
    if sizes.binding is None:
        smallest = f"{rows[0]}×{columns[0]}"
        return f"Built once, it reads images of any size from {smallest} pixels: no layer has a weight a position."
    span = _span(rows, columns)
    return (
        f"Built for {format_shape(built_for)}, it reads {span} only: convolutions and pooling take any size, but "
        f"{sizes.binding.layer.name} has weights for {_counted(sizes)}. Global average pooling (gap) in place of the "
        f"flatten would free it."
        if isinstance(sizes.binding.layer, Linear)
        else f"Built for {format_shape(built_for)}, it reads {span} only: {sizes.binding.layer.name} has weights for "
        f"every position of {_counted(sizes)}."
    )


def _refusal(network: Network, sizes: Sizes, built_for: Shape3, given: Shape3, num_classes: int) -> str:
    assert sizes.binding is not None
    layer = sizes.binding.layer
    got = "other maps"
    try:
        other = {cost.layer.name: cost for cost in trace_network(network, given, num_classes)}
        bound = _binding(tuple(other.values()))
        if bound is not None:
            got = _product(bound[1])
    except RecipeError as error:
        got = f"nothing at all ({error})"
    crop = "×".join(
        str(min(size, limits[1] or size)) for size, limits in zip(given[1:], (sizes.rows, sizes.columns), strict=True)
    )
    larger = all(size >= limits[0] for size, limits in zip(given[1:], (sizes.rows, sizes.columns), strict=True))
    fit = f"crop the images to {crop}" if larger else f"pad or enlarge the images to {built_for[1]}×{built_for[2]}"
    freeing = (
        ", or put global average pooling (gap) in place of the flatten, which takes any size and needs new training"
        if isinstance(layer, Linear)
        else ""
    )
    return (
        f"a network built for {format_shape(built_for)} cannot read {format_shape(given)}: convolutions and pooling "
        f"take any size, but {sizes.binding.place} has weights for {_counted(sizes)}, as "
        f"{_span(sizes.rows, sizes.columns)} give, and would get {got}; {fit}{freeing}"
    )


def _binding(costs: tuple[LayerCost, ...]) -> tuple[LayerCost, Shape] | None:
    """Return the first layer with a weight a position, and the maps that it wants."""
    flattened: Shape | None = None
    for cost in costs:
        if isinstance(cost.layer, LocallyConnected) or (
            isinstance(cost.layer, LayerNorm) and len(cost.input_shape) == 3
        ):
            return cost, cost.input_shape
        if isinstance(cost.layer, Flatten) and len(cost.input_shape) == 3:
            flattened = cost.input_shape
        if isinstance(cost.layer, Linear | LayerNorm) and flattened is not None:
            return cost, flattened
    return None


def _range(network: Network, costs: tuple[LayerCost, ...], num_classes: int, axis: int) -> tuple[int, int | None]:
    """Return the smallest and largest size of one axis that give the binding layer the same maps."""
    input_shape = list(costs[0].input_shape)
    size = input_shape[1 + axis]
    wanted = _binding(costs)

    def fits(other: int) -> bool:
        shape = list(input_shape)
        shape[1 + axis] = other
        try:
            bound = _binding(trace_network(network, (shape[0], shape[1], shape[2]), num_classes))
        except RecipeError:
            return False
        return bound is not None and wanted is not None and bound[1] == wanted[1]

    smallest = largest = size
    while smallest > 1 and fits(smallest - 1):
        smallest -= 1
    while largest < _FARTHEST and fits(largest + 1):
        largest += 1
    return smallest, largest


def _smallest(network: Network, channels: int, num_classes: int, axis: int, sizes: tuple[int, int]) -> int:
    """Return the smallest size of one axis that leaves something for every layer."""
    for size in range(1, sizes[axis]):
        shape = (channels, size, sizes[1]) if axis == 0 else (channels, sizes[0], size)
        try:
            trace_network(network, shape, num_classes)
        except RecipeError:
            continue
        return size
    return sizes[axis]


def _within(size: int, limits: tuple[int, int | None]) -> bool:
    return limits[0] <= size and (limits[1] is None or size <= limits[1])


def _counted(sizes: Sizes) -> str:
    assert sizes.wants is not None
    return _product(sizes.wants)


def _product(shape: Shape) -> str:
    channels, height, width = shape
    return f"{channels}×{height}×{width} = {channels * height * width:,} values"


def _span(rows: tuple[int, int | None], columns: tuple[int, int | None]) -> str:
    if rows == columns:
        return f"images of {rows[0]}×{rows[0]}" + (f" to {rows[1]}×{rows[1]}" if rows[1] != rows[0] else "")
    heights, widths = (str(low) if low == high else f"{low} to {high}" for low, high in (rows, columns))
    return f"images {heights} high and {widths} wide"
