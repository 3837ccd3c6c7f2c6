"""Trials one after another; with others on the same folder they are tried in ``faults``."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.datasets import ImageSet, make_splits
from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.files.store import read_result
from stepladder.studies.prepare import describe_data
from stepladder.studies.running import jobs as module
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.jobs import remove_old_checkpoints, reopen_failed, run_jobs
from stepladder.studies.running.locks import locked
from stepladder.studies.running.trial import record_failure
from stepladder.training.device import choose_compute
from stepladder.training.stop import Stop, Stopped

CPU = choose_compute("cpu", "float32", 1)


@pytest.fixture
def jobs(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path) -> list[Job]:
    """Three trials of a study's folder."""
    splits = make_splits(digits)
    trials = [Trial("base", tiny_recipe(epochs=1), seed, splits.fingerprint, "float32") for seed in range(3)]
    (tmp_path / "study").mkdir()
    data = describe_data(digits, splits)
    return [Job(trial, splits, data, tmp_path / "study" / "trials" / trial.id) for trial in trials]


class Told(Callbacks):
    def __init__(self) -> None:
        self.ended: list[int] = []
        self.waits: list[int] = []

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self.ended.append(result.seed)

    def waiting(self, trials: int) -> None:
        self.waits.append(trials)


def failing(error: Exception) -> Callable[..., Any]:
    def run(job: Job, *_: Any) -> Any:
        os.chdir("/")
        raise error

    return run


def test_every_trial_runs_once_and_is_said(jobs: list[Job]) -> None:
    told, after = Told(), []
    record_failure(jobs[1], "it failed before", "", CPU, Callbacks())
    run_jobs(jobs, CPU, Execution(), told, lambda: after.append(len(told.ended)))
    assert (told.ended, after) == ([0, 2], [1, 2])
    run_jobs(jobs, CPU, Execution(), told)
    assert told.ended == [0, 2]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RecipeError("dropout.rewrite raised ValueError: no"), "dropout.rewrite raised ValueError: no"),
        (ValueError("seven is too much"), "seven is too much"),
    ],
)
def test_a_trial_that_raises_is_recorded_and_the_others_go_on(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "run_trial", failing(error))
    told = Told()
    run_jobs(jobs, CPU, Execution(), told)
    assert told.ended == [0, 1, 2]
    assert Path.cwd() == tmp_path, "whoever went elsewhere is brought back"
    result = read_result(jobs[0].folder)
    assert result is not None
    assert result.status == "failed"
    assert reason in (result.failure or "")
    assert "Traceback" in (jobs[0].folder / "failure.txt").read_text()


def test_our_own_errors_end_the_study(jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_trial", failing(StudyError("a checkpoint of another version")))
    with pytest.raises(StudyError, match="a checkpoint of another version"):
        run_jobs(jobs, CPU, Execution(), Callbacks())
    assert read_result(jobs[0].folder) is None


def test_trials_of_others_are_waited_for(jobs: list[Job]) -> None:
    told = Told()
    with locked(jobs[0].folder):
        thread = threading.Thread(target=run_jobs, args=(jobs, CPU, Execution(), told))
        thread.start()
        while not told.waits:
            thread.join(0.01)
        assert (told.ended, told.waits) == ([1, 2], [1])
        record_failure(jobs[0], "the other one's", "", CPU, Callbacks())
    thread.join(30)
    assert not thread.is_alive()
    assert (told.ended, told.waits) == ([1, 2], [1])


def test_a_stop_and_a_folder_that_has_gone_end_it(jobs: list[Job], tmp_path: Path) -> None:
    stop = Stop()
    stop.request("interrupt")
    with pytest.raises(Stopped):
        run_jobs(jobs, CPU, Execution(stop=stop), Callbacks())
    (tmp_path / "study").rename(tmp_path / "elsewhere")
    with pytest.raises(StudyError, match="study was removed while the study ran"):
        run_jobs(jobs, CPU, Execution(), Callbacks())
    assert not (tmp_path / "study").exists()


def test_failed_trials_are_opened_again_and_what_they_left_is_kept(jobs: list[Job]) -> None:
    record_failure(jobs[0], "out of memory", "", CPU, Callbacks())
    run_jobs(jobs[1:2], CPU, Execution(), Callbacks())
    whole = read_result(jobs[1].folder)
    reopen_failed(jobs)
    assert read_result(jobs[0].folder) is None
    assert "out of memory" in (jobs[0].folder / "result-failed.json").read_text()
    assert read_result(jobs[1].folder) == whole


def test_only_checkpoints_of_trials_that_have_ended_are_removed(jobs: list[Job]) -> None:
    record_failure(jobs[0], "killed", "", CPU, Callbacks())
    for job in jobs[:2]:
        (job.folder / "checkpoint" / "01").mkdir(parents=True)
    remove_old_checkpoints(jobs)
    assert not (jobs[0].folder / "checkpoint").exists()
    assert (jobs[1].folder / "checkpoint" / "01").exists()
