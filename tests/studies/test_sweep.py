import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Rules
from stepladder.studies.files.integrity import find_edit
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.files.store import load_study, planned_trials
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import plan_study, run_study
from stepladder.studies.sweep import Grid, grid_design, write_over

CPU = Execution("cpu", "float32")
RunSweep = Callable[..., SavedStudy]


@pytest.fixture
def sweep(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> RunSweep:
    def run(
        *over: str,
        recipe: Recipe | None = None,
        out: Path = tmp_path / "sweep",
        seeds: int = 1,
        many: bool = False,
        validation: float = 0.1,
        callbacks: Any = None,
    ) -> SavedStudy:
        design = grid_design(recipe or tiny_recipe(epochs=1), Grid(over, many=many), seeds, validation)
        rules = Rules(validation)
        return run_study(digits, design, out, seeds=seeds, rules=rules, execution=CPU, callbacks=callbacks)

    return run


@pytest.mark.long
def test_a_grid_is_a_study_that_reads_no_test(sweep: RunSweep, tmp_path: Path) -> None:
    study = sweep("optimizer.lr=0.1,0.01", "batch_size=16,32", seeds=2)
    assert [trial.rung for trial in study.trials][::2] == [rung.name for rung in study.record.rungs]
    assert len(study.trials) == 8
    assert all(trial.result.test_accuracy is None and trial.result.val_accuracy is not None for trial in study.trials)
    assert not (tmp_path / "sweep" / "test-readings.json").exists()
    assert not study.unread
    assert study.record.sweep is not None
    assert study.record.sweep.guess == pytest.approx(0.1, abs=0.03)
    assert load_study(tmp_path / "sweep") == study
    assert (tmp_path / "sweep" / "results.csv").read_text().count("\n") == 9


@pytest.mark.long
def test_it_goes_on_and_shares_trials_with_a_larger_grid(sweep: RunSweep, counter: Any) -> None:
    first = sweep("optimizer.lr=0.1,0.01")
    assert sweep("optimizer.lr=0.01,0.1", callbacks=counter) == first
    assert counter.started == []
    larger = sweep("optimizer.lr=0.1,0.01,1.0", callbacks=counter)
    assert counter.started == [("optimizer.lr=1.0", 0)]
    assert [axis.values for axis in larger.record.sweep.axes] == [(0.01, 0.1, 1.0)]  # type: ignore[union-attr]
    more = sweep("optimizer.lr=0.1,0.01,1.0", seeds=2, callbacks=counter)
    assert len(counter.started) == 4
    assert more.record.seeds == (0, 1)


def test_another_recipe_or_other_images_are_refused(sweep: RunSweep, tiny_recipe: Callable[..., Recipe]) -> None:
    sweep("optimizer.lr=0.1,0.01")
    with pytest.raises(StudyError, match=r"recipe\.epochs is 1 there and 2 here"):
        sweep("optimizer.lr=0.1,0.01", recipe=tiny_recipe(epochs=2))
    with pytest.raises(StudyError, match=r"validation is 0\.1 there and 0\.2 here"):
        sweep("optimizer.lr=0.1,0.01", validation=0.2)


def test_an_edited_grid_is_caught(sweep: RunSweep, tmp_path: Path) -> None:
    sweep("optimizer.lr=0.1,0.01")
    path = tmp_path / "sweep" / "study.json"
    document = json.loads(path.read_text())
    document["sweep"]["guess"] = 0.9
    path.write_text(json.dumps(document))
    study = load_study(tmp_path / "sweep")
    assert "study.json was edited" in (find_edit(study.record, ()) or "")
    with pytest.raises(StudyError, match=r"study\.json was edited"):
        sweep("optimizer.lr=0.1,0.01")


def test_its_trials_and_plan_are_those_of_stepladder_0_1(digits: ImageSet, tiny_recipe: Callable[..., Recipe]) -> None:
    design = grid_design(tiny_recipe(epochs=1), Grid(("optimizer.lr=0.1,0.01", "dropout.p=0,0.5")), 1, 0.1)
    record = plan_study(digits, design, seeds=1, execution=CPU).record
    assert {trial.rung: trial.id for trial in planned_trials(record)} == {
        "optimizer.lr=0.01, dropout.p=0": "3c71db55f34d60c2",
        "optimizer.lr=0.01, dropout.p=0.5": "4ac5ed3a8bef0065",
        "optimizer.lr=0.1, dropout.p=0": "5a2cd84d817c0cd5",
        "optimizer.lr=0.1, dropout.p=0.5": "94861bd9e541475e",
    }
    assert record.plan_hash.startswith("06006ffbf3678034")


@pytest.mark.long
def test_strength_zero_is_absence(sweep: RunSweep, tmp_path: Path) -> None:
    study = sweep("dropout.p=0,0.5")
    absent = sweep("batch_size=16,32", out=tmp_path / "b")
    zero = study.of_rung("dropout.p=0")[0].history[-1]
    plain = absent.of_rung("batch_size=16")[0].history[-1]
    assert (zero.train_loss, zero.val_loss) == (plain.train_loss, plain.val_loss)
    assert study.of_rung("dropout.p=0.5")[0].history[-1].train_loss != plain.train_loss


def test_more_than_500_trials_are_asked_for_twice(sweep: RunSweep, tmp_path: Path) -> None:
    with pytest.raises(
        StudyError, match="2 points × 251 seeds are 502 trials, more than 500; take fewer, or add `many=True`"
    ):
        sweep("optimizer.lr=0.1,0.01", seeds=251)
    with pytest.raises(StudyError, match="a share above 0"):
        sweep("optimizer.lr=0.1,0.01", seeds=251, many=True, validation=0)
    assert list(tmp_path.iterdir()) == []


def test_axes_may_be_written_as_a_mapping() -> None:
    assert write_over({"optimizer.lr": [0.3, 0.1], "optimizer.nesterov": (True, False), "dropout.p": "0..0.5"}) == (
        "optimizer.lr=0.3,0.1",
        "optimizer.nesterov=true,false",
        "dropout.p=0..0.5",
    )
    assert write_over("epochs=1,2") == ("epochs=1,2",)
    assert write_over(["epochs=1,2", "batch_size=8,16"]) == ("epochs=1,2", "batch_size=8,16")


@pytest.mark.long
def test_batches_are_compared_up_to_the_training_set_and_else_are_all_of_it(
    sweep: RunSweep, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    large = sweep("optimizer.lr=0.1,0.01", recipe=tiny_recipe(epochs=1, batch_size=512))
    whole = sweep("optimizer.lr=0.1,0.01", recipe=tiny_recipe(epochs=1, batch_size=216), out=tmp_path / "whole")
    weights = [
        [(trial.folder / "model" / "model.safetensors").read_bytes() for trial in study.trials]
        for study in (large, whole)
    ]
    assert weights[0] == weights[1]
    with pytest.raises(StudyError, match="batch_size is 512 and 216 images train; take at most that many"):
        sweep("batch_size=8,512", out=tmp_path / "batches")
