"""The layer list: a network as data, in the order that the image passes through it.

First the kinds of layers with the field's parameters, whose defaults and meanings are PyTorch's unless a docstring says
otherwise; then the list. A technique rewrites the list, never the built module. Every layer has a name that survives
rewriting, because a layer's initial weights are drawn from a stream of that name.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

from stepladder.errors import RecipeError, unknown
from stepladder.schema import check

#: What a tensor's sizes can count to.
_LARGEST = 2**31 - 1
Positive = Annotated[int, Field(ge=1, le=_LARGEST, strict=True)]
NotNegative = Annotated[int, Field(ge=0, le=_LARGEST, strict=True)]
Classes = Literal["classes"]
YesNo = Annotated[bool, Field(strict=True)]


def _one_or_two(least: int, also: str = "") -> Callable[[Any], Any]:
    """Read a number of pixels, or two, of rows and of columns; two equal ones are one, so that each value is unique."""

    def is_one(value: Any) -> bool:
        return type(value) is int and least <= value <= _LARGEST

    def read(value: Any) -> Any:
        if is_one(value) or (also and value == also):
            return value
        if isinstance(value, list | tuple) and len(value) == 2 and all(is_one(side) for side in value):
            return value[0] if value[0] == value[1] else tuple(value)
        words = f", or '{also}'" if also else ""
        raise PydanticCustomError(
            "one_or_two", f"Input should be at least {least}, or two such numbers, of rows and columns{words}"
        )

    return read


#: One number for rows and columns, or two.
Sides = tuple[int, int]
KernelSize = Annotated[int | Sides, BeforeValidator(_one_or_two(1))]
Padding = Annotated[int | Sides | Literal["same"], BeforeValidator(_one_or_two(0, "same"))]


class BaseLayer(BaseModel):
    """What all layers have: a name, frozen values, and a written form that does not change as options are added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Options that are written only where they differ from their default. All that came after the first version are
    #: among them, so that what was saved before stays equal, to the fingerprint, to what is saved now.
    quiet: ClassVar[frozenset[str]] = frozenset()

    #: Options that say where a layer is from, and change nothing of what it computes: no part of a trial's identity.
    aside: ClassVar[frozenset[str]] = frozenset()

    #: A word, because the built module's weights are stored under it.
    name: Annotated[str, Field(pattern=r"^\w+$")]

    @model_serializer(mode="wrap")
    def _leave_out_quiet_defaults(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = write(self)
        fields = type(self).model_fields
        return {
            key: value for key, value in table.items() if key not in self.quiet or value != fields[key].get_default()
        }

    @property
    def inner(self) -> tuple[tuple[Layer, ...], ...]:
        """The lists of layers within this one, which its input passes side by side: a body, branches; mostly none."""
        return ()

    def with_inner(self, inner: Sequence[tuple[Layer, ...]]) -> Self:  # noqa: ARG002
        """Return the same layer with other lists within it, as many as it has."""
        return self

    @property
    def parts(self) -> tuple[str, ...]:
        """Names under which it keeps weights of its own, where those are not the layer's name; of none twice."""
        return ()


class _Convolution(BaseLayer):
    """What convolutions share: a kernel; ``padding`` zeros on each side, or "same".

    ``kernel_size`` and ``padding`` are one number, or two: of rows and of columns.

    "same" is TensorFlow's: n pixels give ⌈n / stride⌉, with as few zeros as that takes, an odd one at the bottom and
    right. At stride 1 it keeps the size, with dilation·(kernel_size − 1) zeros in all.
    """

    quiet = frozenset({"dilation", "groups", "multiplier", "bias"})

    kernel_size: KernelSize
    stride: Positive = 1
    padding: Padding = 0
    dilation: Positive = 1
    bias: YesNo = True

    @property
    def kernel(self) -> Sides:
        """Rows and columns of the kernel."""
        return _both(self.kernel_size)

    @model_validator(mode="after")
    def _padding_fits(self) -> _Convolution:
        if self.padding == "same":
            return self
        for size, padding in zip(self.kernel, _both(self.padding), strict=True):
            most = self.dilation * (size - 1)
            if padding > most:
                # Besides making no sense, it can crash: torch 2.13 on a CPU, channels-last, stride 2, maps one pixel
                # wide.
                raise RecipeError(
                    f"padding is {padding} around kernels that reach over {most + 1} pixel{'s' * (most > 0)}; it must "
                    f"be at most {most}, or some outputs would see nothing but padding"
                )
        return self


def _both(sides: int | Sides) -> Sides:
    return (sides, sides) if isinstance(sides, int) else sides


class Conv(_Convolution):
    """A 2-D convolution; ``channels = "classes"`` gives one map a class.

    With ``groups``, each group of output channels sees its own share of the input channels.
    """

    kind: Literal["conv"] = "conv"
    channels: Positive | Classes
    groups: Positive = 1


class LocallyConnected(_Convolution):
    """A convolution without shared weights: its own kernel, and its own bias, at every position."""

    kind: Literal["locally_connected"] = "locally_connected"
    channels: Positive


class DepthwiseConv(_Convolution):
    """A convolution of each channel by itself, into ``multiplier`` channels each."""

    kind: Literal["depthwise_conv"] = "depthwise_conv"
    multiplier: Positive = 1


class _Pool(BaseLayer):
    """What poolings share: a window; ``stride`` is the window's size where it is not given.

    ``ceil_mode`` keeps a border that does not fill a window. ``padding`` is at most half of the window.
    """

    quiet = frozenset({"padding"})

    kernel_size: Positive
    stride: Positive
    padding: NotNegative = 0
    ceil_mode: YesNo = False

    @model_validator(mode="before")
    @classmethod
    def _stride_is_the_window(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and "stride" not in table and "kernel_size" in table:
            return {**table, "stride": table["kernel_size"]}
        return table

    @model_validator(mode="after")
    def _padding_at_most_half(self) -> _Pool:
        if 2 * self.padding > self.kernel_size:
            raise RecipeError(
                f"padding is {self.padding} around windows of {self.kernel_size}; it must be at most half of a "
                f"window, {self.kernel_size // 2}, or some windows would hold nothing but padding"
            )
        return self


class MaxPool(_Pool):
    """The largest value of each window; padding never wins."""

    kind: Literal["max_pool"] = "max_pool"


class AvgPool(_Pool):
    """The mean of each window; padding counts as zeros."""

    kind: Literal["avg_pool"] = "avg_pool"


class GlobalAvgPool(BaseLayer):
    """The mean of each map: (C, H, W) to one row of C values, whatever the size (Lin et al. 2014, section 3.2)."""

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
    """max(0, x), and with a ``ceiling`` at most that; 6 makes ReLU6 (Krizhevsky 2010, section 2)."""

    quiet = frozenset({"ceiling"})

    kind: Literal["relu"] = "relu"
    ceiling: Positive | None = None


class LeakyRelu(BaseLayer):
    """x above zero, ``negative_slope``·x below (Maas, Hannun and Ng 2013, section 2)."""

    quiet = frozenset({"negative_slope"})

    kind: Literal["leaky_relu"] = "leaky_relu"
    negative_slope: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.01


class Silu(BaseLayer):
    """x·σ(x), σ the logistic function: SiLU, or swish (Elfwing, Uchibe and Doya 2018; Ramachandran et al. 2017)."""

    kind: Literal["silu"] = "silu"


class HardSwish(BaseLayer):
    """x·min(max(x + 3, 0), 6)/6, a SiLU in straight pieces (Howard et al., MobileNetV3, 2019, section 5.2)."""

    kind: Literal["hard_swish"] = "hard_swish"


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
    """Normalization of each channel over batch and positions, with a learned scale and shift.

    ``eps`` is added to the variance; ``momentum`` is the share of a new batch in the running statistics.
    """

    quiet = frozenset({"eps", "momentum"})

    kind: Literal["batch_norm"] = "batch_norm"
    eps: Annotated[float, Field(gt=0, le=1, strict=True)] = 1e-5
    momentum: Annotated[float, Field(gt=0, le=1, strict=True)] = 0.1


class GroupNorm(BaseLayer):
    """Normalization of each image's ``groups`` of channels, with a learned scale and shift a channel (Wu, He 2018)."""

    kind: Literal["group_norm"] = "group_norm"
    groups: Positive


class LayerNorm(BaseLayer):
    """Normalization over all values of an image, with a learned scale and shift a value (Ba et al. 2016)."""

    kind: Literal["layer_norm"] = "layer_norm"


#: Channels in for each hidden one of squeeze-and-excitation, where nothing is said (Hu et al. 2018, section 6.1).
REDUCTION = 16


class SqueezeExcite(BaseLayer):
    """Squeeze-and-excitation: each map times a gate, which two small layers make of the means of all maps.

    Hu, Shen and Sun 2018, section 3: mean of each map → ``hidden`` values → activation → a value a map → gate.
    ``hidden`` is the channels by ``reduction``, at least 1, unless it is stated. MobileNetV3 has the "hard_sigmoid"
    gate, min(max(x + 3, 0), 6)/6; EfficientNet the activation "silu".
    """

    quiet = frozenset({"reduction", "hidden", "activation", "gate"})

    kind: Literal["squeeze_excite"] = "squeeze_excite"
    reduction: Positive = REDUCTION
    hidden: Positive | None = None
    activation: Literal["relu", "silu"] = "relu"
    gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid"

    @model_validator(mode="after")
    def _one_of_both(self) -> SqueezeExcite:
        if self.hidden is not None and self.reduction != REDUCTION:
            raise RecipeError(
                f"hidden is {self.hidden} and reduction is {self.reduction}, and each says how many values the gates "
                f"are made of; keep one"
            )
        return self

    def hidden_of(self, channels: int) -> int:
        """Return how many values lie between the means of ``channels`` maps and their gates."""
        return self.hidden or max(1, channels // self.reduction)

    @property
    def parts(self) -> tuple[str, str]:
        """The names of the layer that reduces and of the one that expands."""
        return f"{self.name}_reduce", f"{self.name}_expand"


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
    (``shortcut = "conv"``, He's option B), with batch norm behind it (``"conv_norm"``, as his ImageNet networks have
    it), or by leaving out pixels and padding with zero channels (``"pad"``, his option A, which has no weights).
    """

    quiet = frozenset({"shortcut"})

    kind: Literal["residual"] = "residual"
    body: tuple[Layer, ...]
    shortcut: Literal["conv", "conv_norm", "pad"] = "conv"

    @model_validator(mode="before")
    @classmethod
    def _check_body(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and isinstance(table.get("body"), list | tuple):
            return {**table, "body": check_layers(table["body"], "body layer")}
        return table

    @property
    def inner(self) -> tuple[tuple[Layer, ...], ...]:
        """The body."""
        return (self.body,)

    def with_inner(self, inner: Sequence[tuple[Layer, ...]]) -> Self:
        """Return the same residual around another body."""
        return self.model_copy(update={"body": tuple(inner[0])})

    @property
    def parts(self) -> tuple[str, str]:
        """The names of the shortcut's convolution and of its batch norm."""
        return self.shortcut_name, self.shortcut_norm_name

    @property
    def shortcut_name(self) -> str:
        """The name under which the weights of the shortcut's convolution are drawn and stored."""
        return f"{self.name}_shortcut"

    @property
    def shortcut_norm_name(self) -> str:
        """The same of the batch norm behind it."""
        return f"{self.name}_shortcut_norm"


class Concat(BaseLayer):
    """The channels of several ``branches`` one behind another; an empty branch is the input as it is.

    Branches of convolutions of several sizes are an inception module (Szegedy et al. 2015, section 4); an empty one
    beside one of convolutions is a layer of a DenseNet (Huang et al. 2017, section 3). All put out the same height and
    width, or rows of values.
    """

    kind: Literal["concat"] = "concat"
    branches: Annotated[tuple[tuple[Layer, ...], ...], Field(min_length=2)]

    @model_validator(mode="before")
    @classmethod
    def _check_branches(cls, table: Any) -> Any:
        branches = table.get("branches") if isinstance(table, Mapping) else None
        if not isinstance(branches, list | tuple):
            return table
        if len(branches) < 2:
            raise RecipeError(f"branches has {len(branches)}; a concatenation needs two, and an empty one is the input")
        checked = []
        for number, branch in enumerate(branches, start=1):
            if not isinstance(branch, list | tuple):
                raise RecipeError(f"branch {number} is {branch!r}; it must be a list of layers")
            checked.append(check_layers(branch, f"branch {number}, layer"))
        return {**table, "branches": tuple(checked)}

    @property
    def inner(self) -> tuple[tuple[Layer, ...], ...]:
        """The branches."""
        return self.branches

    def with_inner(self, inner: Sequence[tuple[Layer, ...]]) -> Self:
        """Return a concatenation of other branches."""
        return self.model_copy(update={"branches": tuple(map(tuple, inner))})


class OwnModule(BaseLayer):
    """A whole network that a function of a user's own file builds; see :mod:`stepladder.network.own`.

    It is the only layer of its network. The text of the file is part of it, so that every record holds the code; it is
    run only where the user names the file.

    ``file`` is the file's name without its folder, ``function`` the function that builds, ``sha256`` that of ``text``,
    hex. ``weights`` and ``macs`` are kept with a trained model, for readers that do not run the code.
    """

    quiet = frozenset({"weights", "macs"})
    aside = frozenset({"file", "text", "weights", "macs"})

    kind: Literal["own_module"] = "own_module"
    name: Literal["own"] = "own"
    file: Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f]+\.py$")]
    function: Annotated[str, Field(pattern=r"^[^\W\d]\w*$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    text: Annotated[str, Field(repr=False)]
    weights: NotNegative | None = None
    macs: Annotated[int, Field(ge=0, strict=True)] | None = None

    @model_validator(mode="after")
    def _is_what_it_was(self) -> OwnModule:
        if hashlib.sha256(self.text.encode("utf-8", "surrogatepass")).hexdigest() != self.sha256:
            raise RecipeError(f"the text of {self.file} in the network is not the one that its `sha256` was taken of")
        return self

    @property
    def reference(self) -> str:
        """The file and its function, as a user names them: ``net.py:build``."""
        return f"{self.file}:{self.function}"


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
    | LeakyRelu
    | Gelu
    | Silu
    | HardSwish
    | Celu
    | Tanh
    | BatchNorm
    | GroupNorm
    | LayerNorm
    | SqueezeExcite
    | Dropout
    | Scale
    | Flatten
    | Linear
    | Residual
    | Concat
    | OwnModule,
    Field(discriminator="kind"),
]
Residual.model_rebuild()
Concat.model_rebuild()

#: Every kind of layer by the word for it.
LAYER_KINDS: dict[str, type[BaseLayer]] = {
    kind.model_fields["kind"].default: kind for kind in get_args(get_args(Layer)[0])
}
#: Those that a user writes into a list; the other is made of a file.
_WRITTEN_KINDS = [kind for kind, layer in LAYER_KINDS.items() if layer is not OwnModule]


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
        raise RecipeError(f'{place} has no kind; write one, as kind = "conv", of: {", ".join(_WRITTEN_KINDS)}')
    if kind not in LAYER_KINDS:
        raise RecipeError(f"{place}: {unknown('kind of layer', kind[:40], _WRITTEN_KINDS)}")
    try:
        return check(LAYER_KINDS[kind], table, "", whole="the layer")
    except RecipeError as error:
        raise RecipeError(f"{place}: {error}") from error


Wanted = Callable[[Layer], bool]
Make = Callable[[Layer], Layer]


def walk(layers: tuple[Layer, ...], above: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield every layer with its number, those within a layer before it.

    The number is ``3``, within a residual ``3.2``, and within the first branch of a concatenation ``3.1.2``.
    """
    for position, layer in enumerate(layers, start=1):
        number = f"{above}{position}"
        for branch, inner in enumerate(layer.inner, start=1):
            yield from walk(inner, number_within(layer, number, branch))
        yield number, layer


def number_within(layer: BaseLayer, number: str, branch: int) -> str:
    """Return what the numbers of layers in a branch (from 1) of ``layer`` begin with."""
    return f"{number}.{branch}." if isinstance(layer, Concat) else f"{number}."


def is_output(layer: BaseLayer) -> bool:
    """Whether ``layer`` puts out one value, or one map, a class."""
    return isinstance(layer, OwnModule) or "classes" in (
        getattr(layer, "features", None),
        getattr(layer, "channels", None),
    )


class Network(BaseModel):
    """An ordered list of layers; immutable, so that a rewrite is a new network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    layers: tuple[Layer, ...]

    def __repr__(self) -> str:
        from stepladder.network.line import format_line  # here, as that module reads lines into networks

        line = format_line(self)
        return f"Network({line if len(line) <= 300 else f'{line[:299]}…'!r})"

    __str__ = __repr__

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
        own = [layer for layer in self.every_layer() if isinstance(layer, OwnModule)]
        if own and len(list(self.every_layer())) > 1:
            raise RecipeError(
                f"the network has other layers beside {own[0].reference}, which builds a whole network; put them into "
                f"that file"
            )
        if len(outputs) > 1:
            raise RecipeError(
                f"the network has two outputs, '{outputs[0]}' and '{outputs[1]}'; only the last layer gives one value "
                f'a class, so write a number in place of "classes" in the other'
            )
        for layer in self.every_layer():
            for taken in layer.parts:
                if taken in names:
                    whose = "the shortcut" if isinstance(layer, Residual) else "a part"
                    raise RecipeError(
                        f"the network has a layer called '{taken}', as {whose} of '{layer.name}' is; give it another "
                        f"name"
                    )
        return self

    @property
    def own(self) -> OwnModule | None:
        """The one layer of a network that a function of a user's own builds; None of a list of layers."""
        return next((layer for layer in self.layers if isinstance(layer, OwnModule)), None)

    def every_layer(self) -> Iterator[Layer]:
        """Yield every layer, those within residuals and concatenations among them, and before these."""
        return (layer for _, layer in walk(self.layers))

    def insert_after(
        self, wanted: Wanted, make: Make, unless: Callable[[tuple[Layer, ...]], bool] | None = None
    ) -> Network:
        """Return the network with ``make(layer)`` after every layer that is ``wanted``, in bodies too.

        Args:
            unless: gets the layers behind a wanted one in its list; nothing is inserted where it says yes.
        """

        def rewrite(layers: tuple[Layer, ...]) -> tuple[Layer, ...]:
            new: list[Layer] = []
            for position, layer in enumerate(layers):
                new.append(layer.with_inner([rewrite(inner) for inner in layer.inner]))
                if wanted(layer) and not (unless is not None and unless(layers[position + 1 :])):
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
                for branch in reversed(range(len(layer.inner))):
                    inner = list(layer.inner)
                    if (body := rewrite(inner[branch])) is not None:
                        inner[branch] = body
                        return (*before, layer.with_inner(inner), *after)
            return None

        rewritten = rewrite(self.layers)
        return self if rewritten is None else Network(layers=rewritten)
