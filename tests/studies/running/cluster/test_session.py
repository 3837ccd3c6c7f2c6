"""The connection to a cluster: whose it is, what is said of it, what goes wrong. In place of Ray: what notes calls."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stepladder.errors import StudyError
from stepladder.studies.running.cluster import session as module
from stepladder.studies.running.cluster.session import (
    Session,
    SharedSlot,
    connect,
    disconnect,
    ending,
    process_of,
    refuse_other_stepladder,
)


def node(name: str, cores: float, gpus: float = 0.0, memory: float = 8e9, alive: bool = True) -> dict[str, Any]:
    resources = {"CPU": cores, "GPU": gpus, "memory": memory}
    shown = {key: value for key, value in resources.items() if value}  # Ray leaves out what a node has none of
    return {"NodeName": name, "NodeID": name, "NodeManagerAddress": name, "Resources": shown, "Alive": alive}


class FullError(Exception):
    """The object store is full."""


class Ray:
    """What a session asks of Ray."""

    def __init__(self) -> None:
        self.inits: list[dict[str, Any]] = []
        self.error: Exception | None = None
        self.up = False
        self.stored: list[np.ndarray] = []
        self.room = 10**9
        self.there = [node("head", 0), node("a", 4), node("b", 2, gpus=2), node("gone", 64, alive=False)]
        self.exceptions = SimpleNamespace(ObjectStoreFullError=FullError, RayError=RuntimeError)

    def init(self, **how: Any) -> None:
        self.inits.append(how)
        if self.error is not None:
            raise self.error
        self.up = True

    def shutdown(self) -> None:
        self.up = False

    def is_initialized(self) -> bool:
        return self.up

    def nodes(self) -> list[dict[str, Any]]:
        return self.there

    def put(self, array: np.ndarray) -> int:
        if sum(one.nbytes for one in self.stored) + array.nbytes > self.room:
            raise FullError
        self.stored.append(array)
        return len(self.stored) - 1


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Ray]:
    made = Ray()
    monkeypatch.setattr(module, "_import_ray", lambda: made)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "c"))
    monkeypatch.setattr(module, "_LONGEST_PLACE", 500)
    yield made
    made.error = None
    disconnect()


@pytest.fixture
def listening() -> Iterator[str]:
    """An address where somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_auto_starts_a_ray_of_this_machine_and_ends_it_with_its_files(ray: Ray, tmp_path: Path) -> None:
    session = connect("auto")
    (how,) = ray.inits
    assert how["address"] == "local"
    assert how["num_cpus"] == len(os.sched_getaffinity(0))
    assert (how["include_dashboard"], how["log_to_driver"]) == (False, False)
    place = Path(how["_temp_dir"])
    assert place.parent == tmp_path / "c"
    assert place.is_dir()
    assert connect("auto") is session, "the second call has the first one's"
    assert len(ray.inits) == 1
    disconnect()
    assert not ray.up
    assert not place.exists()


def test_auto_takes_the_cluster_of_the_environment(ray: Ray, listening: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", listening)
    assert connect("auto").started is False
    assert ray.inits[0]["address"] == listening
    disconnect()
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    connect("auto")
    assert ray.inits[1]["address"] == "auto"


def test_another_address_ends_the_connection_before_it(ray: Ray, listening: str) -> None:
    first = connect("auto")
    second = connect(listening)
    assert second is not first
    assert [how["address"] for how in ray.inits] == ["local", listening]


def test_a_connection_of_the_caller_is_used_and_left_open(ray: Ray) -> None:
    ray.up = True
    with ending():
        session = connect("head:6379")
        assert (session.started, session.connected) == (False, False)
    assert ray.inits == []
    assert ray.up


def test_what_is_begun_inside_ends_there_and_what_was_open_stays(ray: Ray) -> None:
    with ending():
        connect("auto")
    assert not ray.up
    outer = connect("auto")
    with ending():
        assert connect("auto") is outer
    assert ray.up


def test_where_nobody_listens_is_said_at_once(ray: Ray) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    for address in (f"127.0.0.1:{port}", f"ray://127.0.0.1:{port}", "no-such-host.invalid:6379", "[::1]:1"):
        with pytest.raises(StudyError) as caught:
            connect(address)
        assert str(caught.value) == (
            f"no Ray cluster answers at {address}; start one there with `ray start --head`, or use `cluster=auto` for "
            "this machine alone"
        )
    assert ray.inits == []


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("could not reach"), "no Ray cluster answers at"),
        (ValueError("no address"), "no Ray cluster answers at"),
        (TimeoutError(), "no Ray cluster answers at"),
        (
            RuntimeError("Version mismatch: The cluster was started with:\n    Ray: 2.1"),
            "cannot be used: Version mismatch: The cluster was started with:$",
        ),
    ],
)
def test_what_answers_and_is_no_cluster_of_ours_is_one_sentence(
    ray: Ray, listening: str, error: Exception, words: str
) -> None:
    ray.error = error
    with pytest.raises(StudyError, match=words) as caught:
        connect(listening)
    assert "\n" not in str(caught.value)
    ray.error = None
    connect(listening)  # and the next try is a new one
    assert len(ray.inits) == 2


def test_a_local_ray_that_does_not_start_leaves_nothing(ray: Ray, tmp_path: Path) -> None:
    ray.error = RuntimeError("no room\nat all")
    with pytest.raises(StudyError, match=r"^the Ray cluster at this machine cannot be used: no room$"):
        connect("auto")
    assert list((tmp_path / "c").glob("ray-*")) == []


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    disconnect()
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(StudyError, match=r"pip install 'stepladder\[cluster\]'"):
        connect("auto")


def test_ray_tells_nobody_of_us_and_prints_nothing_into_our_output() -> None:
    program = f"""
import os, sys
from {module.__name__} import _import_ray
sys.modules["ray"] = sys.modules["ray.exceptions"] = type(sys)("ray")
_import_ray()
print({{name: os.environ[name] for name in os.environ if name.startswith("RAY_")}})
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=clean)
    assert "'RAY_USAGE_STATS_ENABLED': '0'" in done.stdout
    assert "'RAY_DEDUP_LOGS_SKIP_REGEX': '.*'" in done.stdout


def test_the_room_for_trials_is_counted_node_by_node(ray: Ray) -> None:
    session = connect("auto")
    assert [one.name for one in session.nodes()] == ["head", "a", "b"], "nodes that have gone count for nothing"
    assert session.slots_for(1, 1, "cpu") == 6
    assert session.slots_for(3, 1, "cpu") == 1  # no trial is spread over nodes
    assert session.slots_for(1, 4, "cuda") == 8
    assert session.slots_for(1, 1, "cpu", memory=4_000_000_000) == 4
    assert session.slots_for_each(0.5, 0) == 12
    assert session.slots_for_each(1, 0.5) == 2
    assert session.slots_for_each(1, 1) == 2


def test_what_is_there_is_said_once(ray: Ray, listening: str) -> None:
    said: list[str] = []
    session = connect(listening)
    session.tell(said.append)
    session.tell(said.append)
    assert said == [f"Trials run on the Ray cluster at {listening}: 2 nodes, 6 cores and 2 GPUs."]
    ray.there = [node("here", 1)]
    own = connect("auto")
    own.tell(said.append)
    assert said[1:] == ["Trials run on a Ray of this machine alone: 1 node, 1 core."]


def test_an_array_is_stored_once_in_pieces_by_its_content(ray: Ray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 10)
    session = connect("auto")
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)
    pieces = session.share(array)
    assert session.name_of(array) == hashlib.sha256(array.tobytes()).hexdigest()
    assert b"".join(ray.stored[one].tobytes() for one in pieces) == array.tobytes()
    assert [ray.stored[one].nbytes for one in pieces] == [10, 10, 4]
    assert session.share(array) == pieces
    assert session.share(array.copy()) == pieces, "the same content"
    assert len(ray.stored) == 3
    turned = array.T  # not as it lies in memory
    pieces = session.share(turned)
    assert session.name_of(turned) == hashlib.sha256(turned.tobytes()).hexdigest()
    assert b"".join(ray.stored[one].tobytes() for one in pieces) == turned.tobytes()


def test_a_store_that_is_full_is_said_with_what_to_do(ray: Ray) -> None:
    ray.room = 100
    with pytest.raises(StudyError, match=r"has no room for 0\.0 GB of images; start Ray with a larger one .*--object-"):
        connect("auto").share(np.zeros(101, dtype=np.uint8))


def test_another_stepladder_on_a_node_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "version", lambda _: "2")
    assert refuse_other_stepladder({"host": "n", "stepladder": "2"}) is None
    assert refuse_other_stepladder({"host": "n", "stepladder": "1"}) == (
        "the node n has Stepladder 1, and this machine has 2; install the same version on all of them"
    )


def test_a_place_with_names_too_long_for_sockets_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ray: Ray
) -> None:
    monkeypatch.setattr(module, "_LONGEST_PLACE", 3)
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path / "short"))
    connect("auto")
    assert Path(ray.inits[0]["_temp_dir"]).parent == tmp_path / "short"


def places(*names: str) -> list[Any]:
    return [SimpleNamespace(actor=SimpleNamespace(name=one, close=SimpleNamespace(remote=lambda: 0))) for one in names]


def with_slots(**slots: list[Any]) -> tuple[Session, list[str]]:
    """A session with slots by what they were made for, and the names of those that were ended."""
    ended: list[str] = []
    ray = SimpleNamespace(wait=lambda *_, **__: None, kill=lambda actor: ended.append(actor.name))
    return Session(ray, "auto", started=False, connected=False, slots=slots), ended


@pytest.mark.parametrize(
    "error", [OSError("AF_UNIX path length cannot exceed 107 bytes"), Exception("The current node timed out")]
)
def test_a_local_ray_that_does_not_start_is_one_sentence(ray: Ray, error: Exception) -> None:
    ray.error = error
    with pytest.raises(StudyError) as caught:
        connect("auto")
    assert str(caught.value) == f"the Ray cluster at this machine cannot be used: {error}"


class Actors:
    """What makes actors, and notes with which options and arguments."""

    def __init__(self, ray: Ray, free: float) -> None:
        self.made: list[tuple[str, float, tuple[Any, ...]]] = []
        self.asked: list[tuple[Any, ...]] = []
        ray.remote = lambda kind: SimpleNamespace(  # type: ignore[attr-defined]
            options=lambda **options: SimpleNamespace(remote=partial(self._make, kind.__name__, options["num_cpus"]))
        )
        ray.available_resources = lambda: {"CPU": free}  # type: ignore[attr-defined]

    def _make(self, kind: str, cpus: float, *arguments: Any) -> Any:
        self.made.append((kind, cpus, arguments[1:]))
        number = len(self.made)
        ask = SimpleNamespace(remote=lambda asked: self.asked.append((number, *asked)))
        return SimpleNamespace(number=number, ask=ask)


def test_slots_for_commands_share_processes_where_the_cluster_is_free(ray: Ray) -> None:
    ray.there = [node("head", 0), node("a", 20), node("b", 1)]
    actors, session = Actors(ray, free=21), Session(ray, "x", started=False, connected=False)
    slots = list(islice(session.make_slots(0.5, 38, 60.0), 40))
    # Of the 38, 16, 16 and 6 on the first node, which has room for 40; then one by one.
    hosts = [("SlotHost", 8.0), ("SlotHost", 8.0), ("SlotHost", 3.0)]
    assert [(kind, cpus) for kind, cpus, _ in actors.made] == [*hosts, ("Slot", 0.5), ("Slot", 0.5)]
    slots[17].call.remote("one", 2)
    slots[0].listen.remote(1.0)
    assert actors.asked == [(2, 1, "call", ("one", 2)), (1, 0, "listen", (1.0,))]
    assert process_of(slots[0]) is process_of(slots[15])
    assert process_of(slots[0]) is not process_of(slots[16])
    assert process_of(slots[-1]) is slots[-1]


def test_where_others_have_cores_each_slot_has_a_process_of_its_own(ray: Ray) -> None:
    actors, session = Actors(ray, free=5), Session(ray, "x", started=False, connected=False)
    list(islice(session.make_slots(1, 6, 60.0), 6))
    assert actors.made == [("Slot", 1, (None, 60.0))] * 6


def test_a_process_of_several_slots_is_ended_once() -> None:
    closed = []
    process = SimpleNamespace(close=SimpleNamespace(remote=lambda: closed.append("close")))
    ray: Any = SimpleNamespace(wait=lambda *_, **__: None, kill=closed.append)
    session = Session(ray, "x", started=False, connected=False)
    session.end_slots([SharedSlot(process, 0), SharedSlot(process, 1)])
    assert closed == ["close", process]


def test_closing_ends_the_slots_of_all_calls() -> None:
    session, ended = with_slots(x=places("a"), y=places("b", "c"))
    session.close()
    assert ended == ["a", "b", "c"]
    assert session.slots == {}


def test_slots_stay_for_the_same_work_and_make_room_for_other_work() -> None:
    session, ended = with_slots(x=places("a", "b"))
    kept = session.places_for("x")
    assert [place.actor.name for place in kept] == ["a", "b"]
    assert ended == []
    made = session.places_for("y")
    assert (made, ended) == ([], ["a", "b"])
    made += places("c")
    assert session.places_for("y") is made
    assert session.places_for("x") == []
    assert ended == ["a", "b", "c"]
