"""The optimizer of a recipe as plain values."""

from __future__ import annotations

import pytest

from stepladder.errors import RecipeError
from stepladder.optimizer import Optimizer
from stepladder.recipe import change_settings, load_recipe, parse_recipe


def test_each_has_its_own_defaults_and_no_others() -> None:
    assert Optimizer.model_validate({}).model_dump() == {"name": "sgd", "lr": 0.1, "momentum": 0.0}
    assert Optimizer.model_validate({"name": "adam"}).model_dump() == {
        "name": "adam",
        "lr": 1e-3,
        "beta1": 0.9,
        "beta2": 0.999,
    }


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "lion"}, "unknown optimizer 'lion'.* Known: adam, adamw, muon, rmsprop, sgd; torch has no Lion"),
        (
            {"name": "adam", "momentum": 0.9},
            r"optimizer\.momentum is a setting of sgd and rmsprop and muon, and the opt",
        ),
        ({"nesterov": True}, r"optimizer\.nesterov is true and optimizer\.momentum is 0, .* 0\.9 say"),
        ({"beta1": 0.9}, r"optimizer\.beta1 is a setting of adam and adamw, and the optimizer is sgd; remove it"),
    ],
)
def test_what_does_not_go_together(table, message) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe({**load_recipe("report").to_table(), "optimizer": table})


def test_another_optimizer_starts_from_its_own_rate() -> None:
    report = load_recipe("report")
    adam = change_settings(report, {"optimizer.name": "adam"})
    assert adam.optimizer == Optimizer(name="adam", lr=1e-3)
    assert change_settings(report, {"optimizer.lr": "0.01", "optimizer.name": "adam"}).optimizer.lr == 0.01
    assert parse_recipe(adam.to_table()) == adam
    assert change_settings(adam, {"optimizer.name": "adam", "optimizer.beta1": "0.5"}).optimizer.lr == 1e-3


def test_a_file_with_a_base_too(tmp_path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('base = "report"\nname = "mine"\n[optimizer]\nname = "adamw"\n')
    assert load_recipe(str(file)).optimizer.lr == 1e-3
