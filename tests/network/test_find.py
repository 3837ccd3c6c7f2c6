"""From what a user types to a network."""

from __future__ import annotations

import json

import pytest

from stepladder.errors import RecipeError, StorageError
from stepladder.network import find_network, load_network, load_preset
from stepladder.network.arithmetic import parse_input
from stepladder.recipe import load_recipe, parse_recipe


def test_a_preset_comes_with_its_paper():
    found = find_network("lenet5")
    assert (found.label, found.published, found.input_shape) == ("lenet5", "61,706", (1, 32, 32))
    assert "LeCun" in found.paper


def test_a_line_is_labelled_by_what_it_means():
    one, same, other = (find_network(line) for line in ("conv3-8 fc", "conv3-8  fc ", "conv3-9 fc"))
    assert one.label == same.label != other.label
    assert one.label.startswith("line-")


@pytest.mark.parametrize(
    "text", ["layers = []", 'line = "conv3-8 fc"', 'network = "lenet5"', 'paper = "x"\nline = "fc"']
)
def test_a_file(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    found = find_network(str(path))
    assert found.label in ("mine", "lenet5")


def test_a_recipe_file_names_its_network(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text(load_recipe("report").to_toml())
    assert load_network(str(path)) == load_preset("report")
    line = parse_recipe({"name": "x", "network": "conv3-8 pool2 fc"})
    assert parse_recipe(line.to_table()) == line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lenet6", r"unknown network 'lenet6'; did you mean 'lenet5'\? Known: airbench94, .*; or one line as"),
        ("nothing.toml", "cannot read the network nothing.toml: No such file"),
        ("nowhere/at/all", "unknown network 'nowhere/at/all'"),
        ("", "the network is an empty line"),
        ("x" * 5000, "unknown network"),
        ("a\0b", "unknown network"),
    ],
)
def test_what_is_no_network(text, message):
    with pytest.raises(RecipeError, match=message):
        find_network(text)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("layers = ", "is not valid TOML"),
        ("", "layers is missing; add it to the network"),
        ('line = "conv3-8 fc"\nlayers = []', "has a line and also layers; keep one"),
        ("line = 3", "line is 3; it must be a text"),
        ("network = 3", "has a network of 3; it must be a table"),
        ('line = "cnov3-8 fc"', "did you mean 'conv'"),
        ('layers = [{ kind = "relu" }]', "layer 1: name is missing; add it to the layer"),
        ('layers = [{ name = "a" }]', 'layer 1 \\(a\\) has no kind; write one, as kind = "conv", of: '),
        (
            'layers = [{ name = "r", kind = "residual", body = [{ name = "c", kind = "conv", kernel_size = 0 }] }]',
            r"layer 1 \(r\): body layer 1 \(c\): kernel_size is 0; it must be at least 1",
        ),
        (
            'layers = [{name="a", kind="linear", features="classes"}, {name="b", kind="linear", features="classes"}]',
            "the network has two outputs, 'a' and 'b'; only the last layer gives one value a class",
        ),
        (
            'layers = [{ name = "r", kind = "residual", body = [] }, { name = "r_shortcut", kind = "relu" }]',
            "the network has a layer called 'r_shortcut', as the shortcut of 'r' is; give it another name",
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    path.write_text(content)
    with pytest.raises(RecipeError, match=message):
        find_network(str(path))


def test_a_damaged_model_folder(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(RecipeError, match="holds no model"):
        find_network(str(tmp_path / "model"))
    (tmp_path / "model" / "config.json").write_text(json.dumps({"network": {"layers": [3]}}))
    with pytest.raises(StorageError, match=r"config\.json is no model's configuration; train the model again"):
        find_network(str(tmp_path / "model"))


@pytest.mark.parametrize(
    ("text", "shape"), [("3x32x32", (3, 32, 32)), ("1×28 x 30", (1, 28, 30)), ("3X8X9", (3, 8, 9))]
)
def test_sizes_of_images(text, shape):
    assert parse_input(text) == shape


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "32x32",
            "2 figures; write channels, height and width in this order, .* for color images of 32×32 that is 3x32x32",
        ),
        ("32", "1 figure; write channels, height and width"),
        ("32x32x3", "which has the channels last; .*: here 3x32x32"),
        ("3x0x32", "each figure must be 1 to 65,536"),
        ("3x99999999x3", "each figure must be 1 to"),
        ("3x-1x3", "write channels, height and width"),
        ("three", "write channels, height and width"),
        ("", "write channels, height and width"),
        ("3x٣x3", "write channels, height and width"),
    ],
)
def test_sizes_that_are_none(text, message):
    with pytest.raises(RecipeError, match=message):
        parse_input(text)
