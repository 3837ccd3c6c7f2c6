"""The layer list: a network as data, in the order that the image passes through it.

A technique rewrites the list, never the built module. Every layer has a name that survives rewriting, because a layer's
initial weights are drawn from a stream of that name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from stepladder.errors import RecipeError

Positive = Annotated[int, Field(ge=1, strict=True)]
NotNegative = Annotated[int, Field(ge=0, strict=True)]


class _Layer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    #: A word, because the built module's weights are stored under it.
    name: Annotated[str, Field(pattern=r"^\w+$")]


class Conv(_Layer):
    """A 2-D convolution with bias and square kernels; ``padding`` zeros on each side."""

    kind: Literal["conv"] = "conv"
    channels: Positive
    kernel_size: Positive
    stride: Positive = 1
    padding: NotNegative = 0


class MaxPool(_Layer):
    """The largest value of each window; ``ceil_mode`` keeps a border that does not fill a window."""

    kind: Literal["max_pool"] = "max_pool"
    kernel_size: Positive
    stride: Positive
    ceil_mode: bool = False


class Relu(_Layer):
    """max(0, x)."""

    kind: Literal["relu"] = "relu"


class BatchNorm(_Layer):
    """Normalization of each channel over batch and positions, with a learned scale and shift."""

    kind: Literal["batch_norm"] = "batch_norm"


class Dropout(_Layer):
    """Zeroes each value with probability ``p`` while training and scales the rest by 1 / (1 - p)."""

    kind: Literal["dropout"] = "dropout"
    p: float = Field(ge=0, lt=1)


class Flatten(_Layer):
    """(C, H, W) to one row of C·H·W values."""

    kind: Literal["flatten"] = "flatten"


class Linear(_Layer):
    """A fully connected layer with bias; ``features = "classes"`` gives one output a class."""

    kind: Literal["linear"] = "linear"
    features: Positive | Literal["classes"]


Layer = Annotated[Conv | MaxPool | Relu | BatchNorm | Dropout | Flatten | Linear, Field(discriminator="kind")]

#: Every kind of layer by the word for it.
LAYER_KINDS: dict[str, type[BaseModel]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Layer)[0])
}


class Network(BaseModel):
    """An ordered list of layers; immutable, so that a rewrite is a new network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[Layer, ...]

    @model_validator(mode="after")
    def _each_name_once(self) -> Network:
        names = [layer.name for layer in self.layers]
        for name in names:
            if names.count(name) > 1:
                raise RecipeError(f"the network has two layers called '{name}'; give each a name of its own")
        return self

    def insert_after(self, wanted: Callable[[Layer], bool], make: Callable[[Layer], Layer]) -> Network:
        """Return the network with ``make(layer)`` after every layer that is ``wanted``."""
        layers: list[Layer] = []
        for layer in self.layers:
            layers.append(layer)
            if wanted(layer):
                layers.append(make(layer))
        return Network(layers=tuple(layers))

    def insert_before_last(self, wanted: Callable[[Layer], bool], make: Callable[[Layer], Layer]) -> Network:
        """Return the network with ``make(layer)`` before the last layer that is ``wanted``; unchanged without one."""
        positions = [position for position, layer in enumerate(self.layers) if wanted(layer)]
        if not positions:
            return self
        last = positions[-1]
        return Network(layers=(*self.layers[:last], make(self.layers[last]), *self.layers[last:]))
