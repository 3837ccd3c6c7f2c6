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
        "Suggested: optimizer.lr=0.079 (0.05 to 0.13 over 3 seeds). The smoothed training loss is lowest at 0.16; from "
        "there on the rate is too large. Half of that is suggested," in text
    )
    assert "The loss falls fastest at 0.01 (0.01 to 0.016)." in text
    assert "in 2 of 3 seeds. There the test ended." in text
    assert "Left out: cosine_lr and warmup, since they change the rate, which the test sets." in text
    assert "Only training images were used, none of validation or test." in text
    assert "give `high`" not in text

    one = replace(found, tests=(made_up(0, 200, 150, False),), left_out=(), span=RateRange())
    text = "\n".join(describe_lr_range(one))
    assert "(n = 1 seed)" in text
    assert "diverged" not in text
    assert "Left out" not in text

    end = replace(one, tests=(made_up(0, 272, 150, False), made_up(1, 255, 150), made_up(2, 255, 150)))
    text = "\n".join(describe_lr_range(end))
    assert "Suggested: optimizer.lr=0.63 " in text
    assert "In 1 of 3 seeds the loss is lowest at the end of the range, so the test saw no rate that is too" in text
    ends = replace(end, tests=(*end.tests[:2], made_up(2, 291, 150)))
    (said, *_) = describe_lr_range(ends)
    assert ends.suggested_recipe is None
    assert said == (
        "No rate is suggested: in 2 of 3 seeds the loss is lowest at the end of the range, so the test saw no rate "
        "that is too large. Give `high` a larger rate."
    )

    apart = replace(one, tests=(made_up(0, 170, 150), made_up(1, 200, 150), made_up(2, 201, 150)))
    (said, *_) = describe_lr_range(apart)
    assert apart.suggested is None
    assert said.startswith("No rate is suggested: the seeds say 0.013 to 0.052, too far apart to tell one. Give more")
    near = replace(one, tests=(made_up(0, 171, 150), *apart.tests[1:]))
    assert near.suggested == 0.05

    nothing = replace(found, tests=(made_up(0, 200, 150), made_up(1, None, None)))
    text = "\n".join(describe_lr_range(nothing))
    assert "No rate is suggested: in 1 of 2 seeds the smoothed training loss never fell by 2 % of its start" in text
    assert "Suggested" not in text


def test_what_was_left_out_is_kept_by_name(found: LrRange) -> None:
    assert found.left_out == ("cosine_lr", "warmup")
    assert found.recipe.techniques == ()
    assert found.tests[0].seed == 0


@pytest.mark.long
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
