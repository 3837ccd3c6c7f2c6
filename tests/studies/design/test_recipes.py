"""Which recipe a job trains, and which design a user asked for."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split
from stepladder.errors import RecipeError, StudyError
from stepladder.network import load_preset
from stepladder.network.advice import GAP_NETWORK
from stepladder.recipe import Recipe, TechniqueSetting, load_recipe
from stepladder.studies.design.designs import PLANS, make_design
from stepladder.studies.design.recipes import (
    ChosenStudy,
    RecipeOptions,
    RungPlan,
    as_options,
    check_plan,
    choose_study,
)
from stepladder.studies.design.rules import Rules
from stepladder.studies.design.rungs import Rung

MakeRecipe = Callable[..., Recipe]


def names(recipe: Recipe) -> list[str]:
    return [setting.name for setting in recipe.techniques]


def test_a_name_a_file_and_a_recipe_are_the_same(digits: ImageSet, tmp_path: Path) -> None:
    small = load_recipe("small")
    (tmp_path / "mine.toml").write_text(small.to_toml())
    for way in ("small", "auto", tmp_path / "mine.toml", small):  # auto, since these images are few
        assert as_options(way).make(digits) == small
    options = RecipeOptions("report")
    assert as_options(options) is options
    with pytest.raises(RecipeError, match="unknown recipe 'smal'"):
        RecipeOptions("smal").make(digits)


def test_techniques_settings_and_a_rung_change_it(digits: ImageSet) -> None:
    small = load_recipe("small")
    made = RecipeOptions(
        "small",
        techniques=("mixup",),
        settings={"epochs": 3, "mixup.alpha": 0.4, "optimizer.momentum": 0.9, "optimizer.nesterov": True},
    ).make(digits)
    assert names(made) == [*names(small), "mixup"]
    assert made.techniques[-1].options == {"alpha": 0.4}
    assert (made.epochs, made.optimizer.momentum, made.optimizer.nesterov) == (3, 0.9, True)
    first = small.techniques[0].rung
    below = RecipeOptions("small", rung=first).make(digits)
    assert names(below) == [one.name for one in small.techniques if one.rung == first]
    with pytest.raises(StudyError, match="unknown rung 'top'"):
        RecipeOptions("small", rung="top").make(digits)


def test_a_rung_that_leaves_out_what_was_asked_for_is_refused(digits: ImageSet) -> None:
    small = load_recipe("small")
    first = small.techniques[0].rung
    for options, message in (
        (
            RecipeOptions("small", techniques=("mixup",), rung=first),
            f"`rung={first}` ends below mixup, which `techniques`",
        ),
        (
            RecipeOptions("small", settings={"dropout.p": 0.1}, rung=first),
            f"`rung={first}` ends below dropout, so dropout.p would change nothing",
        ),
    ):
        with pytest.raises(RecipeError, match=re.escape(message)):
            options.make(digits)
        with pytest.raises(RecipeError, match=re.escape(message)):  # before images are read for minutes
            options.check()
    # What the rung holds is no loss, wherever the recipe has it.
    assert "mixup" in names(RecipeOptions("small", techniques=("mixup",), rung="mixup").make(digits))


def test_another_network_is_named_by_the_recipe_and_the_folder(digits: ImageSet) -> None:
    options = RecipeOptions("small", network="conv3-4 pool2 fc")
    made = options.make(digits)
    assert [layer.kind for layer in made.network.layers if layer.kind == "conv"] == ["conv"]
    assert made.name == f"small{options.label()}"
    assert RecipeOptions("small").label() == ""
    with pytest.raises(RecipeError, match="the network is given twice, with `network` and among `settings`"):
        RecipeOptions("small", network="lenet5", settings={"network": "report"}).make(digits)


def images_of(size: int) -> ImageSet:
    split = Split(np.zeros((6, size, size, 3), np.uint8), np.arange(6) % 2)
    return ImageSet("photos", ("a", "b"), {"train": split, "test": split})


def test_large_images_get_a_network_that_ends_in_global_pooling() -> None:
    small, large = images_of(64), images_of(65)
    gap, report = load_preset(GAP_NETWORK), load_preset("report")
    for name in ("auto", "small", "report", "strong", "express"):
        options = RecipeOptions(name)
        assert options.make(small).network == report
        assert options.with_note(small, options.make(small)) is small
        made = options.make(large)
        assert made.network == gap
        assert made.name == f"{'small' if name == 'auto' else name}-report_gap"
        (note,) = options.with_note(large, made).notes
        assert re.fullmatch(
            r"Network: report_gap \([\d,]+ weights\), as the images are 65×65\. Use `network=\"report\"` to take the "
            r"report's, whose weights grow with the image\.",
            note,
        )
    # A plan of any kind has it, on every rung.
    for plan in ("ladder", ["base:", "+mix:mixup"]):
        chosen = choose_study(plan, RecipeOptions(), large, 3, Rules())
        assert {rung.recipe.network == gap for rung in chosen.design.rungs} == {True}


def test_a_network_that_somebody_named_is_kept_on_large_images(tmp_path: Path) -> None:
    large, report = images_of(100), load_preset("report")
    (tmp_path / "mine.toml").write_text('base = "small"\nname = "mine"')
    for options in (
        RecipeOptions(network="report"),
        RecipeOptions(settings={"network": "report"}),
        RecipeOptions(tmp_path / "mine.toml"),
        RecipeOptions(load_recipe("small")),
    ):
        made = options.make(large)
        assert made.network == report
        assert options.with_note(large, made) is large
    assert RecipeOptions("fast94").make(large).network == load_recipe("fast94").network


def test_what_needs_no_image_is_refused_before_any_is_read() -> None:
    for options, words in (
        (RecipeOptions("smal"), "unknown recipe 'smal'"),
        (RecipeOptions(network="conv3-x"), "conv3-x"),
        (RecipeOptions(techniques=("mixpu",)), "unknown technique 'mixpu'"),
        (RecipeOptions(settings={"epochs": 0}), "epochs is 0"),
        (RecipeOptions("small", rung="top"), "unknown rung 'top'"),
    ):
        with pytest.raises((RecipeError, StudyError), match=words):
            options.check()
    RecipeOptions().check()
    for plan, words in (("lader", "unknown plan 'lader'; did you mean 'ladder'"), ("none.toml", "cannot read")):
        with pytest.raises(StudyError, match=words):
            check_plan(plan)
    check_plan("ladder")
    check_plan(["base:", "+mix:mixup"])


@pytest.fixture
def choose(digits: ImageSet, tiny_recipe: MakeRecipe) -> Callable[..., ChosenStudy]:
    def make(plan: object, techniques: tuple[str, ...] = (), **settings: object) -> ChosenStudy:
        options = RecipeOptions(tiny_recipe("standardize", "dropout"), techniques=techniques, settings=settings)
        return choose_study(plan, options, digits, 3, Rules())  # type: ignore[arg-type]

    return make


def rungs(chosen: ChosenStudy) -> dict[str, list[str]]:
    return {rung.name: names(rung.recipe) for rung in chosen.design.rungs}


def test_a_plan_by_its_name(choose: Callable[..., ChosenStudy]) -> None:
    chosen = choose("ladder", ("mixup",), epochs=1)
    assert rungs(chosen) == {
        "baseline": [],
        "standardize": ["standardize"],
        "dropout": ["standardize", "dropout"],
        "mixup": ["standardize", "dropout", "mixup"],
    }
    assert chosen.name == "-ladder"
    assert names(chosen.recipe) == ["standardize", "dropout", "mixup"]
    assert chosen.recipe.epochs == 1
    with pytest.raises(StudyError, match="unknown plan 'lader'"):
        choose("lader")


def test_rungs_as_texts(choose: Callable[..., ChosenStudy]) -> None:
    chosen = choose(["base:", "+mix:mixup"], ("ema",), **{"mixup.alpha": 0.4})
    assert rungs(chosen) == {"base": [], "mix": ["mixup"], "ema": ["mixup", "ema"]}
    assert chosen.design.rungs[1].recipe.techniques[0].options == {"alpha": 0.4}
    assert chosen.name == "-base-mix-ema"
    assert [one.name for one in chosen.design.contrasts] == ["mix", "ema"]


def test_rungs_that_were_made_and_no_mixture(
    choose: Callable[..., ChosenStudy], tiny_recipe: MakeRecipe, digits: ImageSet
) -> None:
    made = [Rung("short one", (), tiny_recipe(epochs=1)), Rung("long", (), tiny_recipe(epochs=3))]
    chosen = choose_study(made, RecipeOptions(), digits, 3, Rules())
    assert chosen.design.rungs == tuple(made)
    assert (chosen.recipe, chosen.name) == (made[1].recipe, "-short_one-long")
    with pytest.raises(StudyError, match="`plan` mixes rungs and texts; give rungs alone, or texts"):
        choose([made[0], "+mix:mixup"])
    with pytest.raises(StudyError, match="rungs that have their recipes already, so `recipe` would change nothing"):
        choose(made)


FACTORS = ("base:standardize", "+mix:mixup", "+ema:ema")


@pytest.mark.parametrize("plan", [name for name in PLANS if name != "ladder"])
def test_every_plan_of_rungs_is_that_of_a_recipe_with_the_same_techniques(
    plan: str, choose: Callable[..., ChosenStudy], tiny_recipe: MakeRecipe
) -> None:
    """Against the plan that a recipe has whose baseline and groups are the same, which other tests check."""
    chosen = choose(RungPlan(FACTORS, plan), epochs=2)
    settings = [
        TechniqueSetting.model_validate({"name": name, "rung": rung})
        for name, rung in (("standardize", "baseline"), ("mixup", "mix"), ("ema", "ema"))
    ]
    whole = tiny_recipe("standardize", "dropout").with_techniques(settings).model_copy(update={"epochs": 2})
    expected = make_design(plan, whole)
    assert chosen.design.name == plan
    assert [rung.recipe.fingerprint for rung in chosen.design.rungs] == [
        rung.recipe.fingerprint for rung in expected.rungs
    ]
    called = {rung.name: own.name for rung, own in zip(expected.rungs, chosen.design.rungs, strict=True)}
    assert {"baseline": "base"}.items() <= called.items() or plan == "leave-one-out"
    assert all(name in (own, "baseline") for name, own in called.items())
    for contrast, own in zip(expected.contrasts, chosen.design.contrasts, strict=True):
        assert (own.name, own.design) == (contrast.name, contrast.design)
        assert own.weights == {called[rung]: weight for rung, weight in contrast.weights.items()}
    assert chosen.name == f"-{plan}-base-mix-ema"
    assert names(chosen.recipe) == ["standardize", "mixup", "ema"]


def test_rungs_of_a_file_and_made_ones_can_be_factors_too(tmp_path: Path, digits: ImageSet) -> None:
    file = tmp_path / "study.toml"
    file.write_text('[[rungs]]\nname = "a"\ntechniques = []\n[[rungs]]\nname = "b"\nadds = ["ema"]')
    plain = RecipeOptions("small")
    of_file = choose_study(RungPlan(file, "factorial"), plain, digits, 3, Rules())
    assert [rung.name for rung in of_file.design.rungs] == ["a", "b"]
    made = choose_study(file, plain, digits, 3, Rules()).design.rungs
    again = choose_study(RungPlan(made, "factorial"), RecipeOptions(), digits, 3, Rules())
    assert again.design == of_file.design


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (
            ("base:standardize", "other:mixup"),
            "other does not add techniques to base, the rung below; write it as +other:",
        ),
        (("base:standardize", "+mix:mixup", "+none:"), "are the same recipe"),
        (("base:", "+baseline:mixup"), "baseline names what all have; rename it"),
    ],
)
def test_rungs_that_cannot_be_factors_are_refused(
    listed: tuple[str, ...], message: str, choose: Callable[..., ChosenStudy]
) -> None:
    with pytest.raises(StudyError, match=re.escape(message)):
        choose(RungPlan(listed, "factorial"))


def test_made_rungs_that_differ_otherwise_are_no_factors(tiny_recipe: MakeRecipe, digits: ImageSet) -> None:
    made = (Rung("short", (), tiny_recipe(epochs=1)), Rung("long", (), tiny_recipe("dropout", epochs=3)))
    with pytest.raises(StudyError, match="long does not add techniques to short"):
        choose_study(RungPlan(made, "add-one"), RecipeOptions(), digits, 3, Rules())


def test_more_trials_than_allowed_are_refused_of_own_rungs_as_well(tiny_recipe: MakeRecipe, digits: ImageSet) -> None:
    rules = Rules(max_trials=5)
    with pytest.raises(StudyError, match="`max_trials` is 5 and the ladder needs 6"):
        choose_study(["base:", "+mix:mixup"], RecipeOptions("small"), digits, 3, rules)
    thinned = choose_study(RungPlan((*FACTORS, "+drop:dropout"), "factorial"), RecipeOptions("small"), digits, 1, rules)
    assert len(thinned.design.rungs) == 4


def test_one_rung_among_own_rungs_and_two_networks_are_refused(
    choose: Callable[..., ChosenStudy], digits: ImageSet, tmp_path: Path
) -> None:
    with pytest.raises(StudyError, match="`rung` is for one recipe, and `plan` lists rungs of your own"):
        choose_study(["base:", "+mix:mixup"], RecipeOptions("small", rung="standardize"), digits, 3, Rules())
    file = tmp_path / "study.toml"
    file.write_text('set = { network = "lenet5" }\n[[rungs]]\nname = "a"\ntechniques = []\n')
    with pytest.raises(StudyError, match="the network is given twice, with `network` and in "):
        choose_study(file, RecipeOptions("small", network="report"), digits, 3, Rules())


def test_a_study_file(choose: Callable[..., ChosenStudy], tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'set = { epochs = 4 }\n[[rungs]]\nname = "a"\ntechniques = []\n[[rungs]]\nname = "b"\nadds = ["ema"]'
    )
    for path in (file, str(file)):
        assert rungs(choose(path)) == {"a": [], "b": ["ema"]}
    assert choose(file).recipe.epochs == 4
    assert choose(file, epochs=2).recipe.epochs == 2  # what is asked for goes before what the file says
