"""A slot without Ray around it: what it begins, what it tells of it and how often, and how it ends."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import ImageSet, make_splits
from stepladder.errors import StudyError
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.bits import trial_bits
from stepladder.studies.prepare import describe_data
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.cluster import scratch as scratch_module
from stepladder.studies.running.cluster import slot as module
from stepladder.studies.running.cluster.asking import order_of
from stepladder.studies.running.cluster.scratch import VARIABLE, unpack
from stepladder.studies.running.cluster.slot import OUT_PLACE, Report, Slot, SlotHost, as_ended
from stepladder.studies.running.commands import CommandCall, Ended, Limits, end_leftovers
from stepladder.studies.running.execution import Execution, Job
from stepladder.studies.running.jobs import run_jobs
from stepladder.studies.running.shared_memory import describe_jobs
from stepladder.training.device import choose_compute

#: Speaks as ``running/worker.py`` does, and is there at once: what it is to do stands in the job.
STAND_IN = """
import json, os, pathlib, signal, sys, time

def say(**event):
    print(json.dumps(event), flush=True)

def keep(number):
    place = folder / "checkpoint" / f"{number:08d}"
    part = place.with_name(f".{place.name}.part")
    part.mkdir(parents=True)
    (part / "state.json").write_text(str(number))
    part.rename(place)

def leave(*_):
    keep(99)
    sys.exit(75)

signal.signal(signal.SIGTERM, leave)
say(event="ready", order=json.loads(sys.stdin.readline()), pid=os.getpid())
for line in sys.stdin:
    job = json.loads(line)
    folder = pathlib.Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(job["events"]):
        say(event="images", number=number)
        if job["keeps"]:
            keep(number + 1)
        time.sleep(job["pause"])
    if job["dies"]:
        os._exit(3)
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_bytes(b"weights")
    (folder / "result.json").write_text("{}")
    (folder / ".lock").write_text("")
    say(event="handed back", peak_memory=7)
"""


class Around:
    """A slot and what it asks of an object store, which is a dictionary here."""

    def __init__(self, checkpoint_seconds: float) -> None:
        self.fetched: list[str] = []
        self.store: dict[str, bytes] = {}
        self.slot = Slot("session", self._fetch, checkpoint_seconds)
        self.order: dict[str, Any] = {"techniques": [], "networks": [], "modules": {}}

    def _fetch(self, name: str) -> bytes:
        self.fetched.append(name)
        return self.store[name]

    @property
    def folder(self) -> Path:
        (found,) = Path(os.environ[VARIABLE]).glob("stepladder-scratch-*/session/slot-*")
        return found

    def begin(
        self,
        name: str = "t",
        events: int = 0,
        pause: float = 0.0,
        keeps: bool = False,
        dies: bool = False,
        texts: dict[str, bytes] | None = None,
    ) -> None:
        """Begin what a stand-in for a worker does."""
        job = {"name": name, "events": events, "pause": pause, "keeps": keeps, "dies": dies}
        self.slot.train(self.order, texts or {}, json.dumps(job), {}, {})

    def hear(self, wait: float = 5.0) -> tuple[list[dict[str, Any]], Report]:
        """Listen until the end; return all events, and the last report."""
        events = []
        while True:
            report = self.slot.listen(wait)
            events += [json.loads(line) for line in report["lines"]]
            if report["ended"] is not None:
                return events, report


@pytest.fixture
def around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Around]:
    """A slot whose worker is the stand-in."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "node"))
    program = tmp_path / "stand_in.py"
    program.write_text(STAND_IN)
    monkeypatch.setattr(module, "python_command", lambda *_: [sys.executable, "-S", str(program)])
    made = Around(checkpoint_seconds=3600)
    yield made
    made.slot.close()
    assert list(Path(os.environ[VARIABLE]).glob("stepladder-scratch-*/session")) == []


# With the real worker: a trial here and there has the same bits.


@pytest.fixture(scope="module")
def jobs(digits: ImageSet, tiny_recipe: Callable[..., Recipe], tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    """A trial of one epoch, and one of so many that it can be stopped in the middle."""
    splits, folder = make_splits(digits), tmp_path_factory.mktemp("owner")
    data = describe_data(digits, splits)
    found = []
    for epochs in (1, 60):
        trial = Trial("base", tiny_recipe("standardize", epochs=epochs), 3, splits.fingerprint, "float32")
        found.append(Job(trial, splits, data, folder / "trials" / trial.id))
    return found


def handed(job: Job, around: Around) -> tuple[str, dict[str, list[str]]]:
    """Return a job as a slot gets it, its arrays in two pieces each in the store."""
    arrays: dict[str, list[str]] = {}

    def share(array: np.ndarray) -> dict[str, Any]:
        content = np.ascontiguousarray(array).tobytes()
        name = hashlib.sha256(content).hexdigest()
        arrays[name] = [f"{name}-0", f"{name}-1"]
        around.store |= {f"{name}-0": content[:100], f"{name}-1": content[100:]}
        return {"shape": list(array.shape), "dtype": array.dtype.str, "path": name}

    return json.dumps({**describe_jobs([job], share), "name": job.trial.id}), arrays


@pytest.mark.soak
def test_a_real_trial_is_trained_stopped_and_gone_on_with_to_the_same_bits(
    jobs: list[Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "node"))
    compute, execution = choose_compute("cpu", "float32", 1), Execution()
    around = Around(checkpoint_seconds=3600)
    conditions = {"device": "cpu", "precision": "float32", "threads": 1, "accept_different_bits": False}
    order = order_of([job.trial.recipe for job in jobs], {**conditions, "checkpoint_seconds": 60.0})
    try:
        short, long = jobs
        line, arrays = handed(short, around)
        around.slot.train(order, {}, line, arrays, {})
        events, report = around.hear()
        assert [event["event"] for event in events if event["event"] != "images"] == [
            *("ready", "started", "epoch", "epoch", "ended", "handed back")
        ]
        assert report["ended"]["how"] == "handed back"
        assert report["ended"]["peak_memory"] > 1e8
        assert {"result.json", "recipe.toml", "history.csv", "model/model.safetensors"} <= report["files"].keys()
        unpack(report["files"], tmp_path / "there" / "trials" / short.trial.id)
        fetched = len(around.fetched)
        assert fetched == 2 * len(arrays)

        line, arrays = handed(long, around)
        around.slot.train(order, {}, line, arrays, {})
        early: list[str] = []
        while not any("epoch" in one for one in early):
            early += around.slot.listen(5.0)["lines"]
        around.slot.stop()
        events, stopped = around.hear()
        assert "ready" not in [event["event"] for event in events], "the same process trains the next trial"
        assert len(around.fetched) == fetched, "its images are on the node"
        assert stopped["ended"]["how"] == "died"
        assert stopped["files"], "it left a checkpoint"
        assert all(name.startswith("checkpoint/") for name in stopped["files"])

        around.slot.train(order, {}, line, arrays, stopped["files"])
        events, report = around.hear()
        assert report["ended"]["how"] == "handed back"
        epochs = [event["record"]["epoch"] for event in events if event["event"] == "epoch"]
        assert 0 < epochs[0] <= epochs[-1] == 60, "it went on from the checkpoint"
        assert not any(name.startswith("checkpoint") for name in report["files"])
        unpack(report["files"], tmp_path / "there" / "trials" / long.trial.id)
    finally:
        around.slot.close()
    run_jobs(jobs, compute, execution, Callbacks())
    here = trial_bits(jobs[0].folder.parent.parent)
    assert len(here) >= 6
    assert trial_bits(tmp_path / "there") == here


# With a stand-in: what is told, and when.


def test_a_node_says_what_it_is(around: Around) -> None:
    about = around.slot.about()
    assert about["stepladder"] == version("stepladder")
    assert about["pid"] == os.getpid()
    assert about["processor"]
    assert about["host"]


def test_one_process_trains_one_trial_after_another_until_it_is_told_otherwise(around: Around) -> None:
    pids = []
    for number in range(3):
        around.order["checkpoint_seconds"] = 60 if number < 2 else 5
        around.begin(f"t{number}", events=1)
        events, report = around.hear()
        pids += [event["pid"] for event in events if event["event"] == "ready"]
        assert report["ended"] == {"how": "handed back", "peak_memory": 7}
        assert report["files"] == {"model/weights": b"weights", "result.json": b"{}"}
        assert not (around.folder / "trials" / f"t{number}").exists(), "nothing stays on the node"
    assert len(set(pids)) == len(pids) == 2, "one for the first two trials, and one for what differs"
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_files_of_techniques_lie_on_the_node_and_images_in_its_folder(around: Around) -> None:
    around.order["techniques"] = ["/home/me/mine.py:Mine", "package.there:Other", "/elsewhere/mine.py:Mine"]
    texts = dict(zip(around.order["techniques"], (b"one", b"two", b"three"), strict=True))
    around.begin(texts=texts)
    events, _ = around.hear()
    order = events[0]["order"]
    places = [Path(one.rpartition(":")[0]) for one in order["techniques"]]
    assert [one.rpartition(":")[2] for one in order["techniques"]] == ["Mine", "Other", "Mine"]
    assert [place.read_bytes() for place in places] == [b"one", b"two", b"three"]
    assert all(place.is_relative_to(around.folder) for place in places)
    assert Path(order["arrays"]) == around.folder.parent / "arrays"
    assert order["modules"] is None


def test_what_they_import_lies_in_a_folder_that_has_the_name_of_its_content(around: Around) -> None:
    folders = []
    for text in ("one = 1", "one = 1", "one = 2"):
        around.order["modules"] = {"helper.py": text, "tools/__init__.py": ""}
        around.begin()
        events, _ = around.hear()
        folders += [Path(event["order"]["modules"]) for event in events if event["event"] == "ready"]
    assert len(set(folders)) == len(folders) == 2, "the same content needs no other process"
    assert (folders[1] / "helper.py").read_text() == "one = 2"
    assert (folders[1] / "tools" / "__init__.py").exists()


def test_a_process_that_dies_is_told_of_with_its_newest_checkpoint(around: Around) -> None:
    around.begin(events=3, keeps=True, dies=True)
    events, report = around.hear()
    assert [event.get("number") for event in events[1:]] == [0, 1, 2]
    assert report["ended"] == {"how": "died", "status": 3}
    assert report["files"] == {"checkpoint/00000003/state.json": b"3"}
    around.begin("next", events=1)  # and the slot is fit for the next one
    assert around.hear()[1]["ended"]["how"] == "handed back"


def test_what_is_killed_ends_at_once(around: Around) -> None:
    around.begin(events=1, pause=3600)
    while not around.slot.listen(5.0)["lines"]:
        pass
    around.slot.kill()
    assert around.hear()[1]["ended"] == {"how": "died", "status": -signal.SIGKILL}
    assert around.slot.listen(0.1) == {"lines": [], "files": {}, "ended": {"how": "idle"}}


def test_what_is_stopped_keeps_a_checkpoint(around: Around) -> None:
    around.begin(events=1, pause=3600)
    while not any("images" in line for line in around.slot.listen(5.0)["lines"]):
        pass
    around.slot.stop()
    _, report = around.hear()
    assert report["ended"] == {"how": "died", "status": 75}
    assert report["files"] == {"checkpoint/00000099/state.json": b"99"}


def test_events_come_in_pulses_however_many_there_are(around: Around) -> None:
    around.begin(events=500, pause=0.001)
    began, reports, events = time.monotonic(), 0, 0
    while True:
        report = around.slot.listen(5.0)
        reports, events = reports + 1, events + len(report["lines"])
        if report["ended"] is not None:
            break
    assert events == 502, "each of them"
    assert reports <= (time.monotonic() - began) / module._PULSE + 2
    assert reports < 100


def test_who_does_not_ask_gets_the_newest_events_alone(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_LINES", 20)
    around.begin(events=200)
    deadline = time.monotonic() + 60
    while (around.folder / "trials" / "t").exists() or not around.slot._run._kept.ended:  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    events, report = around.hear()
    assert [event.get("number") for event in events] == [*range(181, 200), None]
    assert report["ended"]["how"] == "handed back"


def test_checkpoints_come_no_more_often_than_was_asked(tmp_path: Path, around: Around) -> None:
    around.slot._checkpoint_seconds = 0.3
    around.begin(events=60, pause=0.02, keeps=True)
    began, found = time.monotonic(), []
    while True:
        report = around.slot.listen(0.05)
        if report["ended"] is not None:
            break
        if report["files"]:
            assert len({Path(name).parent.name for name in report["files"]}) == 1, "the newest alone"
            found.append(min(report["files"]))
    assert found == sorted(set(found)), "none twice, and none older than the one before"
    assert 1 <= len(found) <= (time.monotonic() - began) / 0.3 + 1
    assert len(found) < 50


def test_without_a_new_checkpoint_none_is_sent_again(around: Around) -> None:
    around.slot._checkpoint_seconds = 0.01
    around.begin(events=2, pause=0.5, keeps=True)
    found = []
    while True:
        report = around.slot.listen(0.05)
        if report["ended"] is not None:
            break
        found += list(report["files"])
    assert found == ["checkpoint/00000001/state.json", "checkpoint/00000002/state.json"]


def test_what_is_too_large_to_come_back_is_said(around: Around, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_module, "MOST_BYTES", 3)
    around.begin()
    _, report = around.hear()
    assert report["files"] == {}
    assert report["ended"]["how"] == "failed"
    assert "it left more than" in report["ended"]["sentence"]
    assert around.slot._worker is None


# Commands.


def call(*words: str, name: str = "t", keeps: bool = False, **environment: str) -> CommandCall:
    """Return a call as the owner of a study hands it over: its own folder is another one."""
    owner = Path("/owner/trials") / name
    return CommandCall(name, words, environment, owner / "out", (owner / "stdout.txt", owner / "stderr.txt"), keeps)


SHELL = ("/bin/sh", "-c")


def run(around: Around, one: CommandCall, sent: dict[str, bytes] | None = None, **more: Any) -> Report:
    files, limits = more.get("files", {}), more.get("limits", Limits())
    report = around.slot.call(one, limits, files, sent or {}, str(more.get("started_in", Path.cwd())), 5.0)
    return report if report["ended"] is not None else around.hear()[1]


def test_a_command_leaves_its_files_and_what_it_printed(around: Around, tmp_path: Path) -> None:
    words = (*SHELL, f"pwd; echo oh >&2; echo $MINE > {OUT_PLACE}/result.json; test $STEPLADDER_OUT = {OUT_PLACE}")
    report = run(around, call(*words, MINE="5"), started_in=tmp_path)
    ended = as_ended(report["ended"]["command"])
    assert (ended.code, ended.ended_by) == (0, None)
    assert report["files"] == {
        "out/result.json": b"5\n",
        "stdout.txt": f"{tmp_path}\n".encode(),
        "stderr.txt": b"oh\n",
    }
    assert not (around.folder / "trials" / "t").exists()


def test_what_is_sent_is_around_the_command_and_does_not_come_back(around: Around) -> None:
    sent = {"train.py": b"print(1)\n", "lib/a.txt": b"a"}
    report = run(around, call(*SHELL, "pwd; cat train.py lib/a.txt"), sent, started_in="/no/such/folder")
    assert report["files"]["stdout.txt"].endswith(b"/trials/t/sent\nprint(1)\na")
    assert sorted(report["files"]) == ["stderr.txt", "stdout.txt"]


def test_a_folder_that_the_node_lacks_is_said_with_what_to_do(around: Around) -> None:
    with pytest.raises(
        StudyError, match=r"there is no folder /no/such/folder on this node; share it .*, or name the files"
    ):
        run(around, call(*SHELL, "true"), started_in="/no/such/folder")
    with pytest.raises(StudyError, match="cannot run no-such-program: No such file or directory"):
        run(around, call("no-such-program"))


def test_a_command_goes_on_from_what_it_kept(around: Around) -> None:
    one = call(*SHELL, f"echo 3 > {OUT_PLACE}/checkpoint; echo began > {OUT_PLACE}/began; sleep 3600")
    report = around.slot.call(one, Limits(), {}, {}, str(Path.cwd()), 0.0)
    deadline = time.monotonic() + 60
    while not (around.folder / "trials" / "t" / "out" / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert report["ended"] is None
    around.slot.stop()
    _, report = around.hear()
    assert report["ended"]["how"] == "died"
    assert report["files"] == {"out/checkpoint": b"3\n"}
    again = run(around, call(*SHELL, f"cat {OUT_PLACE}/checkpoint"), files={"checkpoint": b"3\n"})
    assert again["files"]["stdout.txt"] == b"3\n"


def test_limits_hold_on_the_node(around: Around) -> None:
    report = run(around, call(*SHELL, "sleep 3600"), limits=Limits(timeout=0.2))
    ended = as_ended(report["ended"]["command"])
    assert (ended.code, ended.ended_by) == (-signal.SIGKILL, "it took longer than the 0.2 s of `trial_timeout`")
    assert isinstance(ended, Ended)


def test_closing_ends_what_runs_and_removes_the_folder(around: Around) -> None:
    around.begin(events=1, pause=3600)
    pids = []
    while not pids:
        pids = [json.loads(line)["pid"] for line in around.slot.listen(5.0)["lines"] if "ready" in line]
    folder = around.folder
    around.slot.close()
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    around.slot = Slot("session")  # closed by the fixture


def test_slots_of_one_process_are_each_at_a_run_of_their_own(around: Around) -> None:
    around.slot.close()  # it has the folder of this process
    host = SlotHost("session", 3)

    def ask(number: int, what: str, *arguments: Any) -> Any:
        return host.ask((number, what, arguments))

    try:
        where = str(Path.cwd())
        for number, words in enumerate(["sleep 3600", "echo second"]):
            one = replace(call(*SHELL, words), name=f"t{number}")
            ask(number, "call", one, Limits(), {}, {}, where, 0.0)
        report = ask(1, "listen", 20.0)
        assert report["files"]["stdout.txt"] == b"second\n"
        assert ask(2, "listen", 0.0)["ended"] == {"how": "idle"}
        assert ask(0, "listen", 0.0)["ended"] is None, "that of another slot goes on"
        ask(0, "kill")
        assert as_ended(ask(0, "listen", 20.0)["ended"]["command"]).code == -signal.SIGKILL
        assert ask(0, "about") == ask(1, "about")
        last = replace(call(*SHELL, "sleep 3600"), name="last")
        ask(2, "call", last, Limits(), {}, {}, where, 0.0)
        folder = around.folder
    finally:
        host.close()
    assert not folder.exists()
    assert end_leftovers(folder) == 0, "what ran has ended"
    around.slot = Slot("session")  # closed by the fixture


def test_a_node_that_runs_commands_loads_no_torch() -> None:
    program = f"import sys, {module.__name__}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
