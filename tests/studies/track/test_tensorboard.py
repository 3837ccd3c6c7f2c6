"""Event files, read back by TensorBoard's own reader."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError
from stepladder.recipe import Recipe
from stepladder.studies.design.designs import make_design
from stepladder.studies.files.store import load_study
from stepladder.studies.running.callbacks import CallbackList
from stepladder.studies.running.execution import Execution
from stepladder.studies.study import run_study
from stepladder.studies.track import make_trackers
from stepladder.studies.track.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="the extra 'track' is not installed")


def read(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    found: dict[str, list[tuple[int, float]]] = {}
    multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder)).Reload()
    (run,) = multiplexer.Runs()
    for tag in multiplexer.Runs()[run]["scalars"]:
        found[tag] = [(event.step, event.value) for event in multiplexer.Scalars(run, tag)]
    plugin = multiplexer.GetAccumulator(run).summary_metadata
    assert "_hparams_/session_start_info" in plugin
    return found


def test_a_run_of_less_than_a_second_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer numbers its files, and the reader takes those of one second by name: the tenth before the ninth."""
    from tensorboard.summary.writer import event_file_writer

    monkeypatch.setattr(event_file_writer.time, "time", lambda: 1_800_000_000.0)
    monkeypatch.setattr(event_file_writer, "_global_uid", event_file_writer.AtomicCounter(9))
    tracker = TensorBoard(tmp_path)
    tracker.start("run", {"lr": 0.1}, 0)
    for epoch in range(3):
        tracker.log(epoch, {"val/loss": 1.0})
    tracker.end(finished=True)
    tracker.add("run", {"lr": 0.1}, 2, {"result/test_accuracy": 0.5})
    assert len(list((tmp_path / "run").glob("*.9"))) == len(list((tmp_path / "run").glob("*.10"))) == 1
    found = read(tmp_path)
    assert [step for step, _ in found["val/loss"]] == [0, 1, 2]
    assert found["result/test_accuracy"] == [(2, 0.5)]


@pytest.mark.long
def test_a_study_is_a_run_a_trial_with_its_curves_and_settings(
    digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    said: list[str] = []
    callbacks = CallbackList(make_trackers(["tensorboard", "tensorboard"], tmp_path / "study", said.append))
    assert len(callbacks.callbacks) == 1
    design = make_design("ladder", tiny_recipe("standardize", epochs=2))
    execution = Execution("cpu", "float32")
    run_study(digits, design, tmp_path / "study", seeds=2, execution=execution, callbacks=callbacks)
    assert said == []
    study = load_study(tmp_path / "study")
    runs = tmp_path / "study" / "tracking" / "tensorboard"
    assert sorted(path.name for path in runs.iterdir()) == [
        "baseline-seed0",
        "baseline-seed1",
        "standardize-seed0",
        "standardize-seed1",
    ]
    for trial in study.trials:
        found = read(runs / f"{trial.rung}-seed{trial.seed}")
        expected = [(record.epoch, pytest.approx(record.val_loss, rel=1e-6)) for record in trial.history]
        assert found["val/loss"] == expected
        assert found["result/test_accuracy"] == [(2, pytest.approx(trial.result.test_accuracy, rel=1e-6))]
    names = [path.read_bytes() for path in runs.rglob("events*")]
    assert any(b"optimizer.lr" in content and b"techniques" in content for content in names)


def test_a_run_taken_up_again_has_each_epoch_once(tmp_path: Path) -> None:
    for first in (0, 1):
        tracker = TensorBoard(tmp_path)
        tracker.start("run", {"lr": 0.1}, first)
        for epoch in range(first, 3):
            tracker.log(epoch, {"train/loss": 10.0 * first + epoch})
        tracker.end(finished=first == 1)
    assert read(tmp_path)["train/loss"] == [(0, 0), (1, 11), (2, 12)]


def test_without_the_library_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch.utils.tensorboard", "tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr("torch.utils.tensorboard", raising=False)
    with pytest.raises(RecipeError, match=r"needs tensorboard, .*pip install 'stepladder\[track\]'"):
        make_trackers(["tensorboard"], tmp_path, print)
