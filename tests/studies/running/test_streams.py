"""Several trials at a time in one process: what a GPU is for, with the same threads on a CPU."""

import json
from collections.abc import Callable
from pathlib import Path
from threading import Barrier, current_thread
from typing import Any

import pytest
import torch

from stepladder.datasets import ImageSet, make_splits
from stepladder.errors import StorageError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import SavedStudy, TrialResult
from stepladder.studies.files.store import planned_trials
from stepladder.studies.running import dispatch, streams, trial
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.jobs import run_jobs
from stepladder.techniques import catalogue
from stepladder.training.device import Compute
from stepladder.training.history import EpochRecord
from stepladder.training.stop import Stop, Stopped

RunStudy = Callable[..., SavedStudy]


@pytest.fixture
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a study on the CPU have trials at once, which it refuses since they would not be faster there."""

    def carry_out(*arguments: Any) -> None:
        _, jobs, compute, execution, callbacks, after_each = arguments
        streams.run_jobs_in_streams(jobs, compute, Execution(streams=3, stop=execution.stop), callbacks, after_each)

    monkeypatch.setattr(dispatch, "carry_out", carry_out)


class Telling(Callbacks):
    """Notes what it is told, and in how many threads at a time."""

    def __init__(self) -> None:
        self.started: list[Trial] = []
        self.ended: list[TrialResult] = []
        self.epochs: dict[str, list[int]] = {}
        self.images: dict[str, int] = {}
        self.inside = 0

    def trial_started(self, trial: Trial) -> None:
        self._alone(lambda: self.started.append(trial))

    def batch_ended(self, trial: Trial, images: int) -> None:
        assert trial.id in {one.id for one in self.started} - {one.trial for one in self.ended}, "it has ended"
        self._alone(lambda: self.images.update({trial.id: self.images.get(trial.id, 0) + images}))

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        self._alone(lambda: self.epochs.setdefault(trial.id, []).append(record.epoch))

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self._alone(lambda: self.ended.append(result))

    def waiting(self, trials: int) -> None:
        raise AssertionError(f"{trials} trials are another thread's, not another process's")

    def _alone(self, note: Callable[[], Any]) -> None:
        self.inside += 1
        assert self.inside == 1
        note()
        self.inside -= 1


def results_of(study: SavedStudy) -> list[dict[str, Any]]:
    """All that a trial's result says, but for times."""
    times = {"seconds", "images_per_second", "finished", "energy_joules", "reading"}
    documents = [json.loads((one.folder / "result.json").read_text()) for one in study.trials]
    return [{name: value for name, value in each.items() if name not in times} for each in documents]


@pytest.mark.usefixtures("on_a_cpu")
def test_trials_at_once_end_with_the_bits_of_trials_one_after_another(
    study: RunStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    callbacks = Telling()
    together = study(out=tmp_path / "together", callbacks=callbacks)
    monkeypatch.undo()
    alone = study(out=tmp_path / "alone")
    assert results_of(together) == results_of(alone)
    for one, other in zip(together.trials, alone.trials, strict=True):
        weights = "model/model.safetensors"
        assert (one.folder / weights).read_bytes() == (other.folder / weights).read_bytes()
    assert {one.id for one in callbacks.started} == {one.result.trial for one in alone.trials} == set(callbacks.epochs)
    assert all(epochs == [0, 1] for epochs in callbacks.epochs.values())


@pytest.mark.long
@pytest.mark.usefixtures("on_a_cpu")
def test_they_do_run_at_the_same_time(study: RunStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six trials in three threads: each waits until two others have come as far, and fails where they do not."""
    meeting, threads = Barrier(3), set()
    train = trial.train_network

    def training(*arguments: Any, **options: Any) -> Any:
        meeting.wait(timeout=120)
        threads.add(current_thread().name)
        return train(*arguments, **options)

    monkeypatch.setattr(trial, "train_network", training)
    assert all(one.result.status == "finished" for one in study().trials)
    assert len(threads) == 3


@pytest.mark.long
@pytest.mark.usefixtures("on_a_cpu")
def test_an_error_of_one_stops_the_others_and_is_the_one_that_is_told(
    study: RunStudy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save = trial.save_model

    def saving(folder: Path, *arguments: Any) -> Any:
        if full.pop():
            raise StorageError(f"{folder} cannot be written: the disk is full; make room")
        return save(folder, *arguments)

    full = [False] * 5 + [True]
    monkeypatch.setattr(trial, "save_model", saving)
    with pytest.raises(StorageError, match="the disk is full; make room"):
        study()
    monkeypatch.undo()
    assert not study().missing  # the same call goes on


@pytest.mark.long
@pytest.mark.usefixtures("on_a_cpu")
def test_all_of_them_stop_when_asked_to_and_go_on_later(study: RunStudy) -> None:
    stop = Stop()

    class Asking(Callbacks):
        def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
            stop.request("interrupt")

    with pytest.raises(Stopped) as caught:
        study(callbacks=Asking(), stop=stop)
    assert caught.value.reason == "interrupt"
    assert not study().missing


@pytest.mark.soak
@pytest.mark.parametrize("number", [1, 2])
def test_each_process_may_run_several(
    study: RunStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Worker processes get the number with their order, and tell of several trials at a time, until each has ended."""
    alone = study(out=tmp_path / "alone")
    carry_out = dispatch.carry_out

    def in_workers(*arguments: Any) -> None:
        _, jobs, compute, execution, callbacks, after_each = arguments
        carry_out(2, jobs, compute, Execution(workers=2, streams=number, stop=execution.stop), callbacks, after_each)

    monkeypatch.setattr(dispatch, "carry_out", in_workers)
    callbacks = Telling()
    together = study(out=tmp_path / "together", callbacks=callbacks)
    assert results_of(together) == results_of(alone)
    assert all(epochs == [0, 1] for epochs in callbacks.epochs.values())
    assert len(callbacks.ended) == len(alone.trials)
    trained = alone.record.data.counts["train"]
    assert all(images <= trained for images in callbacks.images.values())
    assert any(callbacks.images.values())


FATAL = '''import os
import sys

from stepladder import Technique


class Fatal(Technique):
    """End the process in the third step; not the main one, which only rehearses it."""

    name = "fatal"
    group = "inputs"
    summary = paper = caveat = "for a test"

    def batch_started(self, positions, progress):
        if progress.step == 2 and sys.argv[0].endswith("worker.py"):
            os._exit(9)
'''


@pytest.mark.soak
def test_a_trial_that_ends_its_process_takes_no_other_with_it(
    study: RunStudy, tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts as failed after its third death alone; the trials beside it go on from their checkpoints and finish."""
    monkeypatch.setattr(catalogue, "_OWN", {})
    (tmp_path / "fatal.py").write_text(FATAL)
    catalogue.register(f"{tmp_path / 'fatal.py'}:Fatal")
    carry_out = dispatch.carry_out

    def in_a_worker(*arguments: Any) -> None:
        _, jobs, compute, execution, callbacks, after_each = arguments
        apart = Execution(workers=1, streams=2, trial_timeout=600, stop=execution.stop)
        carry_out(1, jobs, compute, apart, callbacks, after_each)

    monkeypatch.setattr(dispatch, "carry_out", in_a_worker)
    recipe = tiny_recipe("standardize", {"name": "fatal", "rung": "fatal"}, epochs=1)
    ended = {one.rung: one.result for one in study(recipe=recipe, seeds=1).trials}
    assert {rung: result.status for rung, result in ended.items()} == {
        "baseline": "finished",
        "standardize": "finished",
        "fatal": "failed",
    }
    assert "the process that ran it ended 3 times (exit status 9)" in str(ended["fatal"].failure)


HUNGRY = '''from threading import current_thread, main_thread
from typing import ClassVar

from stepladder import Technique


class Hungry(Technique):
    """Find memory too short wherever other trials may run beside this one."""

    name = "hungry"
    group = "inputs"
    summary = paper = caveat = "for a test"
    where: ClassVar[str] = "batch_started"

    def batch_started(self, positions, progress):
        if progress.step == 2:
            self.take("batch_started")

    def initialize(self, module, streams, inputs):
        self.take("initialize")

    def take(self, where):
        if where == self.where and current_thread() is not main_thread():
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")


class HungryAtOnce(Hungry):
    name = "hungry_at_once"
    where: ClassVar[str] = "initialize"
'''


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "apart"),
    [
        pytest.param("hungry", False, id="later, in this process"),
        pytest.param("hungry_at_once", False, id="at once, in this process"),
        pytest.param("hungry", True, id="later, in a worker", marks=pytest.mark.soak),
        pytest.param("hungry_at_once", True, id="at once, in a worker", marks=pytest.mark.soak),
    ],
)
def test_a_trial_without_room_beside_others_goes_on_alone(
    study: RunStudy,
    tiny_recipe: Callable[..., Recipe],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    apart: bool,
) -> None:
    """Whether it runs out of memory in its third step, or before its first; its result is that of a trial alone."""
    monkeypatch.setattr(catalogue, "_OWN", {})
    (tmp_path / "hungry.py").write_text(HUNGRY)
    catalogue.register(f"{tmp_path / 'hungry.py'}:{'Hungry' if name == 'hungry' else 'HungryAtOnce'}")
    recipe = tiny_recipe("standardize", {"name": name, "rung": name}, epochs=1)
    options: dict[str, Any] = {"recipe": recipe, "seeds": 2}
    alone = study(out=tmp_path / "alone", **options)
    carry_out = dispatch.carry_out

    def together(*arguments: Any) -> None:
        _, jobs, compute, execution, callbacks, after_each = arguments
        how = Execution(workers=1, streams=2, trial_timeout=600 if apart else None, stop=execution.stop)
        carry_out(1, jobs, compute, how, callbacks, after_each)

    postponed: list[str] = []

    class Noting(Telling):
        def trial_postponed(self, trial: Trial) -> None:
            self._alone(lambda: postponed.append(trial.rung))

    monkeypatch.setattr(dispatch, "carry_out", together)
    callbacks = Noting()
    found = study(out=tmp_path / "together", callbacks=callbacks, **options)
    assert postponed == [name, name]
    assert results_of(found) == results_of(alone)
    assert {one.result.status for one in found.trials} == {"finished"}
    assert len(callbacks.ended) == 6


def test_without_a_gpu_they_are_refused(study: RunStudy) -> None:
    with pytest.raises(StudyError, match="`streams` is for trials that share a CUDA GPU, and these run on cpu"):
        study(streams=2)
    for number in (0, 17):
        with pytest.raises(StudyError, match=f"`streams` is {number}; it must be 1 to 16"):
            study(streams=number)


@pytest.mark.long
def test_a_gpu_that_answers_no_more_ends_the_study_and_fails_no_further_trial(
    study: RunStudy, digits: ImageSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def synchronize(self) -> None:
            raise RuntimeError("CUDA error: an illegal memory access was encountered\nCompile with ...")

    monkeypatch.setattr(torch.cuda, "current_stream", lambda _: Broken())
    done = study()
    folder = tmp_path / "study" / "trials" / "another"
    (trial, *_), splits = planned_trials(done.record), make_splits(digits)
    gpu = Compute(torch.device("cuda"), "float32")
    with pytest.raises(StudyError, match=r"the GPU answers no more \(CUDA error: an illegal memory access"):
        run_jobs([Job(trial, splits, done.record.data, folder)], gpu, Execution(), Callbacks())
    assert not (folder / "result.json").exists()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_on_a_gpu_every_thread_records_and_replays_on_its_own_stream(
    study: RunStudy, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    recipe = tiny_recipe("standardize", {"name": "dropout", "rung": "dropout"}, epochs=2)
    options: dict[str, Any] = {"recipe": recipe, "device": "cuda", "seeds": 4}
    together = study(out=tmp_path / "together", streams=4, **options)
    alone = study(out=tmp_path / "alone", **options)
    assert all(one.result.status == "finished" and not one.result.warnings for one in together.trials)
    for one, other in zip(together.trials, alone.trials, strict=True):
        assert one.result.val_accuracy == pytest.approx(other.result.val_accuracy, abs=0.1)
