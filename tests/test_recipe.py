"""Recipes: what they hold, what they are known by, and one clear sentence for whatever does not fit."""

from __future__ import annotations

import datetime
import math
import re
import tomllib
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stepladder.errors import RecipeError
from stepladder.network import load_preset
from stepladder.recipe import (
    SMALL_SET,
    change_settings,
    default_recipe,
    load_recipe,
    parse_recipe,
    recipe_names,
)

REPORT = load_recipe("report")


def table(**changes: object) -> dict[str, object]:
    return {"name": "x", "network": "report", **changes}


def one_technique(**options: object) -> dict[str, object]:
    return table(techniques=[options])


def test_the_report_s_recipe():
    assert REPORT.network == load_preset("report")
    assert (REPORT.epochs, REPORT.batch_size) == (20, 128)
    assert REPORT.optimizer.model_dump() == {"name": "sgd", "lr": 0.1, "momentum": 0.0}
    assert [(setting.rung, setting.name, setting.options) for setting in REPORT.techniques] == [
        ("standardize", "standardize", {}),
        ("augment", "random_crop", {"size": None, "padding": None}),
        ("augment", "horizontal_flip", {"p": 0.5}),
        ("schedule", "exponential_lr", {"gamma": 0.95}),
        ("dropout", "dropout", {"p": 0.5}),
        ("batchnorm", "batch_norm", {}),
    ]


def test_small_differs_in_its_name_batches_and_epochs_alone():
    small = load_recipe("small")
    assert small == REPORT.model_copy(update={"name": "small", "batch_size": 32, "epochs": 25})
    assert default_recipe(SMALL_SET - 1) == "small"
    assert default_recipe(SMALL_SET) == "report"


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_survives_toml(name):
    recipe = change_settings(
        load_recipe(name), {"horizontal_flip.p": "0.123456789", "optimizer.lr": "0.012345678901234567"}
    )
    again = parse_recipe(tomllib.loads(recipe.to_toml()))
    assert again == recipe
    assert again.fingerprint == recipe.fingerprint
    assert parse_recipe(recipe.to_table()) == recipe


def test_the_fingerprint_ignores_names_and_nothing_else():
    plain = REPORT.to_table()
    renamed = [{**setting, "rung": f"my {setting['rung']}"} for setting in plain["techniques"]]
    assert parse_recipe({**plain, "name": "other", "techniques": renamed}).fingerprint == REPORT.fingerprint
    # Stated or left to the default, it is the same recipe.
    assert parse_recipe({**plain, "techniques": [{"name": s["name"]} for s in plain["techniques"]]}) != REPORT
    bare = parse_recipe({**plain, "techniques": [{"name": s["name"]} for s in plain["techniques"]]})
    assert bare.fingerprint == REPORT.fingerprint

    changes = {
        "epochs": "21",
        "batch_size": "64",
        "optimizer.lr": "0.2",
        "optimizer.momentum": "0.9",
        "dropout.p": "0.4",
        "random_crop.padding": "3",
        "random_crop.size": "28",
        "horizontal_flip.p": "0.4",
        "exponential_lr.gamma": "0.9",
    }
    others = [change_settings(REPORT, {key: value}) for key, value in changes.items()]
    others += [REPORT.with_techniques(REPORT.techniques[:count]) for count in range(6)]
    others += [REPORT.with_techniques(REPORT.techniques[::-1])]
    layers = REPORT.network.model_dump()["layers"]
    wider = [{**layer, "features": 999} if layer["name"] == "fc1" else layer for layer in layers]
    others += [parse_recipe({**plain, "network": {"layers": wider}})]
    fingerprints = {recipe.fingerprint for recipe in [REPORT, *others]}
    assert len(fingerprints) == 1 + len(others)


def test_the_fingerprint_of_the_report_s_recipe_never_changes():
    """Studies find their finished trials by it: a change here makes every user train again, so it must be meant."""
    assert REPORT.fingerprint == "a65c47ff17637700373475a427e32d1cbc0883f26a2604781db62a9a30baa440"


def test_techniques_are_made_fresh_in_order():
    made = REPORT.make_techniques()
    assert [technique.name for technique in made] == [setting.name for setting in REPORT.techniques]
    assert made[0] is not REPORT.make_techniques()[0]


def test_changed_settings():
    changed = change_settings(
        REPORT,
        {"epochs": "5", "optimizer.lr": "1e-2", "dropout.p": "0.25", "network": "report", "name": "mine"},
    )
    assert (changed.epochs, changed.optimizer.lr, changed.name) == (5, 0.01, "mine")
    assert changed.techniques[4].options == {"p": 0.25}
    assert changed.network == REPORT.network
    assert change_settings(REPORT, {}) == REPORT
    assert change_settings(REPORT, {"optimizer.lr": "1"}).optimizer.lr == 1.0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "epoch",
            "5",
            "unknown setting 'epoch'; did you mean 'epochs'? Known: batch_norm.where, batch_size, dropout.p",
        ),
        (
            "optimizer.lrr",
            "5",
            "unknown setting 'optimizer.lrr'; did you mean 'optimizer.lr'? Known: optimizer.adamw_lr, ",
        ),
        ("dropout.q", "5", "unknown setting 'dropout.q'; did you mean 'dropout.p'? Known: dropout.p"),
        ("drpout.p", "5", "unknown setting 'drpout.p'; did you mean 'dropout.p'? Known: batch_norm.where"),
        ("standardize.p", "5", "unknown setting 'standardize.p'; standardize has none of that name, remove it"),
        ("dropout", "0.5", "unknown setting 'dropout'; did you mean 'dropout.p'?"),
        ("dropout.name", "batch_norm", "dropout.name cannot be set; write a recipe file"),
        ("", "5", "unknown setting ''. Known: "),
        ("epochs", "0", "epochs is 0; it must be at least 1"),
        ("epochs", "five", "epochs is 'five'; it must be a whole number"),
        ("epochs", "2.5", "epochs is 2.5; it must be a whole number"),
        ("epochs", "5\nbatch_size = 3", r"epochs is '5\nbatch_size = 3'; it must be a whole number"),
        ("epochs", "[" * 100_000, "epochs is '[[["),
        ("batch_size", "1", "batch_size is 1; it must be at least 2"),
        ("batch_size", "1" + 30 * "0", "it must be at most 2147483647"),
        ("optimizer.lr", "inf", "optimizer.lr is inf; it must be a finite number"),
        ("optimizer.lr", "nan", "optimizer.lr is nan; it must be a finite number"),
        ("optimizer.lr", "1e999", "optimizer.lr is inf; it must be a finite number"),
        ("optimizer.lr", "-0.1", "optimizer.lr is -0.1; it must be greater than 0"),
        ("optimizer.momentum", "1", "optimizer.momentum is 1; it must be less than 1"),
        (
            "optimizer.name",
            "adm",
            "unknown optimizer 'adm'; did you mean 'adam'? Known: adam, adamw, muon, rmsprop, sgd",
        ),
        ("dropout.p", "1", "dropout.p is 1; it must be at least 0 and below 1"),
        ("dropout.p", "0,5", "dropout.p is '0,5'; it must be a number"),
        ("random_crop.size", "2020-01-01", "random_crop.size is datetime.date(2020, 1, 1); it must be a whole number"),
        ("network", "reprot", "unknown network 'reprot'; did you mean 'report'? Known: "),
        ("name", "''", "name is ''; it must be a name of letters, digits, spaces and . + - _"),
    ],
)
def test_a_change_that_does_not_fit(key, value, message):
    with pytest.raises(RecipeError, match=re.escape(message)):
        change_settings(REPORT, {key: value})


CONV = {"name": "c", "kind": "conv", "channels": 4, "kernel_size": 3}


def layer(**changes: object) -> dict[str, object]:
    return table(network={"layers": [{"name": "r", "kind": "relu"}, {**CONV, **changes}]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"network": "report"}, "name is missing; add it to the recipe"),
        ({"name": "x"}, "network is missing; add it to the recipe"),
        (table(name=3), "name is 3; it must be a text"),
        (table(epoch=3), "unknown setting 'epoch'; did you mean 'epochs'? Known: batch_size, epochs, name, network, "),
        (table(epochs="5"), "epochs is '5'; it must be a whole number"),
        (table(epochs=True), "epochs is True; it must be a whole number"),
        (table(epochs=math.inf), "epochs is inf; it must be a whole number"),
        (table(epochs=datetime.date(2020, 1, 1)), "epochs is datetime.date(2020, 1, 1); it must be a whole number"),
        (table(optimizer="adam"), "optimizer is 'adam'; it must be a table"),
        (table(optimizer={"lr": [1]}), "optimizer.lr is [1]; it must be a number"),
        (table(techniques="dropout"), "techniques is 'dropout'; it must be a list"),
        (table(techniques=["dropout"]), "a technique is a table with a name, such as { name"),
        (one_technique(p=0.5), "a technique is a table with a name, such as { name"),
        (one_technique(name=["dropout"]), "a technique is a table with a name, such as { name"),
        (
            one_technique(name="dropuot"),
            "unknown technique 'dropuot'; did you mean 'dropout'? All: stepladder techniques; one of your own",
        ),
        (
            one_technique(name="mixpu"),
            "unknown technique 'mixpu'; did you mean 'mixup'? All: stepladder techniques",
        ),
        (one_technique(name="dropout", p="half"), "dropout.p is 'half'; it must be a number"),
        (one_technique(name="dropout", p=math.nan), "dropout.p is nan; it must be at least 0 and below 1"),
        (one_technique(name="dropout", rung=3), "techniques.dropout.rung is 3; it must be a text"),
        (
            one_technique(name="dropout", rung=""),
            "techniques.dropout.rung is ''; it must be a name of letters, digits, spaces and . + - _",
        ),
        (one_technique(name="exponential_lr", gamma=0), "exponential_lr.gamma is 0; it must be above 0 and at most 1"),
        (one_technique(name="random_crop", padding=-1), "random_crop.padding is -1; it must be 0 to 10,000"),
        (table(techniques=[{"name": "dropout"}] * 2), "recipe 'x' lists the technique 'dropout' twice; keep one"),
        (table(network=3), "network is 3; it must be a table"),
        (table(network={}), "network.layers is missing; add it to network"),
        (
            table(network={"layers": [], "depth": 3}),
            "unknown setting 'network.depth'; did you mean 'network.layers'? Known: network.layers",
        ),
        (table(network={"layers": [3]}), "layer 1 is 3; it must be a table, such as"),
        (
            layer(kind="cnv"),
            "layer 2 (c): unknown kind of layer 'cnv'; did you mean 'conv'? Known: avg_pool, batch_norm, celu, concat",
        ),
        (layer(channels=0), "layer 2 (c): channels is 0; it must be at least 1"),
        (layer(chanels=2), "layer 2 (c): unknown setting 'chanels'; did you mean 'channels'? Known: bias, "),
        (layer(name="a.b"), "layer 2 (a.b): name is 'a.b'; it must be a word of letters, digits and _"),
        (layer(name="r"), "the network has two layers called 'r'; give each a name of its own"),
        (layer(kind="linear"), "layer 2 (c): features is missing; add it to the layer"),
        (
            table(network={"layers": [{"name": "l", "kind": "linear", "features": "clases"}]}),
            "layer 1 (l): features is 'clases'; it must be a whole number or 'classes'",
        ),
        (table(optimizer=["x" * 1000]), "it must be a table"),
    ],
)
def test_a_table_that_does_not_fit(content, message):
    with pytest.raises(RecipeError) as caught:
        parse_recipe(content)
    sentence = str(caught.value)
    assert message in sentence
    assert "\n" not in sentence
    assert len(sentence) < 350


odd = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
places = [
    *[(key,) for key in ("name", "network", "optimizer", "epochs", "batch_size", "techniques", "new")],
    *[("optimizer", key) for key in ("name", "lr", "momentum", "new")],
    *[("techniques", 4, key) for key in ("name", "rung", "p", "new")],
    *[("techniques", 1, key) for key in ("size", "padding")],
    ("techniques", 0),
    ("network", "layers"),
    ("network", "layers", 0),
    *[("network", "layers", 0, key) for key in ("name", "kind", "channels", "new")],
    ("network", "layers", 12, "features"),
]


def complaint(act: Callable[[], object]) -> str | None:
    """What is wrong, in a sentence; any other exception is a failure of the test."""
    try:
        act()
    except RecipeError as error:
        return str(error)
    return None


@pytest.mark.long
@settings(max_examples=300, deadline=None)
@given(place=st.sampled_from(places), value=odd)
@example(place=("optimizer", "name"), value="\n")
def test_an_odd_value_anywhere_gives_a_recipe_or_a_sentence(place, value):
    content = REPORT.to_table()
    target = content
    for part in place[:-1]:
        target = target[part]
    target[place[-1]] = value
    sentence = complaint(lambda: parse_recipe(content))
    if sentence is None:
        recipe = parse_recipe(content)
        assert parse_recipe(recipe.to_table()).fingerprint == recipe.fingerprint
    else:
        assert "pydantic" not in sentence
        assert "\n" not in sentence


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(["epochs", "optimizer.lr", "dropout.p", "network", "random_crop.size"]), value=st.text())
def test_any_text_for_a_setting_gives_a_recipe_or_a_sentence(key, value):
    sentence = complaint(lambda: change_settings(REPORT, {key: value}))
    assert sentence is None or "pydantic" not in sentence


@pytest.fixture
def write(tmp_path):
    def to_file(content: str | bytes, name: str = "mine.toml") -> str:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)

    return to_file


def test_a_file_states_only_its_difference(write):
    assert load_recipe(write('base = "report"')) == REPORT
    changed = load_recipe(write('base = "report"\nname = "mine"\nepochs = 3\n[optimizer]\nmomentum = 0.9\n'))
    expected = change_settings(REPORT, {"name": "mine", "epochs": "3", "optimizer.momentum": "0.9"})
    assert changed == expected


def test_a_base_may_have_a_base_and_keeps_what_is_not_restated(write):
    write('base = "report"\nbatch_size = 64\n[optimizer]\nlr = 0.05\n', "sub/below.toml")
    top = load_recipe(write('base = "below.toml"\n[optimizer]\nmomentum = 0.5\n', "sub/top.toml"))
    assert (top.batch_size, top.optimizer.lr, top.optimizer.momentum) == (64, 0.05, 0.5)


def test_a_file_of_its_own(write):
    text = 'name = "mine"\nnetwork = "report"\n[[techniques]]\nname = "dropout"\np = 0.25\nrung = "thin"\n'
    recipe = load_recipe(write(text))
    assert [(s.name, s.rung, s.options) for s in recipe.techniques] == [("dropout", "thin", {"p": 0.25})]
    assert (recipe.epochs, recipe.batch_size, recipe.optimizer.lr) == (20, 128, 0.1)
    assert load_recipe(write(b"\xef\xbb\xbf" + text.encode())) == recipe  # as Windows' Notepad saves it


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "name is missing"),
        ("epochs = ", "mine.toml is not valid TOML: Invalid value"),
        (b'name = "\xe9"', "cannot read the recipe .*mine.toml: 'utf-8' codec"),
        ("a = " + "[" * 100_000, "mine.toml is not valid TOML"),
        ('base = "reprot"', r"unknown recipe 'reprot'; did you mean 'report'\?"),
        ('base = ["report"]', r"base is \['report'\] in .*mine.toml; it must be the name or path of one recipe"),
        ('base = "mine.toml"', "mine.toml build on one another in a circle; remove a base"),
        ('base = "nothing.toml"', "cannot read the recipe .*nothing.toml: No such file"),
        ('base = "report"\noptimizer = 3', "optimizer is 3; it must be a table"),
        ('base = "report"\n[[techniques]]\nname = "mixpu"', r"unknown technique 'mixpu'; did you mean 'mixup'\? All: "),
        ('base = "report"\n[[techniques]]\np = 0.5', r"a technique is a table with a name, .* got {'p': 0.5}"),
    ],
)
def test_a_file_that_does_not_fit(write, content, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(content))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "reprot",
            r"unknown recipe 'reprot'; did you mean 'report'\? Known: express, fast94, first, report, small, strong, "
            r"transfer; or the path of a \.toml file",
        ),
        ("nowhere/mine.toml", r"cannot read the recipe nowhere/mine\.toml: No such file or directory"),
        ("a\0.toml", r"cannot read the recipe a\\x00\.toml: embedded null byte"),
    ],
)
def test_a_name_that_leads_nowhere(name, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe(name)


def test_a_recipe_is_short_to_print():
    assert repr(REPORT) == (
        "Recipe(report: conv5-32 pool2:ceil_mode=yes conv5-64 pool2:ceil_mode=yes conv5-64 pool2:ceil_mode=yes fc1000 "
        "fc; 20 epochs, batches of 128, sgd at 0.1; techniques: standardize, random_crop, horizontal_flip, "
        "exponential_lr, dropout, batch_norm)"
    )
    assert str(REPORT) == repr(REPORT)
    deep = parse_recipe(table(name="n" * 500, network="conv3-4 " * 400 + "fc", techniques=[{"name": "dropout"}]))
    assert len(repr(deep)) < 500
    assert "techniques: none)" in repr(REPORT.with_techniques([]))


@pytest.mark.parametrize("network", ["report", "conv3-8 bn lrelu cat(conv1-4 | conv3x1-4) se4 gap fc", "mlp"])
def test_a_file_for_people_names_the_network_and_is_read_back(tmp_path, network):
    recipe = change_settings(load_recipe("small"), {"network": network, "dropout.p": "0.25", "optimizer.lr": "0.07"})
    text = recipe.to_file("Made by:\nname = 'wrong'", "stepladder sweep digits")
    assert text.startswith("# Made by: name = 'wrong'\n# stepladder sweep digits\n\n")
    assert f'network = "{network}"' in text
    (tmp_path / "mine.toml").write_text(text)
    assert load_recipe(str(tmp_path / "mine.toml")) == recipe
