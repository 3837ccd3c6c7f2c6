"""A network as one line: ``conv5-32 pool2 conv5-64 pool2 conv5-64 pool2 fc1000 fc10``.

A word a layer, with its first figures beside it and its other options after a colon: ``conv3-64:stride=2,bias=no``.
Capitals and other libraries' words for a layer (``MaxPool2``, ``LeakyReLU``) are read too, see :data:`ALIASES`.
Three things are implied, so that the line stays short:

- the padding of a convolution: (kernel_size − 1)/2, which keeps the size;
- where the line names no activation at all: a ReLU after every convolution and fully connected layer but the last, and
  after the normalization that follows it;
- where it names no flatten: one before the first fully connected layer that gets maps; and where it names no output
  (``fc`` without a figure, ``conv1-classes``) and does not end in a fully connected layer: an ``fc`` at the end.

A line that starts with ``plain`` implies nothing but the padding. Here are the words, which reading and writing share,
the reader, the writer, and the TOML table that may hold a line in place of layers.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stepladder.errors import LayerError, LineError, RecipeError, unknown
from stepladder.network.spec import (
    AvgPool,
    BaseLayer,
    BatchNorm,
    Celu,
    Concat,
    Conv,
    DepthwiseConv,
    Dropout,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GlobalMaxPool,
    GroupNorm,
    HardSwish,
    Layer,
    LayerNorm,
    LeakyRelu,
    Linear,
    LocallyConnected,
    MaxPool,
    Network,
    Pad,
    Relu,
    Residual,
    Scale,
    Sides,
    Silu,
    SqueezeExcite,
    Tanh,
    is_output,
)
from stepladder.schema import check


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
    "relu": Word(Relu, "relu", "relu6", "ceiling"),
    "lrelu": Word(LeakyRelu, "lrelu", "lrelu0.1", "negative_slope"),
    "gelu": Word(Gelu, "gelu", "gelu"),
    "silu": Word(Silu, "silu", "silu"),
    "hswish": Word(HardSwish, "hswish", "hswish"),
    "celu": Word(Celu, "celu", "celu0.3", "alpha"),
    "tanh": Word(Tanh, "tanh", "tanh"),
    "bn": Word(BatchNorm, "norm", "bn"),
    "gn": Word(GroupNorm, "norm", "gn8", "groups"),
    "ln": Word(LayerNorm, "norm", "ln"),
    "se": Word(SqueezeExcite, "se", "se16", "reduction"),
    "drop": Word(Dropout, "drop", "drop0.5", "p"),
    "scale": Word(Scale, "scale", "scale0.125", "factor"),
    "flatten": Word(Flatten, "flatten", "flatten"),
    "fc": Word(Linear, "fc", "fc1000", "features"),
    "res": Word(Residual, "res", "res(conv3-16 relu conv3-16)"),
    "cat": Word(Concat, "cat", "cat(conv1-16 | conv3-16)"),
}

#: What others call the layers: read, never written. Capitals and signs between words make no difference.
ALIASES: dict[str, str] = {
    "convolution": "conv",
    "locallyconnected": "local",
    "depthwise": "dw",
    "depthwiseconv": "dw",
    "dwconv": "dw",
    "maxpool": "pool",
    "maxpooling": "pool",
    "averagepool": "avgpool",
    "avgpooling": "avgpool",
    "averagepooling": "avgpool",
    "globalavgpool": "gap",
    "globalaveragepool": "gap",
    "globalaveragepooling": "gap",
    "globalmaxpool": "gmp",
    "globalmaxpooling": "gmp",
    "zeropad": "pad",
    "leakyrelu": "lrelu",
    "swish": "silu",
    "hardswish": "hswish",
    "batchnorm": "bn",
    "batchnormalization": "bn",
    "groupnorm": "gn",
    "layernorm": "ln",
    "squeezeexcite": "se",
    "squeezeexcitation": "se",
    "dropout": "drop",
    "linear": "fc",
    "dense": "fc",
    "residual": "res",
    "concat": "cat",
    "concatenate": "cat",
    "concatenation": "cat",
}

#: The word of each kind of layer.
WORD_OF: dict[type[BaseLayer], str] = {word.kind: name for name, word in WORDS.items()}

#: Starts a line in which nothing is implied.
PLAIN = "plain"

#: Layers after which a line without any activation implies a ReLU.
ACTIVATED = (Conv, LocallyConnected, DepthwiseConv, Linear)
ACTIVATIONS = (Relu, LeakyRelu, Gelu, Silu, HardSwish, Celu, Tanh)
NORMALIZATIONS = (BatchNorm, GroupNorm, LayerNorm)

#: Of these a network has one as a rule: the first goes without a number.
_ALONE = ("flatten", "gap", "gmp", "pad", "scale")


_TOKEN = re.compile(r"[()|]|[^\s()|]+")
_WORD = re.compile(r"(?P<word>[A-Za-z_]*)(?P<first>-?[\d.][^:]*?)?(?:-(?P<second>[^-:]*))?(?::(?P<options>.*))?")
_SIDES = re.compile(r"(\d{1,9})[x×](\d{1,9})", re.ASCII)
#: What other libraries put behind a layer's name to say that it works on images: it is no figure.
_AXES = re.compile(r"[123]d(?![^\s:-])", re.IGNORECASE)
_DEEPEST = 8
#: What may stand behind the output without being one.
_PASSING = (*ACTIVATIONS, *NORMALIZATIONS, Scale, Dropout)


class Names:
    """Automatic names: conv1, conv2, …; in the body of res1: res1_conv1, …; the branches of cat1 count on together.

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


def implied_padding(kernel_size: int | Sides, stride: int, dilation: int) -> int | Sides | str:
    """Return the padding of a convolution in the one-line form: the size stays, or is divided by the stride.

    (kernel_size − 1)/2 zeros on each side, times the dilation; an odd sum needs "same", which is taken at stride 1.
    """
    if isinstance(kernel_size, int):
        total = dilation * (kernel_size - 1)
        return "same" if total % 2 and stride == 1 else total // 2
    rows, columns = (implied_padding(size, stride, dilation) for size in kernel_size)
    if isinstance(rows, int) and isinstance(columns, int):
        return rows if rows == columns else (rows, columns)
    return "same"


@dataclass(frozen=True)
class Token:
    """A piece of the line with its place."""

    text: str
    start: int
    end: int


class Line:
    """A network's one-line form, read.

    Args:
        text: the line; any white space separates words.

    Attributes:
        network: the layer list.

    Raises:
        LineError: what is wrong, with a caret under the token.
    """

    def __init__(self, text: str) -> None:
        self.text = re.sub(r"\s", " ", text)
        self._spans: dict[str, Token] = {}
        self._outputs: list[Token] = []
        tokens = [Token(found[0], found.start(), found.end()) for found in _TOKEN.finditer(self.text)]
        self._plain = bool(tokens) and tokens[0].text.lower() == PLAIN
        tokens = tokens[self._plain :]
        if not tokens:
            raise RecipeError("the network is an empty line; write layers, as: conv5-32 pool2 fc")
        stems = [_stem(token.text) for token in tokens]
        activations = {name for name, word in WORDS.items() if word.kind in ACTIVATIONS}
        self._implies_relu = not self._plain and not any(stem in activations for stem in stems)
        self._implies_flatten = not self._plain and "flatten" not in stems
        layers, _ = self._read(iter(tokens), Names(), "", None)
        if len(self._outputs) > 1:
            raise self._wrong(
                self._outputs[1],
                "the network has two outputs: only the last layer gives one value a class; write how many features "
                "this one has, as fc1000, or remove it",
            )
        if not self._plain:
            layers = self._with_output(layers)
        try:
            self.network = Network.model_validate({"layers": layers})
        except RecipeError as error:  # two layers of one name
            named = next((name for name in reversed(self._spans) if f"'{name}'" in str(error)), None)
            token = self._spans[named] if named else tokens[-1]
            raise self._wrong(token, str(error)) from error

    def explain(self, error: RecipeError) -> RecipeError:
        """Return ``error`` with a caret under the layer that it is about, where that stands in the line."""
        token = self._spans.get(error.layer) if isinstance(error, LayerError) else None
        return error if token is None else LineError(str(error), self.text, token.start, token.end)

    def _read(
        self, tokens: Iterator[Token], names: Names, above: str, opened: Token | None, depth: int = 0
    ) -> tuple[list[BaseLayer], str]:
        """Read up to the parenthesis that closes ``opened``, to a bar, or to the end of the line; return what it was.

        Args:
            above: what the layers' numbers begin with.
            depth: how many parentheses are open.
        """
        layers: list[BaseLayer] = []
        pending: Token | None = None  # a res or cat that waits for its parenthesis
        owed: Token | None = None  # a layer whose implied ReLU waits for the normalization behind it
        for token in tokens:
            word = WORDS.get(_stem(token.text))
            if owed is not None and not (word and word.kind in NORMALIZATIONS):
                layers.append(self._note(Relu(name=names.give(Relu)), owed))
                owed = None
            number = f"{above}{len(layers) + 1}"
            if token.text == "(":
                if pending is None:
                    raise self._wrong(
                        token,
                        "a parenthesis holds the body of a residual, or the branches of a concatenation; write res(…) "
                        "or cat(… | …)",
                    )
                if depth == _DEEPEST:
                    raise self._wrong(token, f"residuals stand at most {_DEEPEST} deep; put them one after another")
                read = self._residual if WORDS[_stem(pending.text)].kind is Residual else self._concatenation
                layers.append(read(pending, token, tokens, names, number, depth + 1))
                pending = None
                continue
            if pending is not None:
                break
            if token.text == ")":
                if opened is None:
                    raise self._wrong(token, "this parenthesis closes nothing; remove it")
                return layers, token.text
            if token.text == "|":
                if opened is None:
                    raise self._wrong(token, "a bar parts the branches of a concatenation; write cat(… | …)")
                return layers, token.text
            if word is not None and word.kind in (Residual, Concat):
                pending = token
                continue
            layer = self._layer(token, names, number)
            if isinstance(layer, Linear) and not above and self._flattens_before(layers):
                layers.append(self._note(Flatten(name=names.give(Flatten)), token))
            layers.append(layer)
            if self._implies_relu and isinstance(layer, ACTIVATED):
                owed = token
        if owed is not None:
            layers.append(self._note(Relu(name=names.give(Relu)), owed))
        if pending is not None:
            word = WORDS[_stem(pending.text)]
            needed = "a residual needs a body" if word.kind is Residual else "a concatenation needs branches"
            raise self._wrong(pending, f"{needed}; write {word.example}")
        if opened is not None:
            raise self._wrong(opened, "this parenthesis is not closed; add ) after the body")
        return layers, ""

    def _residual(
        self, token: Token, opened: Token, tokens: Iterator[Token], names: Names, number: str, depth: int
    ) -> BaseLayer:
        options = self._options(token, WORDS["res"])
        options.setdefault("name", names.give(Residual))
        body, end = self._read(tokens, Names(f"{options['name']}_"), f"{number}.", opened, depth)
        if end == "|":
            raise self._wrong(
                token, "a residual has one body, and a bar parts branches; write cat(… | …) to put channels together"
            )
        return self._checked(Residual, {**options, "body": body}, token, number)

    def _concatenation(
        self, token: Token, opened: Token, tokens: Iterator[Token], names: Names, number: str, depth: int
    ) -> BaseLayer:
        """Read branches; one alone stands beside the input, as a residual's body does."""
        options = self._options(token, WORDS["cat"])
        options.setdefault("name", names.give(Concat))
        within, end = Names(f"{options['name']}_"), "|"
        branches: list[list[BaseLayer]] = []
        while end == "|":
            branch, end = self._read(tokens, within, f"{number}.{len(branches) + 1}.", opened, depth)
            branches.append(branch)
        if len(branches) == 1:
            branches = [[], *branches]
        return self._checked(Concat, {**options, "branches": branches}, token, number)

    def _layer(self, token: Token, names: Names, number: str) -> BaseLayer:
        word = WORDS.get(_stem(token.text))
        if word is None:
            shown = re.sub(r"[-\d.:].*", "", token.text) or token.text
            raise self._wrong(token, f"layer {number}: {unknown('layer', shown, WORDS)}")
        options = self._options(token, word)
        if word.kind is Linear:
            options.setdefault("features", "classes")
        if issubclass(word.kind, Conv | LocallyConnected | DepthwiseConv) and "padding" not in options:
            size, stride, dilation = (options.get(key, 1) for key in ("kernel_size", "stride", "dilation"))
            if isinstance(size, int | tuple) and type(stride) is int and type(dilation) is int:
                options["padding"] = implied_padding(size, stride, dilation)
        options = {"name": names.give(word.kind), **options}
        layer = self._checked(word.kind, options, token, number)
        if "classes" in (getattr(layer, "features", None), getattr(layer, "channels", None)):
            self._outputs.append(token)
        return layer

    def _options(self, token: Token, word: Word) -> dict[str, object]:
        """Return the options of a token as a table."""
        found = _WORD.fullmatch(_without_axes(token.text))
        if found is None:
            raise self._wrong(token, f"'{token.text}' is no layer; write it as {word.example}")
        options: dict[str, object] = {}
        for option, text in ((word.first, found["first"]), (word.second, found["second"])):
            if text is None:
                continue
            if option is None:
                raise self._wrong(token, f"'{token.text}' has a figure too many; write it as {word.example}")
            options[option] = _value(text.lower())
        for entry in found["options"].split(",") if found["options"] is not None else ():
            key, equals, text = entry.partition("=")
            if not equals or not key or not text:
                raise self._wrong(
                    token, f"'{token.text}' has an option without a value; write it as {word.example}:option=value"
                )
            key = key.lower()
            if key in options:
                raise self._wrong(token, f"'{token.text}' gives {key} twice; give it once")
            options[key] = text if key == "name" else _value(text.lower())
        return options

    def _checked(self, kind: type[BaseLayer], table: dict[str, object], token: Token, number: str) -> BaseLayer:
        try:
            return self._note(check(kind, table, "", whole=f"'{token.text}'"), token)
        except RecipeError as error:
            raise self._wrong(token, f"layer {number} ({table['name']}): {error}") from error

    def _flattens_before(self, layers: list[BaseLayer]) -> bool:
        """Whether a fully connected layer behind ``layers`` gets maps, and the line leaves the flatten to us."""
        return self._implies_flatten and not any(
            isinstance(layer, Linear | Flatten | GlobalAvgPool | GlobalMaxPool) for layer in layers
        )

    def _with_output(self, layers: list[BaseLayer]) -> list[BaseLayer]:
        """Add the layer that puts out the classes where there is none, and take an implied ReLU from behind it."""
        output = next((at for at, layer in enumerate(layers) if is_output(layer)), None)
        if output is None and not self._outputs:
            last = next((at for at in reversed(range(len(layers))) if not isinstance(layers[at], _PASSING)), None)
            output = last if last is not None and isinstance(layers[last], Linear) else None
            if output is None:
                taken = {layer.name for layer in layers}
                flatten = [Flatten(name="flatten")] if self._flattens_before(layers) else []
                name = next(name for number in range(1, len(taken) + 2) if (name := f"fc{number}") not in taken)
                return [*layers, *flatten, Linear(name=name, features="classes")]
        behind = layers[output + 1 : output + 2] if output is not None else []
        if output is not None and self._implies_relu and behind and isinstance(behind[0], Relu):
            return layers[: output + 1] + layers[output + 2 :]
        return layers

    def _note(self, layer: BaseLayer, token: Token) -> BaseLayer:
        self._spans[layer.name] = token
        return layer

    def _wrong(self, token: Token, sentence: str) -> LineError:
        return LineError(sentence, self.text, token.start, token.end)


def parse_line(text: str) -> Network:
    """Return the network of a one-line form; see :class:`Line`.

    Raises:
        LineError: what is wrong, with a caret under the token.
    """
    return Line(text).network


def read_layer(text: str) -> tuple[BaseLayer, set[str]]:
    """Return the layer of one word, as ``conv5:stride=2``, and the options that it states; channels may be left out.

    Raises:
        LineError: what is wrong, with a caret.
    """
    token = Token(text, 0, len(text))
    line = Line("fc")
    line.text = text
    word = WORDS.get(_stem(text))
    stated = set(line._options(token, word)) if word is not None else set()
    if word is not None and word.second == "channels" and "channels" not in stated:
        name, colon, options = text.partition(":")
        token = Token(f"{name}-1{colon}{options}", 0, len(text))
    return line._layer(token, Names(), "1"), stated


def is_line(text: str) -> bool:
    """Whether ``text`` can only be meant as a one-line form: several words, or one that is a layer."""
    if len(text.split()) != 1 or "(" in text:
        return True
    return _stem(text) in WORDS and _WORD.fullmatch(text) is not None


def _stem(text: str) -> str:
    """Return the word of a token without its figures and options, as :data:`WORDS` has it where it knows it."""
    found = re.match(r"[A-Za-z_]*", text)
    assert found is not None
    plain = found[0].lower().replace("_", "")
    return ALIASES.get(plain, plain if plain in WORDS else found[0])


def _without_axes(text: str) -> str:
    """Return ``MaxPool2d:stride=1`` as ``MaxPool:stride=1``: the 2d of other libraries is not the size of a window."""
    word = re.match(r"[A-Za-z_]*", text)
    assert word is not None
    return word[0] + _AXES.sub("", text[word.end() :], count=1) if _AXES.match(text, word.end()) else text


def _value(text: str) -> object:
    if text in ("yes", "true", "no", "false"):
        return text in ("yes", "true")
    if re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        return int(text)
    if sides := _SIDES.fullmatch(text):
        return int(sides[1]), int(sides[2])
    try:
        return float(text)
    except ValueError:
        return text


def format_line(network: Network) -> str:
    """Return the shortest one-line form that :func:`parse_line` reads back as ``network``, names included.

    Of a network that a user's own file builds, the file and its function, as ``net.py:build``; that is no line.
    """
    if network.own is not None:
        return network.own.reference
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
        if isinstance(layer, Concat):
            within = Names(f"{layer.name}_")
            branches = [" ".join(_format(branch, within, implied)) for branch in layer.branches]
            if len(branches) == 2 and not branches[0]:
                del branches[0]
            yield f"cat{''.join(f':{name}' for name in named)}({' | '.join(branches)})"
            continue
        if implied and (isinstance(layer, Flatten) or _is_implied_relu(layers, position)):
            continue
        yield _format_layer(layer, named)


def _is_implied_relu(layers: tuple[Layer, ...], position: int) -> bool:
    before = [layer for layer in layers[:position] if not isinstance(layer, NORMALIZATIONS)]
    layer = layers[position]
    plain = isinstance(layer, Relu) and layer.ceiling is None
    return plain and bool(before) and isinstance(before[-1], ACTIVATED)


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
    fields = type(layer).model_fields
    first = word.first
    silent = first is None or (first in layer.quiet and figures[first] == fields[first].get_default())
    if first is not None and not silent and re.fullmatch(r"[\d.]+(x\d+)?", _written(figures[first])):
        text += _written(figures.pop(first))
    elif figures.get("features") == "classes":
        del figures["features"]
    if word.second is not None and figures[word.second] != 1:
        text += f"-{figures.pop(word.second)}"
    left = {key: value for key, value in figures.items() if key == "padding" or value != fields[key].get_default()}
    options = [f"{key}={_written(value)}" for key, value in left.items()] + named
    return text + (":" + ",".join(options) if options else "")


def _written(value: object) -> str:
    if isinstance(value, tuple):
        return "x".join(map(str, value))
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def network_of_table(table: Mapping[str, Any]) -> Network:
    """Return the network of a table.

    Raises:
        RecipeError: it does not fit.
    """
    if "line" not in table:
        return check(Network, table, "", whole="the network")
    if not isinstance(table["line"], str) or len(table) > 1:
        others = ", ".join(key for key in table if key != "line")
        raise RecipeError(
            f"a network's table has a line and also {others}; keep one of layers and line"
            if others
            else f"line is {table['line']!r}; it must be a text, as: conv5-32 pool2 fc"
        )
    return parse_line(table["line"])
