"""Which padding and stride turn a map of one size into one of another?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from stepladder.errors import LineError, RecipeError
from stepladder.network.arithmetic import Window, windows_of
from stepladder.network.line import read_layer
from stepladder.network.spec import AvgPool, Conv, DepthwiseConv, LocallyConnected, MaxPool

_QUESTION = re.compile(r"\s*(?P<layer>\S+)\s+(?P<before>\d{1,6})\s*(?:->|→|to)\s*(?P<after>\d{1,6})\s*", re.ASCII)
_MOST_DILATION = 4


@dataclass(frozen=True)
class Solution:
    """One way to the wanted size.

    Attributes:
        padding: pixels on each side.
        ceil_mode: of a pooling; it stands only where it makes the difference.
        unread: pixels at the end that no window reaches.
    """

    padding: int
    stride: int
    dilation: int = 1
    ceil_mode: bool = False
    unread: int = 0


@dataclass(frozen=True)
class Answer:
    """All solutions in a range, the simplest first.

    Attributes:
        layer: what was asked about, ``conv5`` say.
        before, after: pixels along one axis.
        tried: the range, in words.
        solutions: may be empty.
        remark: the rule behind it, and what else could be done where there is no solution.
    """

    layer: str
    kernel_size: int
    before: int
    after: int
    tried: str
    solutions: tuple[Solution, ...]
    remark: str


def solve(question: str) -> Answer:
    """Return all ways to a size, for a question such as ``conv5 32->32`` or ``pool2:stride=2 32->16``.

    Options that the layer states stay as they are; the others are tried.

    Raises:
        RecipeError: no such question, or a layer without a window.
    """
    found = _QUESTION.fullmatch(question)
    if found is None:
        raise RecipeError(f"`solve` is '{question}'; write a layer and two sizes, as 'conv5 32->32' or 'pool2 32->16'")
    try:
        layer, stated = read_layer(found["layer"])
    except LineError as error:
        raise RecipeError(f"`solve`: {error}") from error
    if not isinstance(layer, Conv | DepthwiseConv | LocallyConnected | MaxPool | AvgPool):
        raise RecipeError(f"`solve` is '{question}'; only convolutions and poolings have a padding and a stride")
    size = layer.kernel_size
    if not isinstance(size, int):
        raise RecipeError(
            f"`solve` is '{question}', and this kernel is not square; ask for each side, as 'conv{size[0]} 32->32'"
        )
    before, after = int(found["before"]), int(found["after"])
    if before < 1 or after < 1:
        raise RecipeError(f"`solve` is '{question}'; sizes are at least 1 pixel")
    pooling = isinstance(layer, MaxPool | AvgPool)
    ranges = {
        "padding": range((size // 2 if pooling else _MOST_DILATION * (size - 1)) + 1),
        "stride": range(1, max(size, -(-before // after) + 1, 4) + 1),
        "dilation": range(1, 2 if pooling else _MOST_DILATION + 1),
    }
    for key in stated & set(ranges):
        value = getattr(layer, key)
        if isinstance(value, int):
            ranges[key] = range(value, value + 1)
    ceils = (layer.ceil_mode,) if isinstance(layer, MaxPool | AvgPool) and "ceil_mode" in stated else (False, True)
    solutions = []
    for dilation in ranges["dilation"]:
        for stride in ranges["stride"]:
            for padding in ranges["padding"]:
                if padding > dilation * (size - 1) and "padding" not in stated and not pooling:
                    break  # windows of nothing but padding
                for ceil in ceils if pooling else (False,):
                    window = Window(size, stride, dilation, padding, padding, ceil)
                    if window.output_size(before) != after:
                        continue
                    if (
                        ceil
                        and len(ceils) == 2
                        and Window(size, stride, dilation, padding, padding).output_size(before) == after
                    ):
                        continue  # rounding up makes no difference
                    solutions.append(Solution(padding, stride, dilation, ceil, window.unread(before)))
    solutions.sort(
        key=lambda way: (way.dilation > 1, way.unread > 0, way.ceil_mode, way.dilation, way.stride, way.padding)
    )
    return Answer(
        found["layer"],
        size,
        before,
        after,
        _words(ranges, pooling),
        tuple(solutions),
        _remark(size, before, after, bool(solutions)),
    )


def _words(ranges: dict[str, range], pooling: bool) -> str:
    words = []
    for key, values in ranges.items():
        if key == "dilation" and pooling:
            continue
        if key == "padding" and len(values) > 1 and not pooling:
            words.append("padding 0 to dilation·(k − 1)")
            continue
        words.append(f"{key} {values[0]}" if len(values) == 1 else f"{key} {values[0]} to {values[-1]}")
    return ", ".join(words) + (", rounded down or up (ceil_mode)" if pooling else "")


def _remark(size: int, before: int, after: int, solved: bool) -> str:
    if before == after:
        rule = f"The same size needs stride 1 and padding (k − 1)/2 = {(size - 1) / 2:g}"
        if size % 2 == 0:
            even = windows_of(Conv(name="same", kernel_size=size, channels=1, padding="same"), before, before)
            assert even is not None
            return (
                f'{rule}, which is no whole number for an even kernel; padding = "same" puts {even[0].before} before '
                f"and {even[0].after} after, and shifts the maps by half a pixel."
            )
        return f"{rule}, times the dilation."
    if 2 * after == before:
        odd = ", rounded up," if size % 2 else ""
        return f"Half of an even size needs stride 2 and padding (k − 2)/2{odd} = {max(0, (size - 1) // 2)}."
    if after > before:
        return "More than comes in only padding can give: up to 2·padding − (k − 1)·dilation more, at stride 1."
    return "" if solved else "Change the kernel or the sizes."
