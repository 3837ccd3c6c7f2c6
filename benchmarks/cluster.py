"""Does a study on a Ray cluster end with the same bits whatever is lost, and what does it cost beside one machine?

The nodes are several Ray nodes of this machine (``ray.cluster_utils.Cluster``), so that one computer is enough. First
the same study runs on this machine with as many workers as there are nodes, which everything is compared with.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic, sleep
from typing import Annotated, Any

from cyclopts import Parameter

from benchmarks.soak import compare
from stepladder.api import verbs
from stepladder.api.commands import study_command
from stepladder.bench.processes import stepladder
from stepladder.cli.bench import finish, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.errors import DataError, StudyError
from stepladder.studies.design.recipes import RecipeOptions
from stepladder.studies.files.bits import bits
from stepladder.studies.running import worker
from stepladder.studies.running.cluster.commands import OnCluster
from stepladder.studies.running.cluster.scratch import SCRATCH
from stepladder.studies.running.cluster.session import Moved, connect, disconnect
from stepladder.studies.running.cluster.slot import Slot
from stepladder.studies.running.execution import Execution
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.scores.running import CommandExecution
from stepladder.training.device import choose_compute

#: What is killed: a process that trains, a slot of Ray's, a whole node, the owner of the study.
VICTIMS = ("worker", "slot", "node", "owner")
#: What a trial may take beyond its training, seconds; and two nodes of one core beside two workers.
MOST_BEYOND, MOST_SLOWER = 0.3, 1.05
#: What 1,000 short runs over many slots must reach of what this machine does without a cluster.
LEAST_SHARE = 0.8
_TICK = 0.2
#: The bridge between nodes that have addresses of their own, and the first three bytes of these.
_BRIDGE, _NET = "slcl", "10.77.91"
_STORE = 120_000_000


@dataclass
class Loss:
    """One study that was killed at random moments."""

    kills: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    retries: int = 0
    nodes: int = 0
    differing: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Cost:
    """What a cluster costs beside one machine.

    Attributes:
        workers, nodes: seconds of whole studies on two workers, and on two nodes of one core, in pairs.
        beyond: seconds of a trial beyond its training, the mean over a study on nodes whose slots are there: slots
            times the time in which trials ran, less what they trained, a trial.
        start: seconds that the same study takes longer with slots that begin with it, on all of them.
        to_nodes, from_nodes: bytes that a trial moves, the mean.
    """

    workers: list[float]
    nodes: list[float]
    beyond: float
    start: float
    trials: int
    to_nodes: float
    from_nodes: float


@dataclass(frozen=True)
class Many:
    """Short runs over many slots.

    Attributes:
        alone, cluster: seconds of all runs without and with a cluster, as many at a time.
    """

    runs: int
    slots: int
    alone: float
    cluster: float


@contextmanager
def nodes_of(*cores: int, store: int = _STORE) -> Iterator[Any]:
    """Start a cluster of this machine: a head without cores for trials, and a node for each number of cores."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    # Ray notes the address of its last cluster in its usual folder as well, and fails where no cluster has made that.
    Path(os.environ.get("RAY_TMPDIR", os.environ.get("TMPDIR", "/tmp")), "ray").mkdir(parents=True, exist_ok=True)
    place = tempfile.mkdtemp(prefix="ray-")  # Ray itself leaves its files, and names of sockets must be short
    head = {"num_cpus": 0, "object_store_memory": store, "include_dashboard": False, "temp_dir": place}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        for count in cores:
            made.add_node(num_cpus=count, object_store_memory=store)
        yield made
    finally:
        disconnect()  # Ray refuses to end a node that this process is connected to
        made.shutdown()  # type: ignore[no-untyped-call]
        shutil.rmtree(place, ignore_errors=True)


def lose(reference: Path, root: Path, words: list[str], victims: tuple[str, ...], gap: float, seed: int) -> Loss:
    """Run a study on two nodes while processes of it are killed at random moments, until it has ended.

    Args:
        reference: the same study undisturbed, with whose files its own are compared.
        words: of the study, without its folder.
        gap: mean seconds between two kills.
    """
    chance, loss = random.Random(seed), Loss()
    out = root / f"lost-{'-'.join(victims)}-{seed}"
    with nodes_of(1, 1) as made, (root / f"{out.name}.log").open("ab") as log:
        nodes = list(made.worker_nodes)
        began, kill_at = monotonic(), monotonic() + chance.expovariate(1 / gap)
        while True:
            owner = subprocess.Popen(
                stepladder(*words, "--out", str(out), "--cluster", made.address),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            while owner.poll() is None:
                sleep(_TICK)
                if monotonic() < kill_at:
                    continue
                kill_at = monotonic() + chance.expovariate(1 / gap)
                victim = chance.choice(victims)
                if victim == "owner":
                    owner.kill()
                elif victim == "node":
                    lost = nodes.pop(chance.randrange(len(nodes)))
                    made.remove_node(lost, allow_graceful=False)
                    nodes.append(made.add_node(num_cpus=1, object_store_memory=_STORE))
                elif not _kill_one(chance, worker.__name__ if victim == "worker" else f"ray::{Slot.__name__}"):
                    continue
                loss.kills[victim] += 1
            if owner.returncode != -signal.SIGKILL:
                break
        loss.seconds = monotonic() - began
        if owner.returncode:
            raise StudyError(f"{out} ended with exit status {owner.returncode}; see {log.name}")
    return _judged(loss, out, reference)


@contextmanager
def nodes_with_addresses(count: int) -> Iterator[tuple[str, Callable[[int, bool], None]]]:
    """Start a cluster whose nodes have network namespaces and addresses of their own, behind a bridge.

    Yields the address of its head, and what cuts the connection of a node, by number, or gives it back.

    Raises:
        DataError: this user may make no namespaces, or the system has none.
    """
    ray = str(Path(sys.executable).with_name("ray"))
    # Ray's own tokens are for clusters that others can reach; nobody else is on this bridge.
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "disabled"}
    try:
        _ip("link", "add", _BRIDGE, "type", "bridge")
    except (OSError, subprocess.CalledProcessError) as error:
        raise DataError("a cut connection needs Linux, iproute2 and the rights of root; leave `cut` out") from error
    names, started = [f"{_BRIDGE}{number}" for number in range(count)], list[subprocess.Popen[bytes]]()
    place = tempfile.mkdtemp(prefix="ray-")

    def start(*words: str, within: tuple[str, ...] = ()) -> None:
        command = [*within, ray, "start", "--block", f"--object-store-memory={_STORE}", *words]
        started.append(
            subprocess.Popen(
                command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        )

    try:
        _ip("addr", "add", f"{_NET}.1/24", "dev", _BRIDGE)
        _ip("link", "set", _BRIDGE, "up")
        head = ["--head", f"--node-ip-address={_NET}.1", "--port=6399", "--num-cpus=0", f"--temp-dir={place}"]
        start(*head, "--include-dashboard=false", "--disable-usage-stats")
        for number, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", f"{name}h", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"{name}h", "master", _BRIDGE, "up")
            _ip("-n", name, "addr", "add", f"{_NET}.{number + 2}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        address = f"{_NET}.1:6399"
        _wait_until_reached(address)
        for number, name in enumerate(names):
            joined = [f"--address={address}", f"--node-ip-address={_NET}.{number + 2}", "--num-cpus=1"]
            start(*joined, within=("ip", "netns", "exec", name))
        yield address, lambda number, down: _ip("link", "set", f"{names[number]}h", "down" if down else "up")
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        # What these had started is in sessions of its own; each knows the folder of this cluster.
        subprocess.run(["pkill", "-KILL", "-f", place], check=False, capture_output=True)
        shutil.rmtree(place, ignore_errors=True)
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "delete", _BRIDGE], check=False, capture_output=True)


def _wait_until_reached(address: str) -> None:
    host, _, port = address.partition(":")
    for _ in range(600):
        with suppress(OSError):
            socket.create_connection((host, int(port)), timeout=1).close()
            return
        sleep(_TICK)
    raise StudyError(f"Ray's head at {address} did not start within two minutes")


def cut(reference: Path, root: Path, words: list[str], seconds: float) -> Loss:
    """Run a study on two nodes with addresses of their own, one of which is out of reach for some time."""
    loss, out = Loss(), root / "cut"
    with nodes_with_addresses(2) as (address, connection), (root / "cut.log").open("ab") as log:
        began = monotonic()
        owner = subprocess.Popen(
            stepladder(*words, "--out", str(out), "--cluster", address),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "RAY_AUTH_MODE": "disabled"},
        )
        while owner.poll() is None and not any(out.glob("trials/*/result.json")):
            sleep(_TICK)
        connection(0, True)
        loss.kills["connection"] += 1
        until = monotonic() + seconds
        while owner.poll() is None and monotonic() < until:
            sleep(_TICK)
        connection(0, False)
        if owner.wait():
            raise StudyError(f"{out} ended with exit status {owner.returncode}; see {log.name}")
        loss.seconds = monotonic() - began
    return _judged(loss, out, reference)


def _judged(loss: Loss, out: Path, reference: Path) -> Loss:
    results = [json.loads(path.read_text()) for path in out.glob("trials/*/result.json")]
    loss.retries = sum(result["retries"] for result in results)
    loss.nodes = len({result["node"] for result in results})
    loss.differing = compare(bits(out), bits(reference))
    return loss


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


def _kill_one(chance: random.Random, name: str) -> bool:
    """Kill one process whose command line has a name; return whether there was any.

    Those that train on this machine without a cluster have such names as well: these do not work in a scratch folder.
    """
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            at_work = SCRATCH in str((folder / "cwd").readlink()) or command.startswith("ray::")
            if name in command and at_work:
                found.append(int(folder.name))
    if not found:
        return False
    with suppress(ProcessLookupError):
        os.kill(chance.choice(found), signal.SIGKILL)
    return True


def measure_cost(root: Path, words: list[str], study: Callable[..., Any], rounds: int) -> Cost:
    """Run a study in pairs, on two workers of this machine and on two nodes of one core each.

    Args:
        words: of the study's command, without its folder.
        study: the same as a call, which takes ``out`` and ``execution``: bytes are counted in this process.
    """
    workers: list[float] = []
    nodes: list[float] = []
    with nodes_of(1, 1) as made:
        for turn in range(rounds):
            for where in ("workers", "nodes") if turn % 2 == 0 else ("nodes", "workers"):
                how = ["--workers", "2"] if where == "workers" else ["--cluster", made.address]
                began = monotonic()
                out = root / f"cost-{where}-{turn}"
                subprocess.run(stepladder(*words, "--out", str(out), *how), check=True, capture_output=True)
                (workers if where == "workers" else nodes).append(monotonic() - began)
        session = connect(made.address)
        study(out=root / "begun", execution=Execution(cluster=made.address))
        begun, session.moved = session.moved, Moved()
        done = study(out=root / "counted", execution=Execution(cluster=made.address))
        moved, trials = session.moved, len(done.trials)
    training = sum(trial.result.seconds for trial in done.trials)
    return Cost(
        workers,
        nodes,
        (2 * moved.seconds - training) / trials,
        begun.seconds - moved.seconds,
        trials,
        moved.to_nodes / trials,
        moved.from_nodes / trials,
    )


def measure_many(root: Path, runs: int, slots: int, seconds: float) -> Many:
    """Run a command that takes no time of a processor, on so many slots of one node and as many processes here."""
    script = root / "wait.sh"
    script.write_text(f'#!/bin/sh\nsleep {seconds}\necho \'{{"val": 0.5, "test": 0.5}}\'\n')
    script.chmod(0o755)
    plan = CommandPlan(f"{script} {{seed}} {{options}}", ("base:", "other: --other"))

    def measure(name: str, how: CommandExecution) -> float:
        # All slots are there from then on.
        study_command(plan, seeds=slots // 2, out=root / f"{name}-warm", execution=how)
        began = monotonic()
        study_command(plan, seeds=runs // 2, out=root / name, execution=how)
        return monotonic() - began

    alone = measure("alone", CommandExecution(workers=slots))
    with nodes_of(slots) as made:
        connect(made.address)
        on = OnCluster(made.address)
        return Many(runs, slots, alone, measure("cluster", CommandExecution(workers=slots, on=on)))


@dataclass(frozen=True)
class Measured:
    """What ``python -m benchmarks cluster`` found."""

    losses: dict[str, Loss]
    cost: Cost | None
    many: Many | None

    def faults(self) -> list[str]:
        """Return what is not as it should be, a sentence each."""
        found = [f"{name}: {len(loss.differing)} files differ" for name, loss in self.losses.items() if loss.differing]
        if self.cost is not None:
            if self.cost.beyond > MOST_BEYOND:
                found.append(f"a trial takes {self.cost.beyond:.2f} s beyond its training")
            if (ratio := median(self.cost.nodes) / median(self.cost.workers)) > MOST_SLOWER:
                found.append(f"two nodes take {ratio:.2f} times as long as two workers")
        if self.many is not None and self.many.alone / self.many.cluster < LEAST_SHARE:
            found.append(f"short runs reach {100 * self.many.alone / self.many.cluster:.0f} % of this machine alone")
        return found


def cluster(
    data: str = "digits",
    *,
    of: Annotated[tuple[str, ...], Parameter(help="What to measure: loss, cut (as root), cost, many.")] = (
        "loss",
        "cost",
        "many",
    ),
    victims: Annotated[tuple[str, ...], Parameter(help="What is killed, each in a study of its own.")] = VICTIMS,
    epochs: int = 6,
    seeds: int = 3,
    gap: Annotated[float, Parameter(help="Mean seconds between two kills.")] = 8.0,
    away: Annotated[float, Parameter(help="Seconds that a node is out of reach.")] = 60.0,
    seed: Annotated[int, Parameter(help="Of the moments of the kills.")] = 0,
    rounds: Annotated[int, Parameter(help="Pairs of whole studies, on workers and on nodes.")] = 3,
    runs: int = 1000,
    slots: int = 64,
    as_json: AsJson = False,
) -> int:
    """Lose processes and nodes of a study on a Ray cluster, and measure what a cluster costs beside one machine."""
    console = make_console(as_json)
    for name in of:
        if name not in ("loss", "cut", "cost", "many"):
            raise DataError(f"`of` has {name}; it can be loss, cut, cost and many")
    root = Path(tempfile.mkdtemp(prefix="stepladder-cluster-"))
    words = ["study", data, "--recipe", "first", "--epochs", str(epochs), "--seeds", str(seeds)]
    study = partial(
        verbs.study, data, RecipeOptions("first", settings={"epochs": str(epochs)}), seeds=seeds, progress=False
    )
    losses: dict[str, Loss] = {}
    reference = root / "undisturbed"
    if "loss" in of or "cut" in of:
        subprocess.run(stepladder(*words, "--out", str(reference)), check=True, capture_output=True)
    if "cut" in of:
        console.print(f"A study one of whose two nodes is out of reach for {away:g} s …")
        losses["connection"] = loss = cut(reference, root, words, away)
        console.print(
            f"  {loss.nodes} nodes trained, {loss.retries} trials begun again, {loss.seconds:.0f} s: "
            f"{len(loss.differing)} files differ."
        )
    if "loss" in of:
        for victim in victims:
            console.print(f"A study whose {victim} is killed at random moments, {gap:g} s apart on average …")
            losses[victim] = lose(reference, root, words, (victim,), gap, seed)
            loss = losses[victim]
            console.print(
                f"  {loss.kills.total()} killed, {loss.retries} trials begun again, {loss.seconds:.0f} s: "
                f"{len(loss.differing)} files differ."
            )
    cost = measure_cost(root, words, study, rounds) if "cost" in of else None
    many = measure_many(root, runs, slots, 0.05) if "many" in of else None
    measured = Measured(losses, cost, many)
    if cost is not None:
        table = table_of(
            "Two nodes of one core", "two workers", "ratio", "beyond training", "start", "to a node", "back"
        )
        ratio = median(cost.nodes) / median(cost.workers)
        table.add_row(
            f"{median(cost.nodes):.1f} s",
            f"{median(cost.workers):.1f} s",
            f"{ratio:.2f}",
            f"{cost.beyond:.2f} s a trial",
            f"{cost.start:.1f} s",
            f"{cost.to_nodes / 1e3:,.0f} kB a trial",
            f"{cost.from_nodes / 1e3:,.0f} kB a trial",
        )
        console.print(table)
    if many is not None:
        share = many.alone / many.cluster
        console.print(
            f"{many.runs:,} runs of 50 ms over {many.slots} slots: {many.cluster:.1f} s, and {many.alone:.1f} s "
            f"without a cluster: {100 * share:.0f} %."
        )
    faults = measured.faults()
    if not faults:
        shutil.rmtree(root)
    said = "\n".join(f"Not as it should be: {fault}." for fault in faults)
    document = asdict(measured) | {"faults": faults} if as_json else None
    finish(console, said, choose_compute(precision="float32"), document)
    return 1 if faults else 0
