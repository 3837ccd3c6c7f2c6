"""The words of the one-line form: one table, which reading and writing share."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from stepladder.network.spec import (
    AvgPool,
    BaseLayer,
    BatchNorm,
    Celu,
    Conv,
    DepthwiseConv,
    Dropout,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    LayerNorm,
    Linear,
    LocallyConnected,
    MaxPool,
    Pad,
    Relu,
    Residual,
    Scale,
    Tanh,
)


@dataclass(frozen=True)
class Word:
    """One kind of layer in the one-line form, as ``conv5-32``.

    Attributes:
        kind: the layer.
        stem: what its automatic name starts with, before a number.
        first: the option that the figure after the word is, where there is one.
        second: the option of the figure after a hyphen.
        example: as a message shows it.
    """

    kind: type[BaseLayer]
    stem: str
    example: str
    first: str | None = None
    second: str | None = None


#: Every word, in the order in which the documentation lists them.
WORDS: dict[str, Word] = {
    "conv": Word(Conv, "conv", "conv5-32", "kernel_size", "channels"),
    "local": Word(LocallyConnected, "local", "local3-16", "kernel_size", "channels"),
    "dw": Word(DepthwiseConv, "dw", "dw3", "kernel_size", "multiplier"),
    "pool": Word(MaxPool, "pool", "pool2", "kernel_size"),
    "avgpool": Word(AvgPool, "pool", "avgpool2", "kernel_size"),
    "gap": Word(GlobalAvgPool, "gap", "gap"),
    "gmp": Word(GlobalMaxPool, "gmp", "gmp"),
    "pad": Word(Pad, "pad", "pad32", "size"),
    "relu": Word(Relu, "relu", "relu"),
    "gelu": Word(Gelu, "gelu", "gelu"),
    "celu": Word(Celu, "celu", "celu0.3", "alpha"),
    "tanh": Word(Tanh, "tanh", "tanh"),
    "bn": Word(BatchNorm, "norm", "bn"),
    "gn": Word(GroupNorm, "norm", "gn8", "groups"),
    "ln": Word(LayerNorm, "norm", "ln"),
    "drop": Word(Dropout, "drop", "drop0.5", "p"),
    "scale": Word(Scale, "scale", "scale0.125", "factor"),
    "flatten": Word(Flatten, "flatten", "flatten"),
    "fc": Word(Linear, "fc", "fc1000", "features"),
    "res": Word(Residual, "res", "res(conv3-16 relu conv3-16)"),
}

#: The word of each kind of layer.
WORD_OF: dict[type[BaseLayer], str] = {word.kind: name for name, word in WORDS.items()}

#: Starts a line in which nothing is implied.
PLAIN = "plain"

#: Layers after which a line without any activation implies a ReLU.
ACTIVATED = (Conv, LocallyConnected, DepthwiseConv, Linear)
ACTIVATIONS = (Relu, Gelu, Celu, Tanh)
NORMALIZATIONS = (BatchNorm, GroupNorm, LayerNorm)

#: Of these a network has one as a rule: the first goes without a number.
_ALONE = ("flatten", "gap", "gmp", "pad", "scale")


class Names:
    """Automatic names: conv1, conv2, …; in the body of res1: res1_conv1, …

    Args:
        above: what every name starts with.
    """

    def __init__(self, above: str = "") -> None:
        self._above = above
        self._counts: Counter[str] = Counter()

    def give(self, kind: type[BaseLayer]) -> str:
        """Return the name of the next layer of ``kind``."""
        stem = WORDS[WORD_OF[kind]].stem
        self._counts[stem] += 1
        number = self._counts[stem]
        return f"{self._above}{stem}{'' if number == 1 and stem in _ALONE else number}"


def implied_padding(kernel_size: int, stride: int, dilation: int) -> int | str:
    """Return the padding of a convolution in the one-line form: the size stays, or is divided by the stride.

    (kernel_size − 1)/2 zeros on each side, times the dilation; an odd sum needs "same", which only stride 1 has.
    """
    total = dilation * (kernel_size - 1)
    return "same" if total % 2 and stride == 1 else total // 2
