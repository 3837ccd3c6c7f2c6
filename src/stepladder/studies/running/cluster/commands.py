"""Runs of a user's own command on the nodes of a cluster; what each leaves comes back to its trial's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError
from stepladder.files import replace_bytes
from stepladder.studies.running.cluster.handing_out import HandingOut, Place, Task
from stepladder.studies.running.cluster.scratch import MOST_BYTES, pack, within
from stepladder.studies.running.cluster.session import connect, refuse_other_stepladder
from stepladder.studies.running.cluster.slot import OUT_PLACE, as_ended
from stepladder.studies.running.commands import CommandCall, Ended, Limits
from stepladder.training.stop import Stop

#: A run whose node is lost so often has failed: it may be what takes the nodes down.
_LOSSES = 10
#: Seconds between two checkpoints that a run sends, at least.
_CHECKPOINT_SECONDS = 60.0
#: Seconds that a slot keeps what it has to say, where a run ends at once.
_WAIT = 2.0


@dataclass(frozen=True)
class OnCluster:
    """How runs go to a cluster.

    Attributes:
        address: see :func:`~stepladder.studies.running.cluster.session.connect`.
        cores, gpus: that each run takes; a share of a GPU is taken by as many runs.
        send: files and folders below the folder that the study was started in, which go to each node: runs then have
            these alone around them. Without any they run in a folder of that name on the node, or its home.
    """

    address: str
    cores: float = 1.0
    gpus: float = 0.0
    send: tuple[Path, ...] = ()

    def check(self) -> None:
        """Raise StudyError where a value is out of range, or what is to be sent is not there."""
        if not self.cores > 0:
            raise StudyError(f"`cores` is {self.cores:g}; a run takes more than 0")
        if not self.gpus >= 0:
            raise StudyError(f"`gpus_each` is {self.gpus:g}; it must be 0 or more")
        for path in self.send:
            if path.is_absolute() or ".." in path.parts:
                raise StudyError(f"`send` has {path}; give what lies below the folder that the study is started in")
            if not path.exists():
                raise StudyError(f"`send` has {path}, which is not there")


@dataclass
class ClusterSlots:
    """Runs calls on a cluster, as ``commands.CommandSlots`` does on this machine.

    Args:
        how: where, and what each takes.
        slots: how many at a time; None for as many as there is room for.
        limits: of each, kept on its node.
        tell: is told what a user should know, in sentences.
    """

    how: OnCluster
    slots: int | None
    limits: Limits
    stop: Stop
    tell: Callable[[str], None]
    #: By trial: on which node it ran, and how often it was begun again.
    ran: dict[str, tuple[str, int]] = field(default_factory=dict)

    def run(self, calls: Sequence[CommandCall]) -> Iterator[tuple[CommandCall, Ended]]:
        """Yield each call as it ends, its files in its folder.

        Raises:
            StudyError: no cluster answers, or a node cannot be used.
            Stopped: that was asked for; what runs kept to go on from is in their folders.
        """
        if not calls:
            return
        session = connect(self.how.address)
        session.tell(self.tell)
        sent = self._sent()
        named = {call.name: call for call in calls}
        want = self.slots or max(1, session.slots_for_each(self.how.cores, self.how.gpus))
        # Ray tells a process which GPUs are its own, so that those who take any share none.
        shared = session.make_slots(self.how.cores, min(want, len(calls)), _CHECKPOINT_SECONDS)
        alone = partial(session.make_slot, self.how.cores, self.how.gpus, 0, _CHECKPOINT_SECONDS)
        out = HandingOut(
            session,
            want,
            alone if self.how.gpus else partial(next, shared),
            self.stop,
            self.tell,
            refuse_other_stepladder,
            places=session.places_for(f"commands, {self.how.cores:g} cores, {self.how.gpus:g} GPUs"),
        )
        tasks = [Task(call.name, partial(self._begin, call, sent)) for call in calls]
        for said in out.run(tasks):
            call = named[said.task.name]
            folder = call.inner.parent
            for name, content in said.files.items():
                # Here a command writes them itself, and syncs nothing.
                replace_bytes(within(folder, name), content, within=folder, durable=False)
            if said.ended is None:
                continue
            self.ran[call.name] = (said.place.node, said.task.retries)
            match said.ended["how"]:
                case "handed back":
                    yield call, as_ended(said.ended["command"])
                case "failed":
                    yield call, Ended(1, f"its files did not come back: {said.ended['sentence']}", 0.0)
                case _ if self.stop.wanted():
                    pass
                case _ if said.task.retries + 1 >= _LOSSES:
                    yield call, Ended(-9, f"the process that ran it ended {_LOSSES} times, with its node", 0.0)
                case _:
                    self.tell(f"{said.place.node} was lost with a run, which begins again on another slot.")
                    out.again(said.task)

    def _begin(self, call: CommandCall, sent: Mapping[str, bytes], place: Place) -> Any:
        """Hand a call over: with what it goes on from, or, to read test, with all that training left."""
        there = replace(call, words=tuple(word.replace(str(call.inner), OUT_PLACE) for word in call.words))
        files = pack(call.inner) if call.keeps else _checkpoint(call.inner)
        connect(self.how.address).moved.to_nodes += sum(map(len, files.values())) + sum(map(len, sent.values()))
        return place.actor.call.remote(there, self.limits, files, sent, str(Path.cwd()), _WAIT)

    def _sent(self) -> dict[str, bytes]:
        files: dict[str, bytes] = {}
        for path in self.how.send:
            files |= (
                {(path / name).as_posix(): content for name, content in pack(path).items()}
                if path.is_dir()
                else {path.as_posix(): path.read_bytes()}
            )
        if sum(map(len, files.values())) > MOST_BYTES:
            raise StudyError(f"`send` has more than {MOST_BYTES / 1e9:g} GB; send the code alone, and share the data")
        return files


def _checkpoint(inner: Path) -> dict[str, bytes]:
    """Return the files that a command keeps to go on from."""
    place = inner / "checkpoint"
    if place.is_file():
        return {"checkpoint": place.read_bytes()}
    return {f"checkpoint/{name}": content for name, content in pack(place).items()}
