from collections.abc import Callable

import pytest

from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.sweeps import check_ranges, make_points, parse_axes, with_swept_techniques

MakeRecipe = Callable[..., Recipe]


def test_values_are_read_as_a_recipe_file_would_and_sorted() -> None:
    rate, batch, flag, name = parse_axes(
        ["optimizer.lr=0.3, 1e-2,0.1", "batch_size=128,32", "optimizer.nesterov=true,false", "optimizer.name=sgd,adam"],
        ranges=False,
    )
    assert rate.values == (0.01, 0.1, 0.3)
    assert batch.values == (32, 128)
    assert flag.values == (True, False)
    assert name.values == ("sgd", "adam")


@pytest.mark.parametrize(
    ("text", "low", "high", "log", "whole"),
    [
        ("optimizer.lr=0.001..0.3", 0.001, 0.3, True, False),
        ("dropout.p=0..0.9", 0, 0.9, False, False),
        ("optimizer.momentum=.5...9", 0.5, 0.9, False, False),
        ("batch_size=16..512", 16, 512, True, True),
        ("epochs=5..20", 5, 20, False, True),
    ],
)
def test_ranges(text: str, low: float, high: float, log: bool, whole: bool) -> None:
    (axis,) = parse_axes([text], ranges=True)
    assert (axis.low, axis.high, axis.log, axis.whole) == (low, high, log, whole)


def test_the_grid_has_every_combination_in_order(tiny_recipe: MakeRecipe) -> None:
    axes = parse_axes(["optimizer.lr=0.1,0.2", "batch_size=8,16"], ranges=False)
    rungs, points = make_points(axes, tiny_recipe(), {"epochs": "3"})
    assert points == ((0.1, 8), (0.1, 16), (0.2, 8), (0.2, 16))
    assert rungs[1].name == "optimizer.lr=0.1, batch_size=16"
    assert [(rung.recipe.optimizer.lr, rung.recipe.batch_size, rung.recipe.epochs) for rung in rungs[1:3]] == [
        (0.1, 16, 3),
        (0.2, 8, 3),
    ]


def test_a_set_rate_holds_for_every_optimizer(tiny_recipe: MakeRecipe) -> None:
    axes = parse_axes(["optimizer.name=sgd,adam"], ranges=False)
    rungs, _ = make_points(axes, tiny_recipe(), {"optimizer.lr": "0.02"})
    assert [rung.recipe.optimizer.lr for rung in rungs] == [0.02, 0.02]


def test_a_technique_that_is_swept_and_absent_is_added(tiny_recipe: MakeRecipe) -> None:
    axes = parse_axes(["label_smoothing.amount=0,0.1", "optimizer.lr=1,2"], ranges=False)
    added = with_swept_techniques(tiny_recipe("standardize"), axes)
    assert [setting.name for setting in added.techniques] == ["standardize", "label_smoothing"]
    assert with_swept_techniques(added, axes) == added


def test_whole_numbers_are_whole_only_where_the_key_takes_no_others(tiny_recipe: MakeRecipe) -> None:
    axes = parse_axes(["optimizer.lr=1..9", "batch_size=8..32"], ranges=True)
    (rate, batch), ends = check_ranges(axes, tiny_recipe(), {})
    assert (rate.whole, batch.whole) == (False, True)
    assert [values for _, values in ends] == [(1, 8), (9, 8), (1, 32)]


@pytest.mark.parametrize(
    ("over", "error", "words"),
    [
        (["batch_size=16..64.5"], RecipeError, "batch_size is 16.0; it must be a whole number"),
        (["batch_size=1..64"], RecipeError, "batch_size is 1"),
        (["optimizer.lr=0..1"], RecipeError, "optimizer.lr is 0"),
        (["optimizer.lr=0.1..1", "epochs=1..9"], StudyError, "epochs is given twice"),
    ],
)
def test_an_end_that_cannot_be_is_refused(
    tiny_recipe: MakeRecipe, over: list[str], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        check_ranges(parse_axes(over, ranges=True), tiny_recipe(), {"epochs": "1"})


def test_a_list_is_no_value() -> None:
    with pytest.raises(RecipeError, match="it must be a number, true, false or a word"):
        parse_axes(["epochs=[1]"], ranges=False)
