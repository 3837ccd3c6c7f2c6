"""A network written as the one line that is read back as the same."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stepladder.errors import RecipeError
from stepladder.network.line import parse_line
from stepladder.network.spec import (
    AvgPool,
    BaseLayer,
    Conv,
    DepthwiseConv,
    Flatten,
    Layer,
    LocallyConnected,
    MaxPool,
    Network,
    Relu,
    Residual,
)
from stepladder.network.words import ACTIVATED, NORMALIZATIONS, PLAIN, WORD_OF, WORDS, Names, implied_padding


def format_line(network: Network) -> str:
    """Return the shortest one-line form that :func:`parse_line` reads back as ``network``, names included."""
    for implied, prefix in ((True, ""), (False, ""), (False, f"{PLAIN} ")):
        line = prefix + " ".join(_format(network.layers, Names(), implied))
        try:
            if parse_line(line) == network:
                return line
        except RecipeError:
            continue
    raise AssertionError(network)


def _format(layers: tuple[Layer, ...], names: Names, implied: bool) -> Iterator[str]:
    """Write every layer; with ``implied`` without what a line implies."""
    for position, layer in enumerate(layers):
        own = names.give(type(layer))
        named = [] if layer.name == own else [f"name={layer.name}"]
        if isinstance(layer, Residual):
            shortcut = [] if layer.shortcut == "conv" else [f"shortcut={layer.shortcut}"]
            options = ",".join(named + shortcut)
            body = " ".join(_format(layer.body, Names(f"{layer.name}_"), implied))
            yield f"res{':' if options else ''}{options}({body})"
            continue
        if implied and (isinstance(layer, Flatten) or _is_implied_relu(layers, position)):
            continue
        yield _format_layer(layer, named)


def _is_implied_relu(layers: tuple[Layer, ...], position: int) -> bool:
    before = [layer for layer in layers[:position] if not isinstance(layer, NORMALIZATIONS)]
    return isinstance(layers[position], Relu) and bool(before) and isinstance(before[-1], ACTIVATED)


def _format_layer(layer: BaseLayer, named: list[str]) -> str:
    name = WORD_OF[type(layer)]
    word = WORDS[name]
    figures: dict[str, object] = {key: value for key, value in layer if key not in ("name", "kind")}
    text = name
    if isinstance(layer, Conv | LocallyConnected | DepthwiseConv):
        if layer.padding == implied_padding(layer.kernel_size, layer.stride, layer.dilation):
            del figures["padding"]
    elif figures.get("padding") == 0:
        del figures["padding"]
    if figures.get("stride") == (layer.kernel_size if isinstance(layer, MaxPool | AvgPool) else 1):
        del figures["stride"]
    if word.first is not None and re.fullmatch(r"[\d.]+", str(figures[word.first])):
        text += str(figures.pop(word.first))
    elif figures.get("features") == "classes":
        del figures["features"]
    if word.second is not None and figures[word.second] != 1:
        text += f"-{figures.pop(word.second)}"
    fields = type(layer).model_fields
    left = {key: value for key, value in figures.items() if key == "padding" or value != fields[key].get_default()}
    options = [f"{key}={_written(value)}" for key, value in left.items()] + named
    return text + (":" + ",".join(options) if options else "")


def _written(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)
