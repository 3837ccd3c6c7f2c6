"""The one-line form: what it implies, that it is read back as written, and a caret under what is wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import LineError, RecipeError
from stepladder.network import Network, format_line, load_preset, parse_line, preset_names, trace_network
from stepladder.network.line import ALIASES, WORD_OF, WORDS, Line, _stem, is_line
from stepladder.network.spec import LAYER_KINDS

from .random_networks import networks, thorough


def names(line: str) -> list[str]:
    return [layer.name for layer in parse_line(line).every_layer()]


def test_the_report_s_network_in_one_line():
    network = parse_line("conv5-32 pool2 conv5-64 pool2 conv5-64 pool2 fc1000 fc10")
    report = load_preset("report")
    assert [layer.name for layer in network.layers] == [layer.name for layer in report.layers]
    assert [cost.weights for cost in trace_network(network, (3, 32, 32), 10)] == [
        cost.weights for cost in trace_network(report, (3, 32, 32), 10)
    ]
    exact = "conv5-32 pool2:ceil_mode=yes conv5-64 pool2:ceil_mode=yes conv5-64 pool2:ceil_mode=yes fc1000 fc"
    assert format_line(report) == exact
    assert parse_line(exact) == report


def test_toml_python_and_line_mean_the_same(tmp_path):
    from stepladder.network import load_network
    from stepladder.network.spec import Conv, Flatten, Linear, MaxPool, Relu

    python = Network(
        layers=(
            Conv(name="conv1", channels=8, kernel_size=3, padding=1),
            Relu(name="relu1"),
            MaxPool(name="pool1", kernel_size=2, stride=2),
            Flatten(name="flatten"),
            Linear(name="fc1", features="classes"),
        )
    )
    table = (
        'layers = [{ name = "conv1", kind = "conv", channels = 8, kernel_size = 3, padding = 1 },\n'
        '{ name = "relu1", kind = "relu" }, { name = "pool1", kind = "max_pool", kernel_size = 2 },\n'
        '{ name = "flatten", kind = "flatten" }, { name = "fc1", kind = "linear", features = "classes" }]'
    )
    (tmp_path / "layers.toml").write_text(table)
    (tmp_path / "line.toml").write_text('line = "conv3-8 pool2 fc"')
    assert load_network("conv3-8 pool2 fc") == python
    assert load_network(str(tmp_path / "layers.toml")) == python
    assert load_network(str(tmp_path / "line.toml")) == python


@pytest.mark.parametrize(
    ("line", "implied"),
    [
        ("conv3-8 fc20 fc", ["conv1", "relu1", "flatten", "fc1", "relu2", "fc2"]),
        ("conv3-8 gelu fc20 fc", ["conv1", "gelu1", "flatten", "fc1", "fc2"]),
        ("conv3-8 bn pool2 fc", ["conv1", "norm1", "relu1", "pool1", "flatten", "fc1"]),
        ("conv3-8 gap fc", ["conv1", "relu1", "gap", "fc1"]),
        ("conv3-8 pool2", ["conv1", "relu1", "pool1", "flatten", "fc1"]),
        ("conv3-8 fc10 scale0.1", ["conv1", "relu1", "flatten", "fc1", "scale"]),
        ("conv1-classes gap", ["conv1", "gap"]),
        ("plain conv3-8 flatten fc", ["conv1", "flatten", "fc1"]),
        ("res(conv3-8 bn) gap fc", ["res1_conv1", "res1_norm1", "res1_relu1", "res1", "gap", "fc1"]),
        ("conv3-8 lrelu fc20 fc", ["conv1", "lrelu1", "flatten", "fc1", "fc2"]),
        ("conv3-8 hswish se gap fc", ["conv1", "hswish1", "se1", "gap", "fc1"]),
        ("cat(conv3-8) gap fc", ["cat1_conv1", "cat1_relu1", "cat1", "gap", "fc1"]),
        ("cat(conv1-4 | silu conv3-8) gap fc", ["cat1_conv1", "cat1_silu1", "cat1_conv2", "cat1", "gap", "fc1"]),
        ("conv3-8:name=stem conv3-8 gap fc", ["stem", "relu1", "conv2", "relu2", "gap", "fc1"]),
    ],
)
def test_what_a_line_implies(line, implied):
    assert names(line) == implied


@pytest.mark.parametrize(
    ("token", "padding"),
    [
        ("conv5-8", 2),
        ("conv3-8:dilation=2", 2),
        ("conv3-8:stride=2", 1),
        ("conv4-8", "same"),
        ("conv4-8:stride=2", 1),
        ("conv3-8:stride=2,padding=same", "same"),
        ("conv3x1-8", (1, 0)),
        ("conv3x5-8:dilation=2", (2, 4)),
        ("conv4x3-8", "same"),
        ("conv4x3-8:stride=2", 1),
        ("conv3x3-8", 1),
    ],
)
def test_a_convolution_keeps_the_size_or_divides_it_by_its_stride(token, padding):
    layer = parse_line(f"{token} gap fc").layers[0]
    assert layer.padding == padding


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_read_back_as_written(name):
    assert parse_line(format_line(load_preset(name))) == load_preset(name)


@thorough
@given(network=networks())
def test_any_network_is_read_back_as_written(network):
    assert parse_line(format_line(network)) == network
    assert Network.model_validate(network.model_dump(mode="json")) == network


PIECES = [
    "cat",
    "|",
    "se4",
    "Conv3x1-4",
    "conv3-8",
    "pool2",
    "(",
    ")",
    "res",
    "fc",
    "fc5",
    ":",
    ",",
    "=",
    "-",
    "flatten",
    "bn",
    "x9",
    ":name=a",
]


@thorough
@given(line=st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_any_text_gives_a_network_or_a_sentence(line):
    with contextlib.suppress(RecipeError):
        assert isinstance(parse_line(line), Network)


WRONG = {
    "unknown": (
        "conv5-32 pol2 fc",
        "layer 3: unknown layer 'pol'; did you mean 'pool'? Known: avgpool, bn, cat, celu, conv, drop, dw, fc, "
        "flatten, gap, gelu, gmp, gn, hswish, ln, local, lrelu, pad, pool, relu, res, scale, se, silu, tanh",
        "pol2",
    ),
    "stride": ("conv5-32:stride=0 fc", "layer 1 (conv1): stride is 0; it must be at least 1", "conv5-32:stride=0"),
    "padding": (
        "conv3-8:padding=3 fc",
        "layer 1 (conv1): padding is 3 around kernels that reach over 3 pixels; it must be at most 2, or some outputs "
        "would see nothing but padding",
        "conv3-8:padding=3",
    ),
    "setting": ("fc9:bais=no fc", "layer 1 (fc1): unknown setting 'bais'; did you mean 'bias'? Known: ", "fc9:bais=no"),
    "channels": ("conv5 fc", "layer 1 (conv1): channels is missing; add it to 'conv5'", "conv5"),
    "figure": ("conv3-8 tanh6 fc", "'tanh6' has a figure too many; write it as tanh", "tanh6"),
    "two outputs": ("conv3-8 fc fc:bias=no", "the network has two outputs", "fc:bias=no"),
    "two names": ("conv3-8:name=a fc7:name=a fc", "the network has two layers called 'a'; give each", "fc7:name=a"),
    "no value": ("conv3-8:stride fc", "'conv3-8:stride' has an option without a value", "conv3-8:stride"),
    "twice": ("conv3-8:channels=9 fc", "'conv3-8:channels=9' gives channels twice; give it once", "conv3-8:channels=9"),
    "open": ("res(conv3-8 fc", "this parenthesis is not closed; add ) after the body", "("),
    "closed": ("conv3-8) fc", "this parenthesis closes nothing; remove it", ")"),
    "no body": ("res conv3-8 fc", "a residual needs a body", "res"),
    "parenthesis": ("conv3-8(fc)", "a parenthesis holds the body of a residual", "("),
    "bar": ("conv3-8 | fc", "a bar parts the branches of a concatenation; write cat(… | …)", "|"),
    "bar in a residual": ("res(conv3-8 | relu) fc", "a residual has one body, and a bar parts branches", "res"),
    "no branches": ("conv3-8 cat fc", "a concatenation needs branches; write cat(conv1-16 | conv3-16)", "cat"),
    "kernel": (
        "conv3x0-8 fc",
        "layer 1 (conv1): kernel_size is (3, 0); it must be at least 1, or two such numbers, of rows and",
        "conv3x0-8",
    ),
    "hidden": (
        "conv3-8 se4:hidden=2 fc",
        "layer 3 (se1): hidden is 2 and reduction is 4, and each says how many values the gates are made of; keep one",
        "se4:hidden=2",
    ),
    "branch": (
        "cat(conv3-8 | relu conv0-8) fc",
        "layer 1.2.2 (cat1_conv2): kernel_size is 0; it must be",
        "conv0-8",
    ),
    "other pooling": ("conv3-8 MaxPool2d fc", "layer 3 (pool1): kernel_size is missing; add it to", "MaxPool2d"),
    "pool": ("conv3-8 pool3:padding=2 fc", "layer 3 (pool1): padding is 2 around windows of 3", "pool3:padding=2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_has_a_caret(name):
    line, sentence, token = WRONG[name]
    with pytest.raises(LineError) as caught:
        parse_line(line)
    first, shown, carets = str(caught.value).splitlines()
    assert first.startswith(sentence)
    assert shown == f"  {line}"
    assert shown[carets.index("^") : carets.rindex("^") + 1] == token


@pytest.mark.parametrize(
    ("line", "sentence", "token"),
    [
        (
            "conv5-32 pool2 conv9-8:padding=0 fc",
            "layer 4 (conv2) has a kernel of 9 and gets 4 + 2·0 = 4",
            "conv9-8:padding=0",
        ),
        (
            "conv3-8 conv3-9:groups=2 fc",
            "layer 3 (conv2) has groups = 2, which does not divide its 9",
            "conv3-9:groups=2",
        ),
        (
            "conv3-8 conv3-8:groups=3 fc",
            "layer 3 (conv2) has groups = 3, which does not divide its 8",
            "conv3-8:groups=3",
        ),
        ("pool2 pool2 pool2 avgpool2 fc", "layer 4 (pool4) has a kernel of 2 and gets 1 + 2·0 = 1 pixels", "avgpool2"),
        ("fc9 flatten fc", "layer 1 (fc1) is fully connected and gets maps of 3×8×8; put a flatten before", "fc9"),
        ("conv3-8 fc9 conv3-7 fc", "layer 6 (conv2) works on maps and gets 9 values; put it before", "conv3-7"),
        ("res(conv3-8:padding=0) fc", "layer 1 (res1) cannot add its input of 3×8×8 to the 8×6×6 of its body", "res"),
        ("cat(conv3-8 | pool2) fc", "layer 1 (cat1) cannot put the 8×8×8 and 3×4×4 of its branches behind", "cat"),
        ("conv3-8 gap se fc", "layer 4 (se1) works on maps and gets 8 values; put it before the flatten", "se"),
        ("conv1x11-4:padding=0 fc", "layer 1 (conv1) has a kernel of 11 and gets 8 + 2·0 = 8", "conv1x11-4:padding=0"),
        ("conv3-8 fc7", "the network puts out 7 values where 10 classes need 10 values", "fc7"),
        (
            "conv3-8 gn3 fc",
            "layer 2 (norm1) has groups = 3, which does not divide its 8 channels; choose 1 or 2 or 4",
            "gn3",
        ),
    ],
)
def test_what_does_not_fit_the_images_has_a_caret_too(line, sentence, token):
    read = Line(line)
    with pytest.raises(RecipeError) as caught:
        trace_network(read.network, (3, 8, 8), 10)
    explained = read.explain(caught.value)
    first, shown, carets = str(explained).splitlines()
    assert first.startswith(sentence)
    assert shown[carets.index("^") : carets.rindex("^") + 1] == token


def test_a_long_line_is_cut_around_the_token():
    line = "conv3-8 " * 30 + "cnov3-8 " + "conv3-8 " * 30 + "fc"
    with pytest.raises(LineError) as caught:
        parse_line(line)
    _, shown, carets = str(caught.value).splitlines()
    assert len(shown) < 80
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "cnov3-8"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [("report", False), ("conv5-32", True), ("fc", True), ("flat", False), ("a b", True), ("", True)],
)
def test_what_is_meant_as_a_line(text, is_one):
    assert is_line(text) == is_one


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("Conv3-8 ReLU MaxPool2 Flatten Linear20 ReLU Linear", "conv3-8 relu pool2 flatten fc20 relu fc"),
        ("conv3-8 BatchNorm leaky_relu0.1 dropout0.5 GlobalAvgPool dense", "conv3-8 bn lrelu0.1 drop0.5 gap fc"),
        ("CONV3X1-8:STRIDE=2 swish averagepool2 fc", "conv3x1-8:stride=2 silu avgpool2 fc"),
        ("conv3-8 batch_norm hard_swish SqueezeExcite4 fc", "conv3-8 bn hswish se4 fc"),
        ("conv3-8 BatchNorm2d ReLU MaxPool2 gap fc", "conv3-8 bn relu pool2 gap fc"),
        ("concat(conv1-4 | conv3-8) residual(conv3-12) gap fc", "cat(conv1-4 | conv3-8) res(conv3-12) gap fc"),
        ("conv3-8:padding=SAME,bias=No fc", "conv3-8:padding=same,bias=no fc"),
        ("PLAIN conv3-8 flatten fc", "plain conv3-8 flatten fc"),
        ("conv3-8|fc", None),
    ],
)
def test_other_words_and_capitals_are_read(line, same):
    if same is None:
        with pytest.raises(LineError, match="a bar parts the branches"):
            parse_line(line)
        return
    assert parse_line(line) == parse_line(same)
    assert format_line(parse_line(line)) == format_line(parse_line(same))


def test_every_other_word_means_a_layer_and_hides_none():
    assert set(ALIASES.values()) <= set(WORDS)
    assert not set(ALIASES) & set(WORDS)
    for kind in LAYER_KINDS.values():
        if kind in WORD_OF:  # the kind's own name in TOML is read too
            assert _stem(kind.model_fields["kind"].default) == WORD_OF[kind]


def test_names_keep_their_capitals():
    assert names("conv3-8:name=Stem relu gap fc")[0] == "Stem"


def test_the_forms_of_a_concatenation():
    beside = parse_line("cat(conv3-8 relu) gap fc").layers[0]
    assert [[layer.kind for layer in branch] for branch in beside.branches] == [[], ["conv", "relu"]]
    assert parse_line("cat(|conv3-8 relu) gap fc").layers[0] == beside
    three = "cat(conv1-4 relu | | conv3x1-4 relu) gap fc"
    assert len(parse_line(three).layers[0].branches) == 3
    assert format_line(parse_line(three)) == "cat(conv1-4 |  | conv3x1-4) gap fc"
    assert parse_line(format_line(parse_line(three))) == parse_line(three)
    with pytest.raises(RecipeError, match="branches has 1; a concatenation needs two, and an empty one is the input"):
        Network.model_validate({"layers": [{"name": "a", "kind": "concat", "branches": [[]]}]})


def test_a_mistake_in_a_recipe_s_line_is_said_with_its_column(tmp_path):
    from stepladder.recipe import load_recipe

    path = tmp_path / "mine.toml"
    for network in ('network = "conv3-8 pol2 fc"', '[network]\nline = "conv3-8 pol2 fc"'):
        path.write_text(f'base = "small"\n{network}\n')
        with pytest.raises(RecipeError, match=r"network, column 9: layer 3: unknown layer 'pol'; did you mean 'pool'"):
            load_recipe(str(path))
        path.write_text(f'base = "small"\n{network.replace("pol2", "pool2")}\n')
        assert load_recipe(str(path)).network == parse_line("conv3-8 pool2 fc")
