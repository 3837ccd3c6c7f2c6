from collections.abc import Callable
from itertools import pairwise

import pytest

from stepladder.errors import StudyError
from stepladder.recipe import Recipe, load_recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.design.rungs import group_techniques, ladder
from stepladder.studies.design.trials import Trial

MakeRecipe = Callable[..., Recipe]


def test_the_reference_ladder_has_the_six_rungs_of_the_report() -> None:
    rungs = ladder(load_recipe("report"))
    assert [(rung.name, rung.adds) for rung in rungs] == [
        ("baseline", ()),
        ("standardize", ("standardize",)),
        ("augment", ("random_crop", "horizontal_flip")),
        ("schedule", ("exponential_lr",)),
        ("dropout", ("dropout",)),
        ("batchnorm", ("batch_norm",)),
    ]


def test_every_rung_has_the_techniques_of_all_below_it() -> None:
    techniques = [[setting.name for setting in rung.recipe.techniques] for rung in ladder(load_recipe("report"))]
    for below, above in pairwise(techniques):
        assert above[: len(below)] == below
    assert techniques[-1] == [setting.name for setting in load_recipe("report").techniques]


def test_a_rung_whose_techniques_lie_apart_is_refused(tiny_recipe: MakeRecipe) -> None:
    recipe = tiny_recipe(
        {"name": "random_crop", "rung": "augment"}, "standardize", {"name": "horizontal_flip", "rung": "augment"}
    )
    with pytest.raises(StudyError, match="two rungs are called 'augment'"):
        ladder(recipe)


def test_techniques_that_a_recipe_lists_first_on_the_lowest_rung_are_in_every_rung(tiny_recipe: MakeRecipe) -> None:
    shared = {"name": "standardize", "rung": "baseline"}
    recipe = tiny_recipe(shared, "dropout", "batch_norm")
    rungs = ladder(recipe)
    assert [(rung.name, rung.adds) for rung in rungs] == [
        ("baseline", ("standardize",)),
        ("dropout", ("dropout",)),
        ("batch_norm", ("batch_norm",)),
    ]
    assert all(rung.recipe.techniques[0].name == "standardize" for rung in rungs)
    for plan in ("leave-one-out", "add-one", "factorial"):
        design = make_design(plan, recipe)
        assert all("standardize" in {one.name for one in rung.recipe.techniques} for rung in design.rungs), plan
        assert not any("standardize" in contrast.name for contrast in design.contrasts), plan
    with pytest.raises(StudyError, match="two rungs are called 'baseline'"):
        ladder(tiny_recipe("dropout", shared))
    with pytest.raises(StudyError, match="lists no technique, so there is nothing to compare"):
        make_design("ladder", tiny_recipe(shared))


def test_the_identity_of_a_trial_is_recipe_seed_split_and_precision(tiny_recipe: MakeRecipe) -> None:
    trial = Trial("augment", tiny_recipe("standardize"), 0, "split", "float32")
    same = Trial("other name", tiny_recipe({"name": "standardize", "rung": "x"}, name="renamed"), 0, "split", "float32")
    assert same.id == trial.id
    others = [
        Trial("augment", tiny_recipe("standardize", epochs=3), 0, "split", "float32"),
        Trial("augment", tiny_recipe("standardize"), 1, "split", "float32"),
        Trial("augment", tiny_recipe("standardize"), 0, "other", "float32"),
        Trial("augment", tiny_recipe("standardize"), 0, "split", "bfloat16"),
        Trial("augment", tiny_recipe("standardize"), 0, "split", "float32", "best-val"),
    ]
    assert len({trial.id, *(other.id for other in others)}) == 6


def test_techniques_of_one_rung_are_one_group() -> None:
    groups = group_techniques(load_recipe("report"))
    assert {name: [setting.name for setting in settings] for name, settings in groups.items()} == {
        "standardize": ["standardize"],
        "augment": ["random_crop", "horizontal_flip"],
        "schedule": ["exponential_lr"],
        "dropout": ["dropout"],
        "batchnorm": ["batch_norm"],
    }


def test_the_seeds_of_a_rung_have_its_recipe_s_fingerprint_made_once(
    tiny_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Recipe] = []
    fingerprint = vars(Recipe)["fingerprint"]

    def counted(recipe: Recipe) -> str:
        made.append(recipe)
        return str(fingerprint.fget(recipe))

    monkeypatch.setattr(Recipe, "fingerprint", property(counted))
    recipe = tiny_recipe()
    ids = [Trial("a", recipe, seed, "split", "float32").id for seed in range(5)]
    assert len(made) == 1
    assert len(set(ids)) == 5
    # What is equal has the same name, and a changed copy another one.
    assert Trial("a", tiny_recipe(), 0, "split", "float32").id == ids[0]
    changed = recipe.model_copy(update={"epochs": recipe.epochs + 1})
    assert Trial("a", changed, 0, "split", "float32").id != ids[0]
