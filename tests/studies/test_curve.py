"""A curve is a study: one runner, one reading of test, one folder."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import DataError, RecipeError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies.curve import CURVE, EQUAL_STEPS, SHARES, curve_design
from stepladder.studies.design.rules import Rules
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.integrity import find_edit
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import work_out
from stepladder.studies.judging.sizes import CurveFindings, SizeResult
from stepladder.studies.running.callbacks import Callbacks, Schedule
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import run_study

MakeRecipe = Callable[..., Recipe]
RunCurve = Callable[..., SavedStudy]


@pytest.fixture
def curve(digits: ImageSet, tiny_recipe: MakeRecipe, tmp_path: Path) -> RunCurve:
    """Run a curve of one seed and one epoch; options of run_study and settings of the execution may be changed."""

    def run(recipe: Recipe | None = None, images: ImageSet = digits, **options: Any) -> SavedStudy:
        callbacks, out = options.pop("callbacks", None), options.pop("out", tmp_path / "curve")
        seeds, rules = options.pop("seeds", 1), options.pop("rules", None)
        budget = options.pop("budget", "epochs")
        execution = replace(Execution("cpu", "float32"), **options)
        design = curve_design(recipe or tiny_recipe("standardize", epochs=1), budget)
        return run_study(images, design, out, seeds=seeds, rules=rules, execution=execution, callbacks=callbacks)

    return run


def sizes_of(study: SavedStudy) -> tuple[SizeResult, ...]:
    findings = work_out(study)
    assert isinstance(findings, CurveFindings)
    return findings.sizes


def test_a_rung_a_size_and_nothing_to_compare(tiny_recipe: MakeRecipe) -> None:
    design = curve_design(tiny_recipe("standardize"))
    assert (design.name, design.contrasts) == (CURVE, ())
    assert [(rung.share, rung.adds) for rung in design.rungs] == [(share, ("standardize",)) for share in SHARES]


@pytest.mark.long
def test_every_size_is_trained_and_test_is_read_once(curve: RunCurve, counter: Any) -> None:
    saved = curve(callbacks=counter)
    record = saved.record
    assert record.plan == "curve"
    assert [(rung.name, rung.images) for rung in record.rungs] == [
        (f"{images} images", images) for images in (20, 40, 106, 216)
    ]
    # The last size has all images, and the splits of every other study of them.
    assert [rung.split is None for rung in record.rungs] == [False, False, False, True]
    assert not (saved.folder / "curve.json").exists()
    assert [(reading.kind, len(reading.trials)) for reading in saved.readings] == [("planned", 4)]
    assert [(size.images, len(size.scores), size.failed) for size in sizes_of(saved)] == [
        (images, 1, ()) for images in (20, 40, 106, 216)
    ]
    assert len(counter.started) == 4
    assert load_study(saved.folder) == saved

    more = curve(seeds=2, callbacks=counter)
    assert len(counter.started) == 8
    assert [reading.kind for reading in more.readings] == ["planned", "added"]
    assert [size.scores[0] for size in sizes_of(more)] == [size.scores[0] for size in sizes_of(saved)]
    assert work_out(more).law is None, "one epoch teaches nothing"  # type: ignore[union-attr]


@pytest.mark.long
def test_its_trials_are_those_of_stepladder_0_1(curve: RunCurve) -> None:
    found = {trial.rung: trial.folder.name for trial in curve().trials}
    assert found == {
        "20 images": "edbfb3c1e6b4b178",
        "40 images": "361b6347679d8326",
        "106 images": "d7517c8d6aa94d72",
        "216 images": "bef1d52215bb4085",  # that of the ladder's rung with the same techniques
    }


@pytest.mark.long
def test_another_recipe_in_its_folder_is_refused_and_named(curve: RunCurve, tiny_recipe: MakeRecipe) -> None:
    folder = curve().folder
    with pytest.raises(StudyError, match=r"curve holds another study: epochs is 1 there and 2 here"):
        curve(tiny_recipe("standardize", epochs=2))
    text = (folder / "study.json").read_text()
    assert '"images": 40' in text
    (folder / "study.json").write_text(text.replace('"images": 40', '"images": 41'))
    assert "was edited" in (find_edit(load_study(folder).record, ()) or "")


def test_too_few_images_and_no_seed_are_refused(curve: RunCurve, digits: ImageSet) -> None:
    split = digits.limited(3).splits["train"]
    few = ImageSet("few", digits.class_names, {"train": split, "test": split})
    with pytest.raises(DataError, match="few has 30 training images, too few to take 10% of; add images"):
        curve(images=few, rules=Rules(validation=0))
    with pytest.raises(StudyError, match="`seeds` is 0"):
        curve(seeds=0)


@pytest.mark.soak
def test_two_processes_train_what_one_does(curve: RunCurve, tmp_path: Path) -> None:
    """Each process gets every size, whose images are parts of the same block; the bits are the same."""
    alone, together = curve(out=tmp_path / "alone", workers=1), curve(out=tmp_path / "together", workers=2)
    assert sizes_of(alone) == sizes_of(together)
    assert together.record.threads == 1
    for one, other in zip(alone.trials, together.trials, strict=True):
        weights = "model/model.safetensors"
        assert (one.folder / weights).read_bytes() == (other.folder / weights).read_bytes()
    assert not list(together.folder.glob("trials/*/checkpoint"))


@pytest.mark.long
def test_each_size_trains_on_its_images_and_is_told_with_a_guess(curve: RunCurve) -> None:
    told: list[Schedule] = []
    trained: dict[str, int] = {}

    class Noting(Callbacks):
        def planned(self, schedule: Schedule) -> None:
            told.append(schedule)

        def batch_ended(self, trial: Trial, images: int) -> None:
            trained[trial.rung] = trained.get(trial.rung, 0) + images

    curve(callbacks=Noting())
    images = {"20 images": 20, "40 images": 40, "106 images": 106, "216 images": 216}
    assert told[0].images == trained == images  # of one epoch
    assert [trial.rung for trial in told[0].trials] == list(images)[::-1]  # the longest first
    guesses = [told[0].estimate.seconds[name] for name in images]
    assert guesses == sorted(guesses)
    assert guesses[0] > 0


@pytest.mark.long
def test_a_size_that_failed_counts_as_guessing_and_is_trained_again_where_that_is_asked_for(
    curve: RunCurve, tiny_recipe: MakeRecipe, counter: Any
) -> None:
    recipe = tiny_recipe(epochs=1, optimizer={"name": "sgd", "lr": 1e30})
    failed = curve(recipe)
    guess = work_out(failed).guess  # type: ignore[union-attr]
    assert guess == pytest.approx(22 / 216), "of the training images, the largest class"
    assert [(size.failed, size.scores) for size in sizes_of(failed)] == [((0,), {0: guess})] * 4
    assert failed.readings == ()
    curve(recipe, callbacks=counter)
    assert counter.started == []
    curve(recipe, callbacks=counter, retry_failed=True)
    assert len(counter.started) == 4


def test_a_technique_that_does_not_fit_a_size_is_said_before_anything_trains(
    curve: RunCurve, tiny_recipe: MakeRecipe, tmp_path: Path, counter: Any
) -> None:
    with pytest.raises(RecipeError, match=r"^20 images: reduce_on_plateau "):
        curve(tiny_recipe("reduce_on_plateau"), rules=Rules(validation=0), callbacks=counter)
    assert counter.started == []
    assert not (tmp_path / "curve").exists()


@pytest.mark.long
def test_equal_steps_give_small_sizes_more_epochs_and_are_recorded(
    curve: RunCurve, tiny_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = tiny_recipe("standardize", epochs=2)
    saved = curve(recipe, budget="steps", out=tmp_path / "steps")
    per_epoch = {20: 2, 40: 3, 106: 7, 216: 14}  # in batches of 16; a lone last image joins the batch before it
    assert recipe.batch_size == 16
    epochs = {rung.images: rung.recipe["epochs"] for rung in saved.record.rungs}
    assert epochs == {images: round(28 / steps) for images, steps in per_epoch.items()}
    assert saved.record.notes == (EQUAL_STEPS,)
    assert [trial.result.epochs for trial in saved.trials] == list(epochs.values())
    found = work_out(saved)
    assert found.equal_steps  # type: ignore[union-attr]
    assert [size.steps for size in sizes_of(saved)] == [images * epochs[size] for size, images in per_epoch.items()]
    with pytest.raises(StudyError, match="epochs is 14 there and 2 here"):
        curve(recipe, out=tmp_path / "steps")


def test_a_budget_that_there_is_not_is_refused(tiny_recipe: MakeRecipe) -> None:
    with pytest.raises(StudyError, match="unknown budget 'hours'"):
        curve_design(tiny_recipe(), "hours")  # type: ignore[arg-type]
