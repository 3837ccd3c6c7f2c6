"""Studies on a real Ray cluster of two nodes: the same bits as here, whatever is lost on the way."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import StorageError, StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bits import trial_bits
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.cluster import session as session_module
from stepladder.studies.running.cluster import trials as module
from stepladder.studies.running.cluster.session import Session
from stepladder.techniques import catalogue
from stepladder.training.history import EpochRecord
from stepladder.training.stop import Stop, Stopped

RunStudy = Callable[..., SavedStudy]


class Watch(Callbacks):
    """Notes what is told, and does something once, after the first epoch of a slow trial."""

    def __init__(self, in_the_middle: Callable[[], None] = lambda: None) -> None:
        self.started: list[tuple[str, int]] = []
        self.ended: list[tuple[str, int]] = []
        self.epochs: list[tuple[str, int]] = []
        self.sentences: list[str] = []
        self._in_the_middle = in_the_middle

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def trial_started(self, trial: Trial) -> None:
        self.started.append((trial.rung, trial.seed))

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        self.epochs.append((trial.rung, record.epoch))
        if self.epochs[-1] == ("slow", 1):
            do, self._in_the_middle = self._in_the_middle, lambda: None
            do()

    def trial_ended(self, trial: Trial, result: Any) -> None:
        self.ended.append((trial.rung, trial.seed))


def kill_a_slot(session: Session) -> None:
    """End the process of a slot that is at a trial, as a node that falls does."""
    busy = next(place for places in session.slots.values() for place in places if place.task is not None)
    os.kill(session.ray.get(busy.actor.about.remote())["pid"], signal.SIGKILL)


#: A technique of a user's own, which makes trials long enough to be interrupted, and a network.
OWN = """import time

from stepladder.techniques import Technique
from torch import nn


class Slow(Technique):
    name = "slow"
    group = "schedule"
    summary = "for a test"
    paper = "none"
    caveat = "none"

    def lr_factor(self, progress):
        time.sleep(0.02)
        return 0.5


def build(shape, classes):
    channels, height, width = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, classes))
"""


@pytest.fixture
def rungs(tiny_recipe: Callable[..., Recipe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    """Two rungs, the second with the technique of the file."""
    monkeypatch.setattr(catalogue, "_OWN", dict(catalogue._OWN))
    (tmp_path / "own.py").write_text(OWN)
    catalogue.register(f"{tmp_path / 'own.py'}:Slow")
    return tiny_recipe({"name": "slow"}, epochs=4)


def test_a_study_has_the_bits_of_this_machine_though_a_slot_is_killed(
    study: RunStudy, rungs: Recipe, tmp_path: Path, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    study(recipe=rungs, out=tmp_path / "here")
    watch = Watch(lambda: kill_a_slot(session))
    done = study(recipe=rungs, out=tmp_path / "there", cluster=session.address, callbacks=watch)
    assert "(raylet)" not in capsys.readouterr().out, "Ray prints nothing where JSON may stand"
    assert trial_bits(tmp_path / "there") == trial_bits(tmp_path / "here")
    results = [trial.result for trial in done.trials]
    nodes = {result.node for result in results}
    assert all(nodes)
    assert sum(result.retries for result in results) == 1
    assert sum("was lost; it goes on from its checkpoint on another slot" in said for said in watch.sentences) == 1
    assert sorted(watch.ended) == sorted((trial.rung, trial.seed) for trial in done.trials), "each once and only once"
    assert watch.sentences[0] == f"Trials run on the Ray cluster at {session.address}: 2 nodes, 2 cores."
    assert not list((tmp_path / "there").glob("trials/*/checkpoint/*"))

    # A second study on the same slots, as of another look, trains in the processes that are there.
    again = Watch()
    study(recipe=rungs, out=tmp_path / "there", cluster=session.address, seeds=3, callbacks=again)
    assert sorted(again.ended) == [("baseline", 2), ("slow", 2)]
    study(recipe=rungs, out=tmp_path / "here", seeds=3)
    assert trial_bits(tmp_path / "there") == trial_bits(tmp_path / "here")


@pytest.mark.soak
def test_a_study_that_was_stopped_goes_on_on_this_machine(
    study: RunStudy, rungs: Recipe, tmp_path: Path, two_nodes: str
) -> None:
    stop = Stop()
    watch = Watch(lambda: stop.request("terminate"))
    out = tmp_path / "there"
    with pytest.raises(Stopped):
        study(recipe=rungs, out=out, cluster=two_nodes, seeds=1, callbacks=watch, stop=stop)
    kept = list(out.glob("trials/*/checkpoint/*"))
    assert kept, "checkpoints came back to the folder"
    assert ("slow", 0) not in watch.ended
    after = Watch()
    done = study(recipe=rungs, out=out, seeds=1, callbacks=after)
    assert min(epoch for rung, epoch in after.epochs if rung == "slow") > 1, "and are gone on from"
    assert [trial.result.node for trial in done.trials if trial.rung == "slow"] == [None]
    study(recipe=rungs, out=tmp_path / "here", seeds=1)
    assert trial_bits(out) == trial_bits(tmp_path / "here")


@pytest.mark.soak
def test_a_technique_and_a_network_of_the_users_own_travel(
    stepladder: Callable[..., Any], tmp_path: Path, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what they import from beside them."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "near_pause.py").write_text("SECONDS = 0.01\n")
    (tmp_path / "own.py").write_text("from near_pause import SECONDS\n" + OWN.replace("0.02", "SECONDS"))
    words = ("study", "digits", "--limit", "12", "--seeds", "1", "--epochs", "1", "--batch-size", "8", "--workers", "1")
    own = ("--network", "own.py:build", "--rung", "base:", "--technique", "own.py:Slow", "--rung", "+mine:slow")
    there = stepladder(*words, *own, "--out", "there", "--cluster", session.address)
    assert there.code == 0, there
    assert "2 nodes, 2 cores" in " ".join(there.out.split()), there.out
    assert "What your files import goes to the nodes too: near_pause.py" in " ".join(there.out.split())
    here = stepladder(*words, *own, "--out", "here")
    assert here.code == 0, here
    assert trial_bits(tmp_path / "there") == trial_bits(tmp_path / "here")
    assert len(trial_bits(tmp_path / "here")) == 10, "weights, curve, recipe and two predictions of each"


@pytest.mark.soak
def test_slots_that_were_made_for_another_way_to_train_make_room(
    study: RunStudy, rungs: Recipe, tmp_path: Path, session: Session
) -> None:
    """The cores of the cluster are those of the slots of the study before: it must not wait for itself."""
    study(recipe=rungs, out=tmp_path / "a", cluster=session.address, seeds=1)
    stop = Stop(90)
    study(recipe=rungs, out=tmp_path / "b", cluster=session.address, seeds=1, checkpoint_seconds=5.0, stop=stop)
    assert trial_bits(tmp_path / "a") == trial_bits(tmp_path / "b")


def test_a_checkpoint_that_comes_is_whole_and_the_older_ones_go(tmp_path: Path) -> None:
    for number in ("00000001", "00000002"):
        module._keep_checkpoint(
            tmp_path, {f"checkpoint/{number}/state.json": b"s", f"checkpoint/{number}/weights": b"w"}
        )
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "checkpoint/00000002/state.json",
        "checkpoint/00000002/weights",
    ]


@pytest.mark.parametrize(
    "name", ["checkpoint/../state.json", "../a/b", "/a/b/c", "checkpoint/x/a", "checkpoint/1", "model/1/a"]
)
def test_a_checkpoint_that_names_another_place_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "trial" / "checkpoint").mkdir(parents=True)
    (tmp_path / "trial" / "history.csv").write_text("kept")
    with pytest.raises(StorageError, match="a node named a file outside its"):
        module._keep_checkpoint(tmp_path / "trial", {name: b"x"})
    assert (tmp_path / "trial" / "history.csv").read_text() == "kept"


@pytest.mark.soak
def test_versions_that_differ_are_refused_in_one_sentence(
    study: RunStudy, rungs: Recipe, tmp_path: Path, two_nodes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = module.describe_versions()
    monkeypatch.setattr(module, "describe_versions", lambda: {**here, "torch": "1.0"})
    with pytest.raises(StudyError) as caught:
        study(recipe=rungs, out=tmp_path / "study", cluster=two_nodes, seeds=1)
    assert f"has torch {here['torch']}, and this machine has 1.0: trials of one study must not" in str(caught.value)
    monkeypatch.setattr(session_module, "version", lambda _: "99")
    with pytest.raises(StudyError, match=r"the node \S+ has Stepladder \S+, and this machine has 99; install the same"):
        study(recipe=rungs, out=tmp_path / "study", cluster=two_nodes, seeds=1)
    assert not list((tmp_path / "study").glob("trials/*/result.json"))
