"""What an output of each layer sees of the image: size, jump and place of its receptive field."""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.network.arithmetic import LayerCost, Window
from stepladder.network.spec import (
    Concat,
    Flatten,
    GlobalAvgPool,
    GlobalMaxPool,
    Layer,
    Linear,
    Network,
    OwnModule,
    Residual,
)


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's outputs along one axis, in pixels of the image.

    Output i sees pixels start + i·jump to start + i·jump + size − 1, and padding where that leaves the image.
    Normalization over a whole map (group_norm, layer_norm) counts as if its statistics were constants, and so do the
    gates of squeeze-and-excitation.

    Attributes:
        size: pixels from the first to the last that an output depends on (Araujo, Norris and Sim 2019, equation 2).
        jump: pixels from one output's field to the next one's; None where one output sees all.
        start: first pixel of the first output's field; negative in the padding.
    """

    size: int
    jump: int | None
    start: int

    @property
    def center(self) -> float:
        """The middle of the first output's field, in pixels from the middle of the image's first pixel."""
        return self.start + (self.size - 1) / 2

    def seen_from(self, position: int) -> tuple[int, int]:
        """Return the first and last pixel in the field of output ``position``."""
        first = self.start + position * (self.jump or 0)
        return first, first + self.size - 1

    def through(self, window: Window) -> Field:
        """Return the field behind a window: r ← r + (k − 1)·d·j, j ← j·s, start ← start − padding·j."""
        assert self.jump is not None
        return Field(
            size=self.size + (window.extent - 1) * self.jump,
            jump=self.jump * window.stride,
            start=self.start - window.before * self.jump,
        )

    def over(self, outputs: int) -> Field:
        """Return the field of all ``outputs`` together."""
        return self if self.jump is None else Field(self.size + (outputs - 1) * self.jump, None, self.start)


#: Rows and columns.
Fields = tuple[Field, Field]


def receptive_fields(network: Network, costs: tuple[LayerCost, ...]) -> dict[str, Fields]:
    """Return the receptive field of every layer, by name, along rows and columns.

    Args:
        costs: of ``network``, from :func:`stepladder.network.trace_network`.
    """
    return {name: after for name, (_, after) in follow_fields(network, costs).items()}


def follow_fields(network: Network, costs: tuple[LayerCost, ...]) -> dict[str, tuple[Fields, Fields]]:
    """Return the receptive fields before and behind every layer, by name; see :func:`receptive_fields`."""
    by_name = {cost.layer.name: cost for cost in costs}
    fields: dict[str, tuple[Fields, Fields]] = {}
    pixel = Field(1, 1, 0)
    _follow(network.layers, (pixel, pixel), by_name, fields)
    return fields


def _follow(
    layers: tuple[Layer, ...], before: Fields, costs: dict[str, LayerCost], fields: dict[str, tuple[Fields, Fields]]
) -> Fields:
    for layer in layers:
        entered = before
        cost = costs[layer.name]
        if isinstance(layer, Residual):
            body = _follow(layer.body, before, costs, fields)
            before = _union(body[0], before[0]), _union(body[1], before[1])
        elif isinstance(layer, Concat):
            branches = [_follow(branch, before, costs, fields) for branch in layer.branches]
            before = _union(*(branch[0] for branch in branches)), _union(*(branch[1] for branch in branches))
        elif cost.windows is not None:
            rows, columns = (field.through(window) for field, window in zip(before, cost.windows, strict=True))
            before = rows, columns
        elif (
            isinstance(layer, Flatten | GlobalAvgPool | GlobalMaxPool | Linear | OwnModule)
            and len(cost.input_shape) == 3
        ):
            rows, columns = (field.over(size) for field, size in zip(before, cost.input_shape[1:], strict=True))
            before = rows, columns
        fields[layer.name] = entered, before
    return before


def _union(first: Field, *others: Field) -> Field:
    """All ways into a sum or a concatenation; each has the stride of the first (a residual's body), so its jump."""
    ways = (first, *others)
    start = min(way.start for way in ways)
    end = max(way.start + way.size for way in ways)
    return Field(end - start, first.jump, start)


def pixels_behind(
    network: Network, costs: tuple[LayerCost, ...], name: str, position: tuple[int, int]
) -> tuple[set[int], set[int]]:
    """Return exactly which rows and columns of the image one output of a layer depends on; none of nothing but padding.

    Unlike :class:`Field` it knows borders: what only padding or a dropped row would bring is not among them. It is the
    definition that the tests hold both the field and the gradients of built networks against.

    Args:
        position: row and column of the output.
    """
    by_name = {cost.layer.name: cost for cost in costs}
    found = _back(network.layers, ({position[0]}, {position[1]}), name, by_name)
    assert found is not None, name
    return found


_Pixels = tuple[set[int], set[int]]


def _back(
    layers: tuple[Layer, ...], positions: _Pixels, name: str | None, costs: dict[str, LayerCost]
) -> _Pixels | None:
    """Follow ``positions`` at the output of layer ``name`` (None: the last) to the input; None if it is not here."""
    started = name is None
    for layer in reversed(layers):
        if not started and layer.inner and layer.name != name:
            for inner in layer.inner:
                inside = _back(inner, positions, name, costs)
                if inside is not None:
                    positions, started = inside, True
                    break
            continue
        started = started or layer.name == name
        if started:
            positions = _behind(layer, positions, costs)
    return positions if started else None


def _behind(layer: Layer, positions: _Pixels, costs: dict[str, LayerCost]) -> _Pixels:
    cost = costs[layer.name]
    if isinstance(layer, Residual):
        through = _back(layer.body, positions, None, costs)
        assert through is not None
        stride = cost.shortcut_stride or 1
        # A way that sees no row sees no column either.
        rows, columns = through if all(through) else (set(), set())
        return rows | {row * stride for row in positions[0]}, columns | {column * stride for column in positions[1]}
    if isinstance(layer, Concat):
        ways = [_back(branch, positions, None, costs) for branch in layer.branches]
        seen = [way for way in ways if way is not None and all(way)]
        return set().union(*(way[0] for way in seen)), set().union(*(way[1] for way in seen))
    if cost.windows is not None:
        rows, columns = (
            _read(window, size, along)
            for window, size, along in zip(cost.windows, cost.input_shape[1:], positions, strict=True)
        )
        return rows, columns
    if len(cost.input_shape) == 3 and len(cost.output_shape) == 1:
        return set(range(cost.input_shape[1])), set(range(cost.input_shape[2]))
    return positions


def _read(window: Window, size: int, positions: set[int]) -> set[int]:
    taps = range(0, window.extent, window.dilation)
    reached = {position * window.stride - window.before + tap for position in positions for tap in taps}
    return {pixel for pixel in reached if 0 <= pixel < size}
