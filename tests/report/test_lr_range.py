from collections.abc import Callable
from dataclasses import replace

import pytest

from stepladder.datasets import ImageSet
from stepladder.recipe import Recipe
from stepladder.report.lr_range import describe_lr_range
from stepladder.studies.lr_range import LrRange, run_lr_range
from stepladder.training.device import choose_compute
from stepladder.training.lr_range import RangeTest


@pytest.fixture
def found(digits: ImageSet, tiny_recipe: Callable[..., Recipe]) -> LrRange:
    return run_lr_range(
        digits, tiny_recipe("cosine_lr", "warmup"), choose_compute("cpu", "float32"), seeds=1, steps=100
    )


def made_up(seed: int, lowest: int | None, steepest: int | None, diverged: bool = True) -> RangeTest:
    rates = tuple(10 ** (-5 + step / 50) for step in range(300))
    return RangeTest(seed, rates, (2.0,) * 300, (2.0,) * 300, lowest, steepest, diverged)


def test_the_sentences_of_every_case(found: LrRange) -> None:
    three = replace(found, tests=(made_up(0, 200, 150), made_up(1, 210, 150), made_up(2, 220, 160, False)), steps=300)
    text = "\n".join(describe_lr_range(three))
    assert "Suggested: optimizer.lr=0.016 (0.01 to 0.025 over 3 seeds), a tenth of the rate at which" in text
    assert "The loss falls fastest at 0.01 (0.01 to 0.016)." in text
    assert "in 2 of 3 seeds; there the test ended." in text
    assert "Left out, since the test sets the rate that they would change: cosine_lr and warmup." in text
    assert "neither validation nor test was looked at" in text
    assert "raise --high" not in text

    one = replace(found, tests=(made_up(0, 299, 150, False),), left_out=(), steps=300)
    text = "\n".join(describe_lr_range(one))
    assert "(n = 1 seed)" in text
    assert "In 1 of 1 seed the loss is lowest at the end of the range" in text
    assert "diverged" not in text
    assert "Left out" not in text

    nothing = replace(found, tests=(made_up(0, 200, 150), made_up(1, None, None)))
    text = "\n".join(describe_lr_range(nothing))
    assert "No rate is suggested: in 1 of 2 seeds the smoothed training loss never fell by 2 % of its start" in text
    assert "Suggested" not in text


def test_what_was_left_out_is_kept_by_name(found: LrRange) -> None:
    assert found.left_out == ("cosine_lr", "warmup")
    assert found.recipe.techniques == ()
    assert found.tests[0].seed == 0
