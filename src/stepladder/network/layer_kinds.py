"""The kinds of layers that a network can be listed from, with the field's parameters.

Defaults are PyTorch's, and so are the meanings, unless a docstring says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from stepladder.check import check
from stepladder.errors import RecipeError, unknown
from stepladder.network.window_layers import (
    AvgPool,
    BaseLayer,
    Classes,
    Conv,
    DepthwiseConv,
    LocallyConnected,
    MaxPool,
    Positive,
    YesNo,
)


class GlobalAvgPool(BaseLayer):
    """The mean of each map: (C, H, W) to one row of C values, whatever the size (Lin et al. 2013, section 3.2)."""

    kind: Literal["global_avg_pool"] = "global_avg_pool"


class GlobalMaxPool(BaseLayer):
    """The largest value of each map: (C, H, W) to one row of C values, whatever the size."""

    kind: Literal["global_max_pool"] = "global_max_pool"


class Pad(BaseLayer):
    """Zeros around maps smaller than ``size`` × ``size`` until they are; the odd one at the bottom and right.

    Larger maps stay as they are. LeCun et al. 1998, section II.B, center smaller digits in 32×32 so.
    """

    kind: Literal["pad"] = "pad"
    size: Positive


class Relu(BaseLayer):
    """max(0, x)."""

    kind: Literal["relu"] = "relu"


class Gelu(BaseLayer):
    """x·Φ(x), Φ the normal distribution function (Hendrycks and Gimpel 2016)."""

    kind: Literal["gelu"] = "gelu"


class Celu(BaseLayer):
    """max(0, x) + min(0, alpha·(exp(x/alpha) − 1)) (Barron 2017)."""

    kind: Literal["celu"] = "celu"
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False, strict=True)] = 1.0


class Tanh(BaseLayer):
    """The hyperbolic tangent."""

    kind: Literal["tanh"] = "tanh"


class BatchNorm(BaseLayer):
    """Normalization of each channel over batch and positions, with a learned scale and shift."""

    kind: Literal["batch_norm"] = "batch_norm"


class GroupNorm(BaseLayer):
    """Normalization of each image's ``groups`` of channels, with a learned scale and shift a channel (Wu, He 2018)."""

    kind: Literal["group_norm"] = "group_norm"
    groups: Positive


class LayerNorm(BaseLayer):
    """Normalization over all values of an image, with a learned scale and shift a value (Ba et al. 2016)."""

    kind: Literal["layer_norm"] = "layer_norm"


class Dropout(BaseLayer):
    """Zeroes each value, or with ``whole_maps`` each map, with probability ``p`` while training, and scales the rest.

    The rest is multiplied by 1 / (1 - p).
    """

    quiet = frozenset({"whole_maps"})

    kind: Literal["dropout"] = "dropout"
    p: float = Field(ge=0, lt=1)
    whole_maps: YesNo = False


class Scale(BaseLayer):
    """Multiplication by a constant; before the softmax it is an inverse temperature."""

    kind: Literal["scale"] = "scale"
    factor: Annotated[float, Field(allow_inf_nan=False, strict=True)]


class Flatten(BaseLayer):
    """(C, H, W) to one row of C·H·W values."""

    kind: Literal["flatten"] = "flatten"


class Linear(BaseLayer):
    """A fully connected layer; ``features = "classes"`` gives one output a class."""

    quiet = frozenset({"bias"})

    kind: Literal["linear"] = "linear"
    features: Positive | Classes
    bias: YesNo = True


class Residual(BaseLayer):
    """The sum of its input and of what its ``body`` makes of it (He et al. 2016, section 3.2).

    Where the body changes the shape, the input comes with the body's own stride through a 1×1 convolution without bias
    (``shortcut = "conv"``, He's option B), or by leaving out pixels and padding with zero channels (``"pad"``, his
    option A, which has no weights).
    """

    quiet = frozenset({"shortcut"})

    kind: Literal["residual"] = "residual"
    body: tuple[Layer, ...]
    shortcut: Literal["conv", "pad"] = "conv"

    @model_validator(mode="before")
    @classmethod
    def _check_body(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and isinstance(table.get("body"), list | tuple):
            return {**table, "body": check_layers(table["body"], "body layer")}
        return table

    @property
    def shortcut_name(self) -> str:
        """The name under which the weights of the shortcut's convolution are drawn and stored."""
        return f"{self.name}_shortcut"


Layer = Annotated[
    Conv
    | LocallyConnected
    | DepthwiseConv
    | MaxPool
    | AvgPool
    | GlobalAvgPool
    | GlobalMaxPool
    | Pad
    | Relu
    | Gelu
    | Celu
    | Tanh
    | BatchNorm
    | GroupNorm
    | LayerNorm
    | Dropout
    | Scale
    | Flatten
    | Linear
    | Residual,
    Field(discriminator="kind"),
]
Residual.model_rebuild()

#: Every kind of layer by the word for it.
LAYER_KINDS: dict[str, type[BaseLayer]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Layer)[0])
}


def check_layers(tables: list[Any] | tuple[Any, ...], word: str = "layer") -> tuple[BaseLayer, ...]:
    """Return the layers of a list of tables (or of layers).

    Raises:
        RecipeError: one does not fit; it is named by number and, where it has one, by name.
    """
    return tuple(_check_layer(table, f"{word} {number}") for number, table in enumerate(tables, start=1))


def _check_layer(table: Any, place: str) -> BaseLayer:
    if isinstance(table, BaseLayer):
        return table
    if not isinstance(table, Mapping):
        shown = repr(table)
        raise RecipeError(
            f"{place} is {shown if len(shown) <= 80 else shown[:77] + '...'}; it must be a table, such as "
            f'{{ name = "relu1", kind = "relu" }}'
        )
    if isinstance(table.get("name"), str):
        place += f" ({table['name'][:40]})"
    kind = table.get("kind")
    if not isinstance(kind, str):
        raise RecipeError(f'{place} has no kind; write one, as kind = "conv", of: {", ".join(LAYER_KINDS)}')
    if kind not in LAYER_KINDS:
        raise RecipeError(f"{place}: {unknown('kind of layer', kind[:40], LAYER_KINDS)}")
    try:
        return check(LAYER_KINDS[kind], table, "", whole="the layer")
    except RecipeError as error:
        raise RecipeError(f"{place}: {error}") from error
