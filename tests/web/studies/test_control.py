"""A real study is stopped as by Ctrl-C and gone on with by its own command, where that was allowed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import httpx
import pytest

from stepladder.errors import StudyError
from stepladder.studies.files.store import load_study
from stepladder.web.studies import control as controlling
from stepladder.web.studies.control import Control
from stepladder.web.studies.folders import check_folder
from stepladder.web.studies.owners import Locks, Owner
from stepladder.web.studies.viewer import Viewer
from stepladder.web.studies.watch import StudyWatch
from tests.terminal import Terminal, wait_until
from tests.web.served import served
from tests.web.studies.made_up import ladder, write_study
from tests.web.studies.test_app import key_of
from tests.web.studies.test_owners import holding, needs_locks
from tests.web.studies.test_viewer import tree_of
from tests.web.studies.test_watch import watch_of

#: Long enough to be stopped in its middle, and over in seconds.
STUDY = ("study", "digits", "--limit", "20", "--seeds", "2", "--batch-size", "16", "--network", "conv3-2 pool2 fc8 fc")
RUNGS = ("--rung", "base:", "--rung", "+standardize:standardize", "--threads", "1", "--precision", "float32")


@needs_locks
@pytest.mark.soak
def test_a_real_study_is_stopped_and_gone_on_with(terminal: Terminal, tmp_path: Path) -> None:
    arguments = (*STUDY, *RUNGS, "--epochs", "150", "--checkpoint-seconds", "0.2", "--device", "cpu", "--out", "mine")
    printed = tmp_path / "printed"
    study = tmp_path / "mine"
    with served(terminal, tmp_path / "viewing", "view", str(tmp_path), "--port", "0", "--control") as running:
        pid = terminal.start(tmp_path, *arguments, "--workers", "1")
        wait_until(lambda: any(study.glob("trials/*/checkpoint/*/state.json")), printed)
        key = key_of(tmp_path, "mine")
        assert httpx.get(f"{running.base}/study/{key}").status_code == 200
        with httpx.stream("GET", f"{running.base}/events/{key}", timeout=60) as events:
            lines = events.iter_lines()

            def hear(wanted: str) -> None:
                deadline = time.monotonic() + 60
                for line in lines:
                    if wanted in line:
                        return
                    assert time.monotonic() < deadline, wanted
                raise AssertionError(wanted)

            hear('"control":{"stop":true')
            foreign = httpx.post(f"{running.base}/stop/{key}", headers={"Origin": "http://elsewhere.example"})
            assert foreign.status_code == 403
            said = httpx.post(f"{running.base}/stop/{key}")
            assert said.status_code == 200, said.text
            assert "as by Ctrl-C" in said.json()["said"]
            assert terminal.wait(pid) == 130
            assert "have a checkpoint, in mine" in printed.read_text()
            hear('"state":"unfinished"')
            again = httpx.post(f"{running.base}/stop/{key}")
            assert again.status_code == 409
            assert "nobody runs this study" in again.json()["error"]
            said = httpx.post(f"{running.base}/go-on/{key}")
            assert said.status_code == 200, said.text
            twice = httpx.post(f"{running.base}/go-on/{key}")
            assert "runs already" in twice.json()["error"]
            hear('"state":"finished"')
    found = load_study(study)
    assert not found.missing
    assert {trial.result.status for trial in found.trials} == {"finished"}


def _control(folder: Path) -> Control:
    return Control(check_folder(folder), folder)


def _unfinished(folder: Path, command: str) -> StudyWatch:
    write_study(folder, ladder(rungs=1, seeds=2, first=2, command=command), ended=lambda one: one.seed == 0)
    watch = watch_of(folder)
    watch.poll(Locks())
    return watch


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("stepladder study digits --out studies/mine", ["study", "digits", "--out", "studies/mine"]),
        ("stepladder study digits --out=studies/mine", ["study", "digits", "--out=studies/mine"]),
        ("stepladder sweep digits", ["sweep", "digits"]),
        ("stepladder study 'a; rm -rf /' --out studies/mine", ["study", "a; rm -rf /", "--out", "studies/mine"]),
    ],
)
def test_a_command_is_run_word_by_word_where_it_was_typed(tmp_path: Path, command: str, words: list[str]) -> None:
    watch = _unfinished(tmp_path / "studies" / "mine", command)
    found, place = _control(tmp_path)._command(watch)
    assert found == words
    assert place == tmp_path
    assert Control(check_folder(tmp_path / "studies"), Path("/"))._command(watch) == (words, tmp_path)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("", "keeps no command"),
        ("rm -rf /", "none of Stepladder's"),
        ("/tmp/stepladder study digits", "none of Stepladder's"),
        ("stepladder", "none of Stepladder's"),
        ("stepladder bench study", "none of Stepladder's"),
        ("stepladder study 'digits", "cannot be read"),
        ("stepladder study digits --out elsewhere", "in which folder its command was typed"),
        ("stepladder study digits --out ../../../outside", "in which folder its command was typed"),
    ],
)
def test_any_other_command_is_not_run(tmp_path: Path, command: str, why: str) -> None:
    watch, control = _unfinished(tmp_path / "studies" / "mine", command), _control(tmp_path)
    told = control.describe(watch)
    assert (told["stop"], told["go_on"]) == (False, "")
    assert why in told["why"]
    with pytest.raises(StudyError, match=r"."):
        control.go_on(watch)


#: Stands for a command: says where it runs and with what, in which session, and ends as it is told.
COMMAND = """
import json, os, pathlib, sys
told = {"words": sys.argv[1:], "folder": os.getcwd(), "session": os.getsid(0) == os.getpid(), "stdin": sys.stdin.read()}
pathlib.Path(os.environ["TOLD"]).write_text(json.dumps(told))
print("there is no image set called nowhere")
sys.exit(2)
"""


def test_a_command_is_started_in_a_session_of_its_own_and_what_it_says_last_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told.json"
    monkeypatch.setenv("TOLD", str(told))
    monkeypatch.setattr(controlling, "python_command", lambda *words: [sys.executable, "-c", COMMAND, *words])
    command = "stepladder study 'nowhere; touch x' --out studies/mine"
    viewed = tmp_path / "viewed"
    watch, control = _unfinished(viewed / "studies" / "mine", command), _control(viewed)
    assert control.describe(watch) == {"stop": False, "go_on": command, "why": ""}
    before = tree_of(viewed)
    control.go_on(watch)
    with pytest.raises(StudyError, match="runs already"):
        control.go_on(watch)
    control._started[watch.found.key].process.wait(60)
    assert json.loads(told.read_text(encoding="utf-8")) == {
        "words": ["-m", "stepladder", "study", "nowhere; touch x", "--out", "studies/mine"],
        "folder": str(viewed),
        "session": True,
        "stdin": "",
    }
    why = "The command ended with exit code 2: there is no image set called nowhere"
    assert control.describe(watch) == {"stop": False, "go_on": command, "why": why}
    assert tree_of(viewed) == before
    control.close()


@needs_locks
def test_the_process_that_holds_a_lock_gets_the_signal_of_ctrl_c(tmp_path: Path) -> None:
    watch, control = _unfinished(tmp_path / "studies" / "mine", "stepladder study digits"), _control(tmp_path)
    lock = watch.folder / ".lock"
    with holding(lock) as process:
        watch.poll(Locks())
        assert control.describe(watch) == {"stop": True, "go_on": "", "why": ""}
        with pytest.raises(StudyError, match="runs already"):
            control.go_on(watch)
        assert "as by Ctrl-C" in control.stop(watch)
        assert process.wait(60) == -signal.SIGINT  # as Python ends of a KeyboardInterrupt
        with pytest.raises(StudyError, match="nobody runs this study"):
            control.stop(watch)


def test_nobody_is_stopped_who_has_gone_or_is_another(tmp_path: Path) -> None:
    watch, control = _unfinished(tmp_path / "studies" / "mine", "stepladder study digits"), _control(tmp_path)
    # A process with the number of one that has gone is another.
    watch.owners = (Owner(os.getpid(), 1, ours=True),)
    with pytest.raises(StudyError, match="nobody runs this study"):
        control.stop(watch)
    watch.owners = (Owner(os.getpid(), 1, ours=False),)
    assert control.describe(watch) == {
        "stop": False,
        "go_on": "",
        "why": "Another user runs it; only they can stop it.",
    }


def test_a_view_offers_nothing_unless_it_was_told_to(tmp_path: Path) -> None:
    _unfinished(tmp_path / "mine", "stepladder study digits --out mine")
    for control in (None, _control(tmp_path)):
        viewer = Viewer(check_folder(tmp_path), control=control)
        viewer.board.readers = 1
        viewer.look()
        (watch,) = viewer._watches.values()
        assert (watch.board.get("control") is None) is (control is None)
        viewer.close()
