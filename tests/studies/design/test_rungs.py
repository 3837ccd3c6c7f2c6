"""Rungs as a user writes them."""

from __future__ import annotations

import pytest

from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import load_recipe
from stepladder.studies.design.rungs import add_techniques, make_rungs, parse_rung, read_study_file

SMALL = load_recipe("small")


def rungs(*texts: str, **changes: str):
    return make_rungs([parse_rung(text, SMALL) for text in texts], SMALL, changes)


def names(rung) -> list[str]:
    return [setting.name for setting in rung.recipe.techniques]


def test_a_plus_adds_to_the_rung_below() -> None:
    base, mix, both, alone = rungs("base:", "+mix:mixup", "+more:ema,cosine_lr", "alone:ema")
    assert [names(rung) for rung in (base, mix, both, alone)] == [
        [],
        ["mixup"],
        ["mixup", "ema", "cosine_lr"],
        ["ema"],
    ]
    assert [rung.adds for rung in (mix, both, alone)] == [("mixup",), ("ema", "cosine_lr"), ("ema",)]
    assert mix.recipe.epochs == SMALL.epochs


def test_settings_go_to_the_rungs_that_have_the_technique() -> None:
    changed = rungs("base:", "+mix:mixup", **{"mixup.alpha": "0.4", "epochs": "3"})
    assert changed[1].recipe.techniques[0].options == {"alpha": 0.4}
    assert [rung.recipe.epochs for rung in changed] == [3, 3]
    with pytest.raises(RecipeError, match=r"unknown setting 'ema\.decay'"):
        rungs("base:", "+mix:mixup", **{"ema.decay": "0.4"})


def test_options_of_the_recipe_stay() -> None:
    recipe = load_recipe("report")
    (rung,) = (parse_rung("drop:dropout", recipe),)
    assert rung.techniques[0] == next(setting for setting in recipe.techniques if setting.name == "dropout")


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (("base",), "`rung` is base; write NAME:technique,technique"),
        ((":mixup",), "`rung` is :mixup; write NAME:technique"),
        (("base:",), "a study compares rungs, and one is given"),
        (("base:", "base:ema"), "two rungs are called 'base'"),
        (("base:", "+mix:mixpu"), "rung mix: unknown technique 'mixpu'; did you mean 'mixup'"),
        (("base:ema", "+more:ema"), "lists the technique 'ema' twice"),
        (("base:ema", "same:ema"), "the rungs 'base' and 'same' are the same recipe"),
    ],
)
def test_what_is_not_written_so(texts, message) -> None:
    with pytest.raises((StudyError, RecipeError), match=message):
        rungs(*texts)


def test_techniques_on_top() -> None:
    recipe = add_techniques(SMALL, ["mixup", "dropout"])
    assert [setting.name for setting in recipe.techniques][-1] == "mixup"
    assert len(recipe.techniques) == len(SMALL.techniques) + 1


FILE = """
recipe = "small"
set = { epochs = 4, optimizer.lr = 0.05 }

[[rungs]]
name = "base"
techniques = []

[[rungs]]
name = "mixed"
adds = [{ name = "mixup", alpha = 0.4 }, "cosine_lr"]

[[rungs]]
name = "other"
techniques = [{ name = "mixup", alpha = 0.8 }]
"""


def test_a_study_file(tmp_path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(FILE)
    found = read_study_file(file)
    assert found.recipe == "small"
    made = make_rungs(found.rungs, SMALL, found.settings)
    assert [names(rung) for rung in made] == [[], ["mixup", "cosine_lr"], ["mixup"]]
    assert [rung.recipe.techniques[0].options["alpha"] for rung in made[1:]] == [0.4, 0.8]
    assert made[0].recipe.optimizer.lr == 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rungs = 3", r"study\.toml: rungs is 3; it must be a.* list"),
        ("", r"study\.toml: rungs is missing; add it to the study file"),
        ('[[rungs]]\nname = "a"', r"rung a needs one of adds .* and techniques"),
        ('[[rungs]]\nname = "a"\nadd = []', r"unknown setting 'rung a\.add'; did you mean 'rung a\.adds'"),
        ('[[rungs]]\nname = "a"\nadds = ["mixpu"]', "unknown technique 'mixpu'; did you mean 'mixup'"),
        ('[[rungs]]\nname = "a"\nadds = [{ name = "mixup", alpha = -1 }]', r"mixup\.alpha is -1; it must be 0 to 100"),
        ('[[rungs]]\nname = "a"\nadds = [{ name = "mixup", beta = 1 }]', r"unknown setting 'mixup\.beta'"),
        ("rungs = [", "is not valid TOML"),
    ],
)
def test_a_study_file_that_does_not_fit(tmp_path, text, message) -> None:
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises((StudyError, RecipeError), match=message):
        read_study_file(file)


def test_no_file(tmp_path) -> None:
    with pytest.raises(StudyError, match=r"cannot read the study file .*none\.toml: No such file"):
        read_study_file(tmp_path / "none.toml")
