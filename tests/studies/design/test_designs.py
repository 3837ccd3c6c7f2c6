from collections.abc import Callable

import pytest

from stepladder.errors import StudyError
from stepladder.recipe import Recipe, load_recipe
from stepladder.studies.design.designs import PLANS, Design, compare_with_below, design_of_rungs, make_design
from stepladder.studies.design.rungs import Rung

MakeRecipe = Callable[..., Recipe]


def techniques(design: Design) -> dict[str, list[str]]:
    return {rung.name: [setting.name for setting in rung.recipe.techniques] for rung in design.rungs}


@pytest.fixture
def three(tiny_recipe: MakeRecipe) -> Recipe:
    return tiny_recipe("standardize", {"name": "random_crop", "rung": "augment"}, "dropout")


def test_the_ladder_compares_each_rung_with_the_one_below(three: Recipe) -> None:
    design = make_design("ladder", three)
    assert [(one.name, one.weights) for one in design.contrasts] == [
        ("standardize", {"standardize": 1, "baseline": -1}),
        ("augment", {"augment": 1, "standardize": -1}),
        ("dropout", {"dropout": 1, "augment": -1}),
    ]


def test_leave_one_out_takes_each_from_all(three: Recipe) -> None:
    design = make_design("leave-one-out", three)
    assert techniques(design) == {
        "all": ["standardize", "random_crop", "dropout"],
        "without standardize": ["random_crop", "dropout"],
        "without augment": ["standardize", "dropout"],
        "without dropout": ["standardize", "random_crop"],
    }
    assert design.rungs[2].lacks == ("random_crop",)
    assert [one.weights for one in design.contrasts][1] == {"all": 1, "without augment": -1}


def test_add_one_puts_each_alone_on_the_base(three: Recipe) -> None:
    design = make_design("add-one", three)
    assert techniques(design) == {
        "baseline": [],
        "standardize": ["standardize"],
        "augment": ["random_crop"],
        "dropout": ["dropout"],
    }
    assert [(one.name, one.design, one.weights) for one in design.contrasts] == [
        ("standardize", "add-one", {"standardize": 1, "baseline": -1}),
        ("augment", "add-one", {"augment": 1, "baseline": -1}),
        ("dropout", "add-one", {"dropout": 1, "baseline": -1}),
    ]


def test_rungs_of_the_users_own_are_compared_with_the_one_below(tiny_recipe: MakeRecipe) -> None:
    rungs = tuple(
        Rung(name, (), tiny_recipe(epochs=epochs)) for epochs, name in enumerate(("short", "long", "more"), 1)
    )
    design = compare_with_below(rungs)
    assert (design.name, design.rungs) == ("ladder", rungs)
    assert [(one.name, one.design, one.weights) for one in design.contrasts] == [
        ("long", "ladder", {"long": 1, "short": -1}),
        ("more", "ladder", {"more": 1, "long": -1}),
    ]
    with pytest.raises(StudyError, match="the study has one rung, short, and nothing to compare it with"):
        compare_with_below(rungs[:1])


@pytest.fixture
def own_rungs(tiny_recipe: MakeRecipe) -> tuple[Rung, ...]:
    """What ``--rung base:standardize --rung +crop:random_crop --rung +mixed:mixup,dropout`` makes."""
    lists = {"base": ["standardize"], "crop": ["random_crop"], "mixed": ["mixup", "dropout"]}
    rungs, there = [], []
    for name, added in lists.items():
        there += added
        rungs.append(Rung(name, tuple(added), tiny_recipe(*there)))
    return tuple(rungs)


def test_own_rungs_are_the_factors_of_every_plan_and_keep_their_base_s_name(own_rungs: tuple[Rung, ...]) -> None:
    design = design_of_rungs("add-one", own_rungs)
    assert techniques(design) == {
        "base": ["standardize"],
        "crop": ["standardize", "random_crop"],
        "mixed": ["standardize", "mixup", "dropout"],
    }
    assert [(one.name, one.weights) for one in design.contrasts] == [
        ("crop", {"crop": 1, "base": -1}),
        ("mixed", {"mixed": 1, "base": -1}),
    ]
    design = design_of_rungs("leave-one-out", own_rungs)
    assert techniques(design) == {
        "all": ["standardize", "random_crop", "mixup", "dropout"],
        "without crop": ["standardize", "mixup", "dropout"],
        "without mixed": ["standardize", "random_crop"],
    }
    assert [rung.lacks for rung in design.rungs] == [(), ("random_crop",), ("mixup", "dropout")]
    assert set(techniques(design_of_rungs("factorial", own_rungs))) == {"base", "crop", "mixed", "crop+mixed"}
    ladder = design_of_rungs("ladder", own_rungs)
    assert ladder.rungs == own_rungs
    assert [one.weights for one in ladder.contrasts] == [{"crop": 1, "base": -1}, {"mixed": 1, "crop": -1}]


def test_own_rungs_that_are_no_factors_are_refused(own_rungs: tuple[Rung, ...], tiny_recipe: MakeRecipe) -> None:
    with pytest.raises(StudyError, match="unknown plan 'laddr'; did you mean 'ladder'"):
        design_of_rungs("laddr", own_rungs)
    longer = (own_rungs[0], Rung("longer", (), tiny_recipe("standardize", epochs=9)))
    with pytest.raises(StudyError, match="longer does not add techniques to base, the rung below"):
        design_of_rungs("add-one", longer)
    assert design_of_rungs("ladder", longer).contrasts[0].weights == {"longer": 1, "base": -1}
    named = (own_rungs[0], Rung("baseline", ("random_crop",), own_rungs[1].recipe))
    with pytest.raises(StudyError, match="baseline names what all have; rename it"):
        design_of_rungs("add-one", named)
    usual = (Rung("baseline", ("standardize",), own_rungs[0].recipe), *own_rungs[1:])
    assert [rung.name for rung in design_of_rungs("add-one", usual).rungs] == ["baseline", "crop", "mixed"]
    with pytest.raises(StudyError, match=r"`max_trials` is 8 and the leave-one-out needs 9 \(3 rungs × 3 seeds\)"):
        design_of_rungs("leave-one-out", own_rungs, seeds=3, max_trials=8)
    assert len(design_of_rungs("leave-one-out", own_rungs, seeds=3, max_trials=9).rungs) == 3


def test_ladder_and_leave_one_out_share_the_top_and_the_rung_below_it(three: Recipe) -> None:
    design = make_design("ladder+leave-one-out", three)
    assert list(techniques(design)) == [
        "baseline",
        "standardize",
        "augment",
        "dropout",
        "without standardize",
        "without augment",
    ]
    assert [(one.name, one.design) for one in design.contrasts] == [
        ("standardize", "ladder"),
        ("augment", "ladder"),
        ("dropout", "ladder"),  # left out of all, it is the same comparison
        ("standardize", "leave-one-out"),
        ("augment", "leave-one-out"),
    ]


@pytest.mark.parametrize("plan", PLANS)
def test_no_design_trains_a_recipe_twice(plan: str) -> None:
    rungs = make_design(plan, load_recipe("report")).rungs
    assert len({rung.recipe.fingerprint for rung in rungs}) == len(rungs)
    assert len({rung.name for rung in rungs}) == len(rungs)


def test_a_factorial_has_every_subset_in_the_order_of_the_recipe(three: Recipe) -> None:
    design = make_design("factorial", three)
    cells = techniques(design)
    assert list(cells) == [
        "baseline",
        "standardize",
        "augment",
        "dropout",
        "standardize+augment",
        "standardize+dropout",
        "augment+dropout",
        "standardize+augment+dropout",
    ]
    assert cells["standardize+augment+dropout"] == ["standardize", "random_crop", "dropout"]
    assert [one.name for one in design.contrasts if one.design == "interaction"] == [
        "standardize × augment",
        "standardize × dropout",
        "augment × dropout",
    ]
    assert design.notes == ()


def test_a_factorial_beyond_the_limit_is_a_fraction_and_says_what_it_cannot_tell(three: Recipe) -> None:
    design = make_design("factorial", three, seeds=3, max_trials=15)
    assert len(design.rungs) == 4
    assert [one.design for one in design.contrasts] == ["shapley"] * 3
    assert design.notes[0].startswith("A balanced fraction of 4 of 8 subsets, of resolution 3: a technique's effect")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lader",), r"unknown plan 'lader'; did you mean 'ladder'\?"),
        (("factorial", 3, 5), "`max_trials` leaves 1 recipes a seed; the smallest balanced fraction for 3 techniques"),
        (("ladder", 3, 5), r"`max_trials` is 5 and the ladder needs 12 \(4 rungs × 3 seeds\)"),
    ],
)
def test_what_cannot_be_planned_is_named(three: Recipe, arguments: tuple[str | int, ...], words: str) -> None:
    plan, *numbers = arguments
    with pytest.raises(StudyError, match=words):
        make_design(str(plan), three, *(int(number) for number in numbers))


def test_a_recipe_without_techniques_is_refused(tiny_recipe: MakeRecipe) -> None:
    with pytest.raises(StudyError, match="lists no technique, so there is nothing to compare"):
        make_design("ladder", tiny_recipe())
