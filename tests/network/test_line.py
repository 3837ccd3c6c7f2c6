"""The one-line form: what it implies, that it is read back as written, and a caret under what is wrong."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepladder.errors import LineError, RecipeError
from stepladder.network import Network, format_line, load_preset, parse_line, preset_names, trace_network
from stepladder.network.line import Line, is_line

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


PIECES = ["conv3-8", "pool2", "(", ")", "res", "fc", "fc5", ":", ",", "=", "-", "flatten", "bn", "x9", ":name=a"]


@thorough
@given(line=st.lists(st.sampled_from(PIECES)).map(" ".join))
def test_any_text_gives_a_network_or_a_sentence(line):
    with contextlib.suppress(RecipeError):
        assert isinstance(parse_line(line), Network)


WRONG = {
    "unknown": (
        "conv5-32 pol2 fc",
        "layer 3: unknown layer 'pol'; did you mean 'pool'? Known: avgpool, bn, celu, conv, drop, dw, fc, flatten, "
        "gap, gelu, gmp, gn, ln, local, pad, pool, relu, res, scale, tanh",
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
