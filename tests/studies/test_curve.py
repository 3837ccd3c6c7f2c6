from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import DataError, RecipeError, StudyError
from stepladder.recipe import Recipe
from stepladder.report.size_curve import describe_sizes, write_sizes
from stepladder.studies.curve import run_curve, thin_out
from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.studies.running.execution import Execution
from stepladder.training.device import choose_compute

CPU = choose_compute("cpu", "float32")
MakeRecipe = Callable[..., Recipe]


def test_sizes_are_nested_and_keep_the_classes(digits: ImageSet) -> None:
    split = digits.splits["train"]
    small, large = thin_out(split, 0.1), thin_out(split, 0.5)
    assert set(small) < set(large)
    assert list(np.bincount(split.labels[small])) == [3] * 10
    assert list(np.bincount(split.labels[large])) == [15] * 10


def test_a_curve_trains_every_size_and_says_what_doubling_brings(
    digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path, counter: Any
) -> None:
    recipe = tiny_recipe("standardize", epochs=2)
    curve = run_curve(digits, recipe, tmp_path, CPU, seeds=1, command="stepladder curve digits", callbacks=counter)
    assert [size.images for size in curve.sizes] == [20, 40, 106, 216]
    assert [(len(size.accuracies), size.failed) for size in curve.sizes] == [(1, ())] * 4
    assert [(reading.kind, len(reading.trials)) for reading in curve.readings] == [("planned", 4)]
    assert len(counter.started) == 4
    more = run_curve(digits, recipe, tmp_path, CPU, seeds=2, callbacks=counter)
    assert len(counter.started) == 8
    assert [reading.kind for reading in more.readings] == ["planned", "added"]
    said = describe_sizes(more)
    assert said[0].startswith("Doubling the 216 training images would change accuracy by about ")
    assert "images^+" in " ".join(describe_sizes(replace(more, law=replace(more.law, exponent=-0.1))))
    assert "images^−0.100 " in " ".join(describe_sizes(replace(more, law=replace(more.law, exponent=0.1))))
    assert ("undecided" in said[0]) == (more.law.gain_interval[0] <= 0 <= more.law.gain_interval[1])
    written = write_sizes(more)
    assert [path.name for path in written] == ["curve.md", "sizes.png", "sizes.svg"]
    assert "| 216 |" in written[0].read_text()
    with pytest.raises(StudyError, match="holds the curve of another recipe or of other images"):
        run_curve(digits, tiny_recipe("standardize", epochs=1), tmp_path, CPU)


def test_what_cannot_be_thinned_out_is_refused(digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    split = digits.limited(3).splits["train"]
    few = ImageSet("few", digits.class_names, {"train": split, "test": split})
    with pytest.raises(DataError, match="few has 30 training images, too few to take 10% of; add images"):
        run_curve(few, tiny_recipe(), tmp_path, CPU, validation=0)
    with pytest.raises(StudyError, match="--seeds is 0"):
        run_curve(digits, tiny_recipe(), tmp_path, CPU, seeds=0)
    (tmp_path / "study.json").write_text("{}")
    with pytest.raises(StudyError, match="holds a study; choose another folder"):
        run_curve(digits, tiny_recipe(), tmp_path, CPU)


def test_two_processes_train_what_one_does(digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path) -> None:
    """Each process gets every size, whose images are parts of the same block; the bits are the same."""
    recipe = tiny_recipe("standardize", epochs=1)
    alone = run_curve(digits, recipe, tmp_path / "alone", CPU, seeds=1, execution=Execution(workers=1))
    together = run_curve(digits, recipe, tmp_path / "together", CPU, seeds=1, execution=Execution(workers=2))
    assert together.sizes == alone.sizes
    assert together.record.threads == 1
    results = sorted((tmp_path / "together" / "trials").glob("*/result.json"))
    assert len(results) == 4
    assert not list((tmp_path / "together" / "trials").glob("*/checkpoint"))


def test_what_is_about_to_run_is_told_with_a_guess_for_each_size(
    digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path
) -> None:
    told: list[Schedule] = []

    class Noting(Callbacks):
        def planned(self, schedule: Schedule) -> None:
            told.append(schedule)

    run_curve(digits, tiny_recipe(epochs=1), tmp_path, CPU, seeds=1, callbacks=Noting())
    assert told[0].images == {"20 images": 20, "40 images": 40, "106 images": 106, "216 images": 216}
    assert [trial.rung for trial in told[0].trials] == ["216 images", "106 images", "40 images", "20 images"]
    guesses = list(told[0].seconds.values())
    assert guesses == sorted(guesses)
    assert guesses[0] > 0


def test_a_size_that_failed_is_trained_again_where_that_is_asked_for(
    digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path, counter: Any
) -> None:
    recipe = tiny_recipe(epochs=1, optimizer={"name": "sgd", "lr": 1e30})
    failed = run_curve(digits, recipe, tmp_path, CPU, seeds=1)
    assert all(size.failed == (0,) for size in failed.sizes)
    run_curve(digits, recipe, tmp_path, CPU, seeds=1, callbacks=counter)
    assert counter.started == []
    run_curve(digits, recipe, tmp_path, CPU, seeds=1, callbacks=counter, execution=Execution(retry_failed=True))
    assert len(counter.started) == 4


def test_a_technique_that_does_not_fit_a_size_is_said_before_anything_trains(
    digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path, counter: Any
) -> None:
    with pytest.raises(RecipeError, match=r"^\d+ images: reduce_on_plateau "):
        run_curve(digits, tiny_recipe("reduce_on_plateau"), tmp_path / "curve", CPU, validation=0, callbacks=counter)
    assert counter.started == []
    assert not (tmp_path / "curve").exists()
