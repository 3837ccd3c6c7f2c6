"""Several processes on one study: each trial has one owner, and whoever trains it, the bits are the same."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bits import bits
from stepladder.studies.files.records import TrialResult
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.locks import try_lock
from stepladder.training.history import EpochRecord

from .small import run_small

PROGRAM = Path(__file__).with_name("small.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The study in one process, undisturbed."""
    study = tmp_path_factory.mktemp("whole")
    run_small(study)
    return bits(study)


@pytest.mark.soak
def test_two_at_once_share_the_trials_and_one_takes_over_from_the_other(
    tmp_path: Path, whole: dict[str, object]
) -> None:
    done = subprocess.run([sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    both, one = json.loads(done.stdout)
    assert all(both), "each process had a part of it"
    ran = [tuple(trial) for process in both for trial in process]
    assert len(ran) == len(set(ran)) == 6, "none was run twice"
    assert bits(tmp_path / "both") == whole
    # The first was killed with its locks held, and the other ran all that it had not ended.
    assert one[0] == -signal.SIGKILL
    assert len(one[1]) >= 4
    assert bits(tmp_path / "one") == whole


def test_a_lock_ends_with_its_owner_and_a_clock_that_was_changed_is_no_matter(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ready")
    child = os.fork()
    if child == 0:
        try:
            with try_lock(tmp_path / "trial") as owned:
                (tmp_path / "ready").write_text(str(owned))
                time.sleep(60)
        finally:
            os._exit(0)  # whatever it comes to, it must not run the tests that follow
    assert (tmp_path / "ready").read_text() == "True"
    for years in (-20, 20):
        moment = time.time() + years * 365.25 * 86400
        os.utime(tmp_path / "trial" / ".lock", (moment, moment))
        with try_lock(tmp_path / "trial") as owned:
            assert not owned
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with try_lock(tmp_path / "trial") as owned:
        assert owned


class Murder(Callbacks):
    """Kills all workers after the first epoch of a trial, once."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.epochs: list[tuple[str, int]] = []
        self.sentences: list[str] = []
        self.ended: list[str] = []

    def epoch_ended(self, trial: Trial, record: EpochRecord) -> None:
        self.epochs.append((trial.id, record.epoch))
        if record.epoch == 1 and not self.killed:
            self.killed = worker_processes()
            for child in self.killed:
                os.kill(child, signal.SIGKILL)

    def message(self, sentence: str) -> None:
        self.sentences.append(sentence)

    def trial_ended(self, trial: Trial, result: TrialResult) -> None:
        self.ended.append(trial.id)


def worker_processes() -> list[int]:
    """The workers that this process has started; other tests may have left it a child of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rpartition(") ")[2].split()[:2]
            command = path.with_name("cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and state != "Z" and b"running.worker" in command:
            found.append(int(path.parent.name))
    return found


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here to find the workers in")
def test_workers_that_are_killed_are_replaced_and_their_trials_go_on(tmp_path: Path, whole: dict[str, object]) -> None:
    callbacks = Murder()
    run_small(tmp_path / "study", workers=2, callbacks=callbacks)
    assert len(callbacks.killed) == 2
    assert any("ended (signal SIGKILL); another goes on from its checkpoint" in one for one in callbacks.sentences)
    assert len(callbacks.ended) == len(set(callbacks.ended)) == 6
    # None that had a checkpoint starts again: its untrained network is looked at once.
    assert callbacks.epochs.count((callbacks.epochs[0][0], 0)) == 1
    assert bits(tmp_path / "study") == whole
