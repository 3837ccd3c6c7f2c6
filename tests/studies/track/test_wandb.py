"""Weights & Biases, the real library: its offline files, read back by its own schema."""

from __future__ import annotations

import getpass
import json
import platform
import socketserver
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import RecipeError
from stepladder.studies.files.store import load_study
from stepladder.studies.track import make_trackers
from tests.studies.track.conftest import STUDY, run_alone

pytest.importorskip("wandb", reason="the extra 'track' is not installed")


class Counting(socketserver.ThreadingTCPServer):
    """A proxy that counts who asks for a way out, and gives none."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Refuse)


class _Refuse(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Counting)
        self.server.asked.append(self.request.recv(200))


@pytest.fixture
def proxy() -> Iterator[Counting]:
    with Counting() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def records(path: Path) -> Iterator[Any]:
    """The records of a .wandb file: LevelDB's log, blocks of 32 KiB, of wandb's own messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, place, parts = path.read_bytes(), 7, b""
    assert content.startswith(b":W&B")
    while place + 7 <= len(content):
        if (left := 32_768 - place % 32_768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", content[place : place + 7])
        parts += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last of several
            record = Record()
            record.ParseFromString(parts)
            parts = b""
            yield record


def read_run(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*.wandb")
    found: dict[str, Any] = {"history": [], "config": {}, "summary": {}}
    for record in records(path):
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run = record.run
            found |= {"id": run.run_id, "name": run.display_name, "group": run.run_group, "project": run.project}
            found |= {"host": run.host, "job": run.job_type}
            found["config"] |= {item.key: json.loads(item.value_json) for item in run.config.update}
        elif kind == "history":
            row = {(item.key or "/".join(item.nested_key)): json.loads(item.value_json) for item in record.history.item}
            found["history"].append((record.history.step.num, row))
        elif kind == "summary":
            for item in record.summary.update:
                found["summary"][item.key or item.nested_key[0]] = json.loads(item.value_json)
    return found


@pytest.mark.long
def test_a_study_is_a_project_with_a_run_a_trial_and_nothing_goes_out(
    proxy: Counting, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("somebody-private")
    way = f"http://127.0.0.1:{proxy.server_address[1]}"
    # Somebody is logged in, for other work.
    login = {"WANDB_API_KEY": "0" * 40, "HTTP_PROXY": way, "HTTPS_PROXY": way, "ALL_PROXY": way}
    done = run_alone(tmp_path, "study", "digits", *STUDY, "--out", "my study", "--track", "wandb", "--json", **login)
    assert done.returncode == 0, done.stderr
    assert "CONNECTS" not in done.stderr
    assert "The tracker" not in done.stderr
    assert json.loads(done.stdout)["folder"] == "my study"  # nothing of wandb's is between it
    assert proxy.asked == []
    place = tmp_path / "my study" / "tracking" / "wandb"
    folders = sorted(place.glob("wandb/offline-run-*"), key=lambda path: path.name)
    runs = [read_run(folder) for folder in folders]
    assert [run["name"] for run in runs if run["job"] == "trial"].count("mix-seed0") == 2  # then its reading of test
    assert {run["group"] for run in runs} == {"base", "mix", ""}
    assert {run["project"] for run in runs} == {"my-study"}
    for trial in load_study(tmp_path / "my study").trials:
        first, second = (run for run in runs if run["name"] == f"{trial.rung}-seed0")
        assert first["id"] == second["id"]  # one run, when they are sent
        curve = [(step, row["val/accuracy"]) for step, row in first["history"] if "val/accuracy" in row]
        assert curve == [(record.epoch, record.val_accuracy) for record in trial.history]
        assert second["history"][-1][1]["result/test_accuracy"] == trial.result.test_accuracy
        assert first["config"]["batch_size"] == 32
        assert first["config"]["rung"] == trial.rung
    (verdicts,) = (run for run in runs if run["job"] == "verdicts")
    assert verdicts["summary"]["mix/verdict"] == "no verdict"
    assert verdicts["summary"]["rung/mix/n"] == 1
    # What is sent later tells nobody who works where.
    private = [b"somebody-private", platform.node().encode(), platform.release().encode()]
    private += [getpass.getuser().encode()] if getpass.getuser() != "root" else []
    sent = [path for run in folders for path in [*run.glob("*.wandb"), *(run / "files").rglob("*")] if path.is_file()]
    assert {path.suffix for path in sent} == {".wandb"}
    for path in sent:
        content = path.read_bytes()
        assert [word for word in private if len(word) > 3 and word in content] == [], path


def test_who_asks_for_it_goes_online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    asked: list[dict[str, Any]] = []
    monkeypatch.setattr(wandb, "init", lambda **how: asked.append(how))
    for mode, expected in (("online", "online"), (None, "offline"), ("offline", "offline"), ("disabled", "disabled")):
        monkeypatch.delenv("WANDB_MODE", raising=False)
        if mode is not None:
            monkeypatch.setenv("WANDB_MODE", mode)
        (tracker,) = make_trackers(["wandb"], tmp_path, print)
        tracker.tracker.start("base-seed0", {"rung": "base"}, 0)
        assert asked[-1]["mode"] == expected
        assert asked[-1]["resume"] == ("allow" if mode == "online" else None)


def test_another_process_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")
    ids: list[str] = []
    monkeypatch.setattr(wandb, "init", lambda **how: ids.append(how["id"]))
    for first_epoch in (0, 3, 0):
        (tracker,) = make_trackers(["wandb"], tmp_path, print)
        tracker.tracker.start("base-seed0", {"rung": "base"}, first_epoch)
    assert ids[0] == ids[1]
    assert ids[2] != ids[0]  # begun anew


def test_without_the_library_the_fix_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(RecipeError, match=r"needs wandb, .*pip install 'stepladder\[track\]'"):
        make_trackers(["wandb"], tmp_path, print)
