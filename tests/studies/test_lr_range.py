from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.lr_range import LrRange, run_lr_range
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution
from stepladder.training.lr_range import RateRange

MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def rates_of(digits: ImageSet, tiny_recipe: MakeRecipe) -> Callable[..., LrRange]:
    def run(recipe: Recipe | None = None, **options: Any) -> LrRange:
        usual = {"seeds": 2, "span": RateRange(1e-3, 10.0, 100), "execution": Execution("cpu", "float32")}
        return run_lr_range(digits, recipe or tiny_recipe("standardize"), **{**usual, **options})

    return run


@pytest.mark.long
def test_a_test_a_seed_on_the_training_images_of_a_study(rates_of: Callable[..., LrRange]) -> None:
    told: list[tuple[int, int, str]] = []

    class Noting(Callbacks):
        def point_started(self, number: int, total: int, name: str) -> None:
            told.append((number, total, name))

    found = rates_of(callbacks=Noting())
    assert told == [(1, 2, "seed 0"), (2, 2, "seed 1")]
    assert len(found.tests) == 2
    assert found.tests[0].losses != found.tests[1].losses
    assert (found.images, found.classes, found.precision, found.device) == (216, 10, "float32", "cpu")
    assert rates_of().tests == found.tests
    assert rates_of(protocol=Protocol(validation=0)).images == 240


def test_what_changes_the_rate_is_left_out(rates_of: Callable[..., LrRange], tiny_recipe: MakeRecipe) -> None:
    found = rates_of(tiny_recipe("standardize", "exponential_lr"), seeds=1)
    assert found.left_out == ("exponential_lr",)
    assert [setting.name for setting in found.recipe.techniques] == ["standardize"]


def test_the_median_is_suggested_where_every_test_suggests(rates_of: Callable[..., LrRange]) -> None:
    found = rates_of(seeds=1)
    (one,) = found.tests

    def of(*suggested: float | None) -> LrRange:
        return replace(found, tests=tuple(_Suggests(rate) for rate in suggested))  # type: ignore[misc]

    class _Suggests:
        def __init__(self, rate: float | None) -> None:
            self.suggested, self.lowest = rate, 0

    assert of(0.1, 0.053456, 0.2).suggested == 0.1
    assert of(0.1, 0.023456, 0.11).suggested is None  # too far apart
    assert of(0.1, 0.023456, 0.11).apart
    assert of(0.0123, 0.0456).suggested == 0.029  # two digits say enough
    assert of(0.1, None).suggested is None
    assert of(0.1, None).suggestions == (0.1,)
    assert repr(of(0.0123, 0.0456)) == "<LrRange of tiny on digits: suggests 0.029; seeds: 2>"
    assert repr(of(None)) == "<LrRange of tiny on digits: no rate suggested; seeds: 1>"
    # Where a test ended, and where its loss was lowest.
    assert found.diverged == ((one.rates[len(one.losses) - 1],) if one.diverged else ())
    assert found.lowest == (() if one.lowest is None else (one.rates[one.lowest],))
    at_end = replace(found, tests=(replace(one, lowest=91), replace(one, lowest=90), replace(one, lowest=None)))
    assert at_end.lowest_at_end == 1


@pytest.mark.long
def test_batches_larger_than_the_training_set_are_all_of_it_as_in_a_study(
    rates_of: Callable[..., LrRange], tiny_recipe: MakeRecipe
) -> None:
    found = rates_of(tiny_recipe(batch_size=300), seeds=1)
    assert found.images == 216
    assert found.tests == rates_of(tiny_recipe(batch_size=216), seeds=1).tests


def test_what_cannot_be_tested_is_refused(rates_of: Callable[..., LrRange]) -> None:
    with pytest.raises(StudyError, match="`seeds` is 0; it must be 1 to 1000"):
        rates_of(seeds=0)
