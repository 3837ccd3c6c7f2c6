import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet, make_splits
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.checksums import find_changed_files
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import read_result
from stepladder.studies.prepare import describe_data
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.trial import record_failure, run_trial, training_data
from stepladder.training.device import choose_compute
from stepladder.training.stop import Stop, Stopped

CPU = choose_compute("cpu", "float32", 1)
MakeJob = Callable[..., Job]


@pytest.fixture
def make_job(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> MakeJob:
    def make(validation: float = 0.1, select: str = "last", **settings: Any) -> Job:
        splits = make_splits(digits, validation)
        recipe = tiny_recipe("standardize", **settings)
        trial = Trial("top", recipe, 0, splits.fingerprint, "float32", select)
        return Job(trial, splits, describe_data(digits, splits), tmp_path / "study" / "trials" / trial.id)

    return make


class Ended(Callbacks):
    def __init__(self) -> None:
        self.results: list[TrialResult] = []

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self.results.append(result)


def columns(job: Job) -> list[str]:
    return (job.folder / "history.csv").read_text().splitlines()[0].split(",")


def test_the_result_is_the_last_that_is_written(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    replace = Path.replace

    def replaced(path: Path, target: Path) -> Path:
        written.append(Path(target).name)
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replaced)
    job, ended = make_job(), Ended()
    result = run_trial(job, CPU, ended, Execution())
    written = [name for name in written if not name.isdigit()]  # checkpoints
    assert written[0] == "recipe.toml"
    assert written[-2:] == ["checksums.txt", "result.json"]
    assert {"history.csv", "model.safetensors", "config.json", "README.md"} <= set(written[1:-2])
    assert read_result(job.folder) == result == ended.results[0]
    assert find_changed_files(job.folder) == []
    assert not (job.folder / "checkpoint").exists()
    # Test is read later, when all trials of the plan have ended.
    assert (result.status, result.epochs, result.test_accuracy, result.test_loss) == ("finished", 2, None, None)
    assert not [name for name in columns(job) if name.startswith("test")]


def test_without_validation_it_trains_on_all_and_watches_test(make_job: MakeJob) -> None:
    job = make_job(validation=0)
    watched = training_data(job.splits, 10)
    assert watched.watches_test
    assert len(watched.watched) == len(job.splits.test)
    result = run_trial(job, CPU, Callbacks(), Execution())
    assert (result.val_accuracy, result.val_loss) == (None, None)
    assert "test_accuracy" in columns(job)
    assert not training_data(make_job().splits, 10).watches_test


def test_a_stopped_trial_goes_on_from_its_checkpoint(make_job: MakeJob, tmp_path: Path) -> None:
    whole = run_trial(make_job(), CPU, Callbacks(), Execution())
    job = make_job(name="again")
    job = Job(job.trial, job.splits, job.data, tmp_path / "again")
    stop, epochs = Stop(), []

    class Stopping(Callbacks):
        def epoch_ended(self, trial: Trial, record: Any) -> None:
            epochs.append(record.epoch)
            if record.epoch == 1:
                stop.request("interrupt")

    with pytest.raises(Stopped):
        run_trial(job, CPU, Stopping(), Execution(stop=stop))
    assert read_result(job.folder) is None
    assert (job.folder / "checkpoint").is_dir()
    stop = Stop()
    result = run_trial(job, CPU, Stopping(), Execution(stop=stop))
    assert epochs == [0, 1, 2]
    assert (result.train_loss, result.val_loss) == (whole.train_loss, whole.val_loss)
    assert result.energy_joules is None, "the counters of its first part are lost"


def test_a_trial_that_failed_is_recorded_with_its_reason(make_job: MakeJob, tmp_path: Path) -> None:
    job, ended = make_job(), Ended()
    result = record_failure(job, "it took longer than allowed", "Traceback: ...", CPU, ended, 12.5)
    assert read_result(job.folder) == result == ended.results[0]
    assert (result.status, result.failure, result.seconds, result.epochs) == (
        "failed",
        "it took longer than allowed",
        12.5,
        0,
    )
    assert result.techniques == ("standardize",)
    assert (job.folder / "failure.txt").read_text() == "Traceback: ..."
    assert find_changed_files(job.folder) == []
    assert json.loads((job.folder / "result.json").read_text())["trial"] == job.trial.id


def test_a_loss_that_is_not_finite_fails_and_leaves_no_model(make_job: MakeJob) -> None:
    job = make_job(optimizer={"name": "sgd", "lr": 1e20})
    result = run_trial(job, CPU, Callbacks(), Execution())
    assert result.status == "failed"
    assert "not finite in epoch 1" in (result.failure or "")
    assert result.selected_epoch is None
    assert not (job.folder / "model").exists()
    assert (job.folder / "history.csv").exists()


def test_a_folder_that_was_removed_is_not_made_again(make_job: MakeJob) -> None:
    job = make_job(epochs=1)

    class Removing(Callbacks):
        def epoch_ended(self, trial: Trial, record: Any) -> None:
            if record.epoch == 1:
                for path in sorted(job.folder.rglob("*"), reverse=True):
                    path.rmdir() if path.is_dir() else path.unlink()
                job.folder.rmdir()

    with pytest.raises(StudyError, match="was removed while the trial ran"):
        run_trial(job, CPU, Removing(), Execution())
    assert not job.folder.exists()
