"""The layer list: a network as data, in the order that the image passes through it.

A technique rewrites the list, never the built module. Every layer has a name that survives rewriting, because a layer's
initial weights are drawn from a stream of that name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from stepladder.errors import RecipeError
from stepladder.network.layer_kinds import (
    LAYER_KINDS,
    BatchNorm,
    Celu,
    Dropout,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    Layer,
    LayerNorm,
    Linear,
    Pad,
    Relu,
    Residual,
    Scale,
    Tanh,
    check_layers,
)
from stepladder.network.window_layers import AvgPool, BaseLayer, Conv, DepthwiseConv, LocallyConnected, MaxPool

__all__ = [
    "LAYER_KINDS",
    "AvgPool",
    "BaseLayer",
    "BatchNorm",
    "Celu",
    "Conv",
    "DepthwiseConv",
    "Dropout",
    "Flatten",
    "Gelu",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "Linear",
    "LocallyConnected",
    "MaxPool",
    "Network",
    "Pad",
    "Relu",
    "Residual",
    "Scale",
    "Tanh",
    "is_output",
    "walk",
]

Wanted = Callable[[Layer], bool]
Make = Callable[[Layer], Layer]


def walk(layers: tuple[Layer, ...], above: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer with its number, as ``3`` or, within a residual, ``3.2``; a body before its residual."""
    for position, layer in enumerate(layers, start=1):
        number = f"{above}{position}"
        if isinstance(layer, Residual):
            yield from walk(layer.body, f"{number}.")
        yield number, layer


def is_output(layer: BaseLayer) -> bool:
    """Whether ``layer`` puts out one value, or one map, a class."""
    return "classes" in (getattr(layer, "features", None), getattr(layer, "channels", None))


class Network(BaseModel):
    """An ordered list of layers; immutable, so that a rewrite is a new network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[Layer, ...]

    @model_validator(mode="before")
    @classmethod
    def _check_layers(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and isinstance(table.get("layers"), list | tuple):
            try:
                return {**table, "layers": check_layers(table["layers"])}
            except RecursionError as error:
                raise RecipeError("the network nests residuals too deeply; put them one after another") from error
        return table

    @model_validator(mode="after")
    def _each_name_once(self) -> Network:
        names = Counter(layer.name for layer in self.every_layer())
        for name, count in names.items():
            if count > 1:
                raise RecipeError(f"the network has two layers called '{name}'; give each a name of its own")
        outputs = [layer.name for layer in self.every_layer() if is_output(layer)]
        if len(outputs) > 1:
            raise RecipeError(
                f"the network has two outputs, '{outputs[0]}' and '{outputs[1]}'; only the last layer gives one value "
                f'a class, so write a number in place of "classes" in the other'
            )
        for layer in self.every_layer():
            if isinstance(layer, Residual) and layer.shortcut_name in names:
                raise RecipeError(
                    f"the network has a layer called '{layer.shortcut_name}', as the shortcut of '{layer.name}' is; "
                    f"give it another name"
                )
        return self

    def every_layer(self) -> Iterator[Layer]:
        """Yield every layer, those in the bodies of residuals among them; a body before its residual."""
        return (layer for _, layer in walk(self.layers))

    def insert_after(self, wanted: Wanted, make: Make, unless_before: Wanted | None = None) -> Network:
        """Return the network with ``make(layer)`` after every layer that is ``wanted``, in bodies too.

        Args:
            unless_before: nothing is inserted where the next layer of the list is so.
        """

        def rewrite(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
            new: list[Layer] = []
            for position, layer in enumerate(layers):
                if isinstance(layer, Residual):
                    new.append(layer.model_copy(update={"body": rewrite(layer.body)}))
                else:
                    new.append(layer)
                following = layers[position + 1 : position + 2]
                if wanted(layer) and not (unless_before and following and unless_before(following[0])):
                    new.append(make(layer))
            return tuple(new)

        return Network(layers=rewrite(self.layers))

    def insert_before_last(self, wanted: Wanted, make: Make) -> Network:
        """Return the network with ``make(layer)`` before the last layer that is ``wanted``; unchanged without one."""

        def rewrite(layers: tuple[Layer, ...]) -> tuple[Layer, ...] | None:
            for position in reversed(range(len(layers))):
                layer, before, after = layers[position], layers[:position], layers[position + 1 :]
                if wanted(layer):
                    return (*before, make(layer), layer, *after)
                if isinstance(layer, Residual) and (body := rewrite(layer.body)) is not None:
                    return (*before, layer.model_copy(update={"body": body}), *after)
            return None

        rewritten = rewrite(self.layers)
        return self if rewritten is None else Network(layers=rewritten)
