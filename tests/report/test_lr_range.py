import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.report.lr_range import describe_lr_range, write_lr_range
from stepladder.studies.lr_range import LrRange, run_lr_range
from stepladder.studies.running.execution import Execution
from stepladder.training.lr_range import RangeTest, RateRange


@pytest.fixture
def found(digits: ImageSet, tiny_recipe: Callable[..., Recipe]) -> LrRange:
    execution = Execution(device="cpu", precision="float32")
    recipe = tiny_recipe("cosine_lr", "warmup")
    return run_lr_range(digits, recipe, seeds=1, span=RateRange(steps=100), execution=execution)


def made_up(seed: int, lowest: int | None, steepest: int | None, diverged: bool = True) -> RangeTest:
    rates = tuple(10 ** (-5 + step / 50) for step in range(300))
    return RangeTest(seed, rates, (2.0,) * 300, (2.0,) * 300, lowest, steepest, diverged)


def test_the_sentences_of_every_case(found: LrRange) -> None:
    three = replace(
        found, tests=(made_up(0, 200, 150), made_up(1, 210, 150), made_up(2, 220, 160, False)), span=RateRange()
    )
    text = "\n".join(describe_lr_range(three))
    assert (
        "Suggested: optimizer.lr=0.016 (0.01 to 0.025 over 3 seeds). The smoothed training loss is lowest at 0.16,"
        in text
    )
    assert "The loss falls fastest at 0.01 (0.01 to 0.016)." in text
    assert "in 2 of 3 seeds. There the test ended." in text
    assert "Left out: cosine_lr and warmup, since they change the rate, which the test sets." in text
    assert "Only training images were used, none of validation or test." in text
    assert "raise the highest rate" not in text

    one = replace(found, tests=(made_up(0, 299, 150, False),), left_out=(), span=RateRange())
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


def test_a_test_writes_its_files_into_a_folder_of_its_own(found: LrRange, tmp_path: Path) -> None:
    written = write_lr_range(found, tmp_path / "out", "stepladder lr-range digits")
    names = [path.relative_to(tmp_path / "out").as_posix() for path in written]
    assert names == ["lr-range.md", "lr-range.json", "lr-range.csv", "figures/lr-range.png", "figures/lr-range.svg"]
    document = json.loads(written[1].read_text())
    assert (document["low"], document["high"], document["steps"]) == (1e-5, 10.0, 100)
    assert document["summary"] == describe_lr_range(found)
    assert len(written[2].read_text().splitlines()) == 1 + len(found.tests[0].losses)
    assert len(repr(found)) < 500
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(StudyError, match=r"^`out` is .*, which holds a study; choose another folder$"):
        write_lr_range(found, tmp_path, "")
