"""The connection to a Ray cluster: begun with the first trial that goes there, ended with the call that wanted it."""

from __future__ import annotations

import atexit
import hashlib
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.datasets.cache import cache_folder
from stepladder.errors import StudyError, missing_extra
from stepladder.studies.files.processor import processor_name
from stepladder.studies.running.cluster.address import AUTO
from stepladder.studies.running.cluster.slot import Slot, SlotHost

#: Bytes of one piece of an array in the object store: small against any store, large against the cost of a piece.
_PIECE = 32_000_000
#: Calls of a slot at the same time: it is listened to, and may be told to stop and to end.
_CALLS = 4
#: Slots for commands that one process has at most.
_MOST_A_PROCESS = 16
#: Bytes that the object store of this machine's own cluster may take; what does not fit is spilled to disk by Ray.
_OWN_STORE = 500_000_000
#: Seconds that the head of a cluster has to take a connection.
_REACH_SECONDS = 10.0
#: Bytes of the longest path of a Unix socket, 103 on macOS and 107 on Linux, less what we and Ray append to a folder.
_LONGEST_PLACE = 103 - len("/ray-12345678/session_2026-12-31_23-59-59_999999_1234567/sockets/plasma_store")


@dataclass(frozen=True)
class NodeFacts:
    """What Ray says of a machine of the cluster.

    Attributes:
        cores, gpus: that trials may take.
        memory_gb: likewise.
    """

    name: str
    address: str
    cores: float
    gpus: float
    memory_gb: float


@dataclass
class Moved:
    """What went over the network for the trials of a session.

    Attributes:
        to_nodes, from_nodes: bytes: trials, checkpoints and files of a user's own; checkpoints and results. Images
            go to each node once, and are not counted here.
        seconds: in which trials were handed out, from the first to the last.
    """

    to_nodes: int = 0
    from_nodes: int = 0
    seconds: float = 0.0


class SharedSlot:
    """One of several slots of a process on a node, asked as one is that has a process of its own.

    Args:
        process: the actor of a :class:`~stepladder.studies.running.cluster.slot.SlotHost`.
        number: of the slot there.
    """

    def __init__(self, process: Any, number: int) -> None:
        self.process, self._number = process, number

    def __getattr__(self, what: str) -> _Asked:
        return _Asked(self.process, self._number, what)


@dataclass(frozen=True)
class _Asked:
    """A method of one of several slots."""

    process: Any
    number: int
    what: str

    def remote(self, *arguments: Any) -> Any:
        """Return what Ray will answer."""
        return self.process.ask.remote((self.number, self.what, arguments))


def process_of(slot: Any) -> Any:
    """Return the actor that a slot lives in, by itself or with others."""
    return slot.process if isinstance(slot, SharedSlot) else slot


@dataclass
class Session:
    """A connection to a cluster.

    Attributes:
        address: as it was asked for.
        started: whether the cluster was started here, and ends with this session.
        connected: whether the connection was made here, and ends with this session.
        place: the folder of Ray's own files of a cluster that was started here.
        name: of the scratch folders on nodes.
        slots: places (see ``handing_out``) that stay from one call to the next, by what they were made for.
        moved: what it cost so far.
    """

    ray: Any
    address: str
    started: bool
    connected: bool
    place: str | None = None
    name: str = field(default_factory=lambda: secrets.token_hex(8))
    slots: dict[str, list[Any]] = field(default_factory=dict)
    moved: Moved = field(default_factory=Moved)
    _processors: set[str] | None = None
    _told: bool = False
    _pieces: dict[str, list[Any]] = field(default_factory=dict)
    _names: dict[int, tuple[np.ndarray, str]] = field(default_factory=dict)

    def nodes(self) -> list[NodeFacts]:
        """Return the machines that are there now."""
        return [
            NodeFacts(
                one["NodeName"],
                one["NodeManagerAddress"],
                one["Resources"].get("CPU", 0.0),
                one["Resources"].get("GPU", 0.0),
                one["Resources"].get("memory", 0.0) / 1e9,
            )
            for one in self.ray.nodes()
            if one["Alive"]
        ]

    def processors(self) -> set[str]:
        """Return what the processors of the nodes call themselves, asked once of each that has room for a trial."""
        if self.started:
            return {processor_name()}
        if self._processors is None:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            named = self.ray.remote(processor_name)
            asked = [
                named.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(one["NodeID"], soft=False))
                for one in self.ray.nodes()
                if one["Alive"] and (one["Resources"].get("CPU") or one["Resources"].get("GPU"))
            ]
            try:
                self._processors = set(self.ray.get([one.remote() for one in asked], timeout=60))
            except self.ray.exceptions.RayError as error:
                reason = next(line for line in reversed(str(error).splitlines()) if line.strip())
                raise StudyError(f"a node of the cluster does not answer: {reason.strip()}") from error
        return self._processors

    def slots_for(self, threads: int, streams: int, device: str, memory: int = 0) -> int:
        """Return how many trials have room on the machines that are there now.

        Args:
            threads: cores that each takes.
            streams: trials that share a GPU.
            device: ``cpu`` or ``cuda``.
            memory: bytes that each takes.
        """
        count = 0
        for node in self.nodes():
            room = node.gpus * streams if device == "cuda" else node.cores // threads
            count += int(min(room, node.memory_gb * 1e9 // memory) if memory else room)
        return count

    def slots_for_each(self, cores: float, gpus: float) -> int:
        """Return how many runs have room that take so many cores and GPUs each."""
        return sum(
            int(min(node.cores // cores, node.gpus // gpus if gpus else node.cores // cores)) for node in self.nodes()
        )

    def tell(self, say: Callable[[str], None]) -> None:
        """Say once what is there."""
        if not self._told:
            self._told = True
            say(self._describe())

    def _describe(self) -> str:
        nodes = [node for node in self.nodes() if node.cores or node.gpus]
        cores, gpus = sum(node.cores for node in nodes), sum(node.gpus for node in nodes)
        what = f"{cores:g} core{'s' * (cores != 1)}" + (f" and {gpus:g} GPU{'s' * (gpus != 1)}" if gpus else "")
        machines = f"{len(nodes)} node{'s' * (len(nodes) != 1)}"
        where = "a Ray of this machine alone" if self.started else f"the Ray cluster at {self.address}"
        return f"Trials run on {where}: {machines}, {what}.{self._dashboard()}"

    def _dashboard(self) -> str:
        url = ""
        with suppress(Exception):  # it differs between versions of Ray, and nothing depends on it
            url = self.ray._private.worker.global_worker.node.webui_url or ""
        return f" Ray's own dashboard: http://{url}" if url else ""

    def name_of(self, array: np.ndarray) -> str:
        """Return the SHA-256 of an array's bytes, hex, worked out once."""
        known = self._names.get(id(array))
        if known is None or known[0] is not array:
            name = hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).hexdigest()
            self._names[id(array)] = known = (array, name)  # the array is held, so that its id stays its own
        return known[1]

    def share(self, array: np.ndarray) -> list[Any]:
        """Put an array into the object store, once; return its pieces, bytes in order.

        Raises:
            StudyError: the object store has no room for it.
        """
        name = self.name_of(array)
        if name not in self._pieces:
            content = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            try:
                self._pieces[name] = [
                    self.ray.put(content[start : start + _PIECE]) for start in range(0, len(content), _PIECE)
                ]
            except self.ray.exceptions.ObjectStoreFullError as error:
                raise StudyError(
                    f"Ray's object store has no room for {len(content) / 1e9:,.1f} GB of images; start Ray with a "
                    "larger one (ray start --object-store-memory), or have nodes read them with `images_on_nodes`"
                ) from error
        return self._pieces[name]

    def make_slot(self, cpus: float, gpus: float, memory: int, checkpoint_seconds: float) -> Any:
        """Return a slot, which Ray places where there is room; until there is, it waits.

        Args:
            cpus, gpus, memory: that it takes: cores, a share of GPUs, bytes.
        """
        actor = self.ray.remote(Slot).options(
            num_cpus=cpus, num_gpus=gpus, memory=memory or None, max_concurrency=_CALLS, max_restarts=0
        )
        return actor.remote(self.name, None, checkpoint_seconds)

    def make_slots(self, cpus: float, count: int, checkpoint_seconds: float) -> Iterator[Any]:
        """Yield slots for commands without end, of which the first ``count`` share processes where they have room.

        Where others use the cluster each has a process of its own: many cores at a time may never be free on one node.

        Args:
            cpus: cores that each takes.
        """
        nodes = self.nodes()
        free = self.ray.available_resources().get("CPU", 0.0) >= sum(node.cores for node in nodes)
        for node in nodes if free else ():
            here = min(int(node.cores // cpus), count)
            count -= here
            for first in range(0, here, _MOST_A_PROCESS):
                size = min(here - first, _MOST_A_PROCESS)
                host = self.ray.remote(SlotHost).options(
                    num_cpus=size * cpus, max_concurrency=_CALLS * size, max_restarts=0
                )
                process = host.remote(self.name, size, checkpoint_seconds)
                yield from (SharedSlot(process, number) for number in range(size))
        while True:
            yield self.make_slot(cpus, 0, 0, checkpoint_seconds)

    def places_for(self, made_for: str) -> list[Any]:
        """Return the places that were made for one kind of work, and end all others: they hold the cores it needs."""
        others = [place.actor for kind, places in self.slots.items() if kind != made_for for place in places]
        if others:
            self.end_slots(others)
        self.slots = {made_for: self.slots.get(made_for, [])}
        return self.slots[made_for]

    def end_slots(self, slots: list[Any]) -> None:
        """End the processes of slots with all that runs in them, and their folders where their nodes are there."""
        processes = list({id(process_of(slot)): process_of(slot) for slot in slots}.values())
        closing = [process.close.remote() for process in processes]
        with suppress(Exception):  # of nodes that have gone
            self.ray.wait(closing, num_returns=len(closing), timeout=5)
        for process in processes:
            with suppress(Exception):
                self.ray.kill(process)

    def close(self) -> None:
        """End all slots, and the connection where it was made here."""
        self.end_slots([place.actor for places in self.slots.values() for place in places])
        self.slots.clear()
        self._pieces.clear()
        self._names.clear()
        if self.connected:
            self.ray.shutdown()
        if self.place is not None:
            shutil.rmtree(self.place, ignore_errors=True)


#: The one connection of this process: Ray has no second one.
_OPEN: list[Session] = []


def connect(address: str) -> Session:
    """Return the connection to a cluster: the one that is open, or a new one.

    Args:
        address: ``auto`` for the cluster of ``RAY_ADDRESS``, or, where that is not set, one of this machine alone;
            ``HOST:PORT`` of a cluster's head; ``ray://HOST:PORT`` for one that this machine is no part of.

    Raises:
        StudyError: Ray is not installed, nothing answers there, or it has another version.
    """
    if _OPEN and _OPEN[0].address == address and _OPEN[0].ray.is_initialized():
        return _OPEN[0]
    disconnect()
    ray = _import_ray()
    if ray.is_initialized():  # by whoever calls the library: theirs to end
        session = Session(ray, address, started=False, connected=False)
    else:
        where = os.environ.get("RAY_ADDRESS") if address == AUTO else address
        if where and where != AUTO:  # RAY_ADDRESS=auto lets Ray find the cluster of this machine
            _check_reachable(where)
        place = None if where else _make_place()
        session = Session(ray, address, started=not where, connected=True, place=place)
        try:
            _begin(ray, where, place)
        except StudyError:
            session.close()
            raise
    _OPEN.append(session)
    return session


def disconnect() -> None:
    """End the connection, if there is one."""
    while _OPEN:
        _OPEN.pop().close()


atexit.register(disconnect)


@contextmanager
def ending() -> Iterator[None]:
    """End a connection that begins inside; one that was open before stays, with its slots."""
    before = bool(_OPEN)
    try:
        yield
    finally:
        if not before:
            disconnect()


def refuse_other_stepladder(about: Mapping[str, Any]) -> str | None:
    """Return why a node cannot be used, by what its slot says before anything is handed to it; None where it can."""
    here = version("stepladder")
    if about["stepladder"] == here:
        return None
    return (
        f"the node {about['host']} has Stepladder {about['stepladder']}, and this machine has {here}; install the same "
        "version on all of them"
    )


def _import_ray() -> Any:
    # Ray tells its makers of every cluster that is started, unless this says no. Nothing goes out unasked.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # It prints what it thinks of lost workers to stdout, where JSON may stand; we say ourselves what was lost.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise StudyError(missing_extra("Ray", "cluster")) from error
    return ray


def _begin(ray: Any, where: str | None, place: str | None) -> None:
    quiet: Mapping[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    try:
        if place is not None:
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
            store = {"object_store_memory": _OWN_STORE, "include_dashboard": False, "_temp_dir": place}
            ray.init(address="local", num_cpus=cores, **store, **quiet)
        else:
            ray.init(address=where, **quiet)
    except (ConnectionError, ValueError, TimeoutError) as error:
        raise StudyError(_no_cluster(where)) from error
    except Exception as error:  # of a node that does not start in time Ray raises no more special one
        first = str(error).strip().partition("\n")[0]
        raise StudyError(f"the Ray cluster at {where or 'this machine'} cannot be used: {first}") from error


def _check_reachable(where: str) -> None:
    """Say at once that nobody listens at an address: Ray itself tries for more than a minute."""
    host, _, port = where.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise StudyError(_no_cluster(where)) from error


def _no_cluster(where: str | None) -> str:
    return (
        f"no Ray cluster answers at {where}; start one there with `ray start --head`, or use `cluster=auto` for this "
        "machine alone"
    )


def _make_place() -> str:
    """Return a new folder for Ray's own files: in the cache, unless sockets in it would have names too long."""
    cache = cache_folder()
    within = cache if len(str(cache)) <= _LONGEST_PLACE else Path(tempfile.gettempdir())
    within.mkdir(parents=True, exist_ok=True)
    return tempfile.mkdtemp(prefix="ray-", dir=within)
