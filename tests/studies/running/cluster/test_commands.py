"""Runs of a user's own command on a real Ray cluster: what they need goes there, and all that they leave comes back."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.rules import Rules
from stepladder.studies.files.records import Machine, SavedStudy
from stepladder.studies.running.cluster.commands import OnCluster
from stepladder.studies.running.cluster.session import Session, process_of
from stepladder.studies.scores.command_record import Origin, make_record
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandCallbacks, CommandExecution, run_commands
from stepladder.training.stop import Stop, Stopped

MACHINE = Machine(processor="p", cores=1, memory_gb=1.0, accelerator=None, system="s")


class Log(CommandCallbacks):
    def __init__(self) -> None:
        self.said: list[str] = []

    def message(self, sentence: str) -> None:
        self.said.append(sentence)


def run(command: str, out: Path, on: OnCluster | None, log: Log | None = None, **more: Any) -> SavedStudy:
    """Run two rungs and two seeds of a command."""
    record = make_record(CommandPlan(command, ("base:", "more:5")), 2, Rules(), Origin("n", MACHINE, "c", "2026"))
    return run_commands(record, out, Rules(), CommandExecution(on=on, **more), log)


def scores(study: SavedStudy) -> list[tuple[str, int, str, float | None, float | None]]:
    results = [(one.rung, one.seed, one.result) for one in study.trials]
    return [(rung, seed, one.status, one.val_score, one.test_score) for rung, seed, one in results]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a study is started in."""
    folder = tmp_path / "work"
    (folder / "lib").mkdir(parents=True)
    (folder / "lib" / "extra.txt").write_text("extra\n")
    (folder / "secret.txt").write_text("stays here\n")
    monkeypatch.chdir(folder)
    return folder


#: Trains once and keeps what it found; asked for test, it reads that. Either needs the file beside it.
TRAIN = """set -e
if [ "$3" = --read-test ]; then cat $2/weights lib/extra.txt > $2/read; echo "{\\"test\\": 0.$12}"
else echo $1 $3 > $2/weights; ls > $2/around; echo "{\\"val\\": 0.$11}"; fi
"""


@pytest.mark.soak
def test_what_is_sent_is_there_and_what_a_run_leaves_comes_back(work: Path, tmp_path: Path, session: Session) -> None:
    (work / "train.sh").write_text(TRAIN)
    command, log = "/bin/sh train.sh {seed} {out} {read_test} {options}", Log()
    on = OnCluster(session.address, send=(Path("train.sh"), Path("lib")))
    there = run(command, tmp_path / "there", on, log)
    here = run(command, tmp_path / "here", None)
    assert scores(there) == scores(here)
    assert [one[2:] for one in scores(there)] == [("finished", 0.01, 0.02), ("finished", 0.11, 0.12)] * 2
    for one in there.trials:
        assert one.result.node
        assert one.result.retries == 0
        inner = one.folder / "out"
        assert (inner / "around").read_text() == "lib\ntrain.sh\n", "nothing else of the folder went there"
        assert (inner / "read").read_text().endswith("extra\n")
        assert (one.folder / "stdout.txt").read_text() == f'{{"val": 0.{one.seed}1}}\n'
        assert (one.folder / "test-stdout.txt").read_text() == f'{{"test": 0.{one.seed}2}}\n'
        assert not (one.folder / "sent").exists()
    assert log.said == [f"Trials run on the Ray cluster at {session.address}: 2 nodes, 2 cores."]


@pytest.mark.soak
def test_slots_that_share_a_process_run_at_the_same_time(work: Path, tmp_path: Path, session: Session) -> None:
    """Two of half a core on each node: each waits until all four have begun."""
    (work / "meet.sh").write_text(
        f"touch {tmp_path}/began-$$; n=0; while [ $(ls {tmp_path} | grep -c began) -lt 4 ] && [ $n -lt 600 ]; "
        "do sleep 0.1; n=$((n + 1)); done; echo '{\"test\": 0.5}'\n"
    )
    on, log = OnCluster(session.address, cores=0.5), Log()
    done = run("/bin/sh meet.sh {seed} {options}", tmp_path / "s", on, log)
    assert [one[2:] for one in scores(done)] == [("finished", None, 0.5)] * 4
    slots = [place.actor for places in session.slots.values() for place in places]
    assert len({id(process_of(slot)) for slot in slots}) == 2
    assert sum(one.result.retries for one in done.trials) == 0


@pytest.mark.soak
def test_a_run_whose_slot_is_killed_begins_again_and_is_counted(work: Path, tmp_path: Path, session: Session) -> None:
    began = tmp_path / "began"
    (work / "once.sh").write_text(f"mkdir {began} 2> /dev/null && sleep 3600; echo '{{\"test\": 0.5}}'\n")

    def kill() -> None:
        """End the slot that sleeps, once its run has begun."""
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            busy = [place for places in session.slots.values() for place in places if place.task is not None]
            if began.exists() and len(busy) == 1:  # the other runs have ended, or wait
                os.kill(session.ray.get(busy[0].actor.about.remote())["pid"], signal.SIGKILL)
                return
            time.sleep(0.05)

    thread, log = Thread(target=kill), Log()
    thread.start()
    done = run("/bin/sh once.sh {seed} {options}", tmp_path / "s", OnCluster(session.address), log, workers=1)
    thread.join()
    assert [one[2:] for one in scores(done)] == [("finished", None, 0.5)] * 4
    assert sum(one.result.retries for one in done.trials) == 1
    assert sum("was lost with a run, which begins again on another slot." in said for said in log.said) == 1


@pytest.mark.soak
def test_a_study_that_was_stopped_brings_what_runs_kept_and_goes_on_here(
    work: Path, tmp_path: Path, session: Session
) -> None:
    began = tmp_path / "began"
    (work / "long.sh").write_text(
        f"""if [ -e $1/checkpoint ]; then echo "{{\\"test\\": $(cat $1/checkpoint)}}"
elif [ -e {began} ]; then echo '{{"test": 0.5}}'
else echo 0.25 > $1/checkpoint; touch {began}; sleep 3600; fi
"""
    )
    command, stop = "/bin/sh long.sh {out} {seed} {options}", Stop()

    def ask() -> None:
        deadline = time.monotonic() + 90
        while not began.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.request("terminate")

    thread = Thread(target=ask)
    thread.start()
    with pytest.raises(Stopped):
        run(command, tmp_path / "s", OnCluster(session.address), workers=1, stop=stop)
    thread.join()
    (kept,) = (tmp_path / "s").glob("trials/*/out/checkpoint")
    assert kept.read_text() == "0.25\n"
    done = run(command, tmp_path / "s", None)
    assert sorted(one.result.test_score or 0 for one in done.trials) == [0.25, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"cores": 0}, "`cores` is 0; a run takes more than 0"),
        ({"cores": float("nan")}, "`cores` is nan; a run takes more than 0"),
        ({"gpus": -1}, "`gpus_each` is -1; it must be 0 or more"),
        ({"send": (Path("/etc"),)}, "`send` has /etc; give what lies below the folder that the study is started in"),
        ({"send": (Path("../a"),)}, "`send` has ../a; give what lies below the folder that the study is started in"),
        ({"send": (Path("none.py"),)}, "`send` has none.py, which is not there"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(
    work: Path, tmp_path: Path, how: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError) as caught:
        run("/bin/true {seed} {options}", tmp_path / "s", OnCluster("auto", **how))
    assert str(caught.value) == words
    assert not (tmp_path / "s").exists()


def test_gpus_of_this_machine_are_none_of_the_cluster(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="`gpus` deals out those of this machine; on a cluster say `gpus_each=1`"):
        run("/bin/true {seed} {options}", tmp_path / "s", OnCluster("auto"), gpus=("0",))
    with pytest.raises(StudyError, match="`cluster` is 'nowhere'; write auto"):
        run("/bin/true {seed} {options}", tmp_path / "s", OnCluster("nowhere"))
