"""What runs on a node: one slot, which is at one trial at a time, in a process of its own.

It imports neither torch nor what needs it: the process that trains does. It tells the owner of the study what happens
when it is asked, at most a few times a second, so that traffic is bounded however many events there are.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from threading import Condition, Thread
from time import monotonic
from typing import Any

from stepladder import trial as trial_module
from stepladder.errors import StepladderError, StudyError
from stepladder.studies.files.processor import memory_gb, processor_name
from stepladder.studies.running.cluster.scratch import Scratch, pack, unpack
from stepladder.studies.running.commands import (
    CommandCall,
    CommandProcess,
    Ended,
    Limits,
    MemoryLooks,
    end_politely,
)
from stepladder.studies.running.interpreter import python_command
from stepladder.studies.running.process_group import ProcessGroup

#: Stands for the folder of a run in the words of a command, until a slot knows where that is.
OUT_PLACE = "/__stepladder_out__"
#: What a slot says of the end of what it was at.
Report = dict[str, Any]

#: Seconds between two answers that bring events alone.
_PULSE = 0.2
#: Checkpoints in the folder of a trial; see ``files.store.CHECKPOINTS``, whose module needs torch.
_CHECKPOINTS = "checkpoint"
#: Seconds between two looks at the limits of a command that runs, and at whether it is to stop.
_LOOK = 0.1
#: Lines that a slot keeps for an owner who does not ask; the newest, which say most.
_MOST_LINES = 10_000


class Slot:
    """One place for a trial on a node.

    Args:
        session: of the owner; names the scratch folder.
        fetch: gives the bytes of what lies in the object store.
        checkpoint_seconds: how often a checkpoint goes to the owner at most.
        scratch: the folder, where other slots of this process have it too.
    """

    def __init__(
        self,
        session: str,
        fetch: Callable[[Any], Any] | None = None,
        checkpoint_seconds: float = 60,
        scratch: Scratch | None = None,
    ) -> None:
        self._scratch = scratch or Scratch(session)
        self._fetch = fetch or _from_object_store
        self._checkpoint_seconds = checkpoint_seconds
        self._order: str | None = None
        self._worker: ProcessGroup | None = None
        self._run: _Run | None = None

    def about(self) -> dict[str, Any]:
        """Return what the owner must know of the node before it hands anything over."""
        return {
            "host": _node_name(),
            "pid": os.getpid(),
            "processor": processor_name(),
            "memory_gb": memory_gb(),
            "stepladder": version("stepladder"),
            "python": platform.python_version(),
        }

    def train(
        self,
        order: Mapping[str, Any],
        texts: Mapping[str, bytes],
        line: str,
        arrays: Mapping[str, Sequence[Any]],
        files: Mapping[str, bytes],
        read: str | None = None,
    ) -> None:
        """Begin a trial, or go on with one; :meth:`listen` tells of it.

        Args:
            order: what ``worker`` is told before its first trial.
            texts: of the files of techniques, by reference.
            line: the trial, as ``shared_memory.describe_jobs`` writes it, or a question (see ``asked``); with a name.
            arrays: pieces in the object store of each array that it reads, by SHA-256.
            files: of its checkpoints.
            read: where this node reads arrays that have no pieces, see ``node_images``.

        Raises:
            StudyError: it has other images there.
            StorageError: there is no room.
        """
        for name, pieces in arrays.items():
            if pieces or read is None:
                self._scratch.keep(name, (self._fetch(piece) for piece in pieces))
        self._read([name for name, pieces in arrays.items() if not pieces], read)
        document = json.loads(line)
        folder = self._scratch.folder / "trials" / document["name"]
        unpack(files, folder)
        document["folder"] = str(folder)
        worker = self._worker_for(order, texts)
        self._run = _TrialRun(worker, folder, json.dumps(document), self._checkpoint_seconds)

    def call(
        self,
        call: CommandCall,
        limits: Limits,
        files: Mapping[str, bytes],
        sent: Mapping[str, bytes],
        started_in: str,
        wait: float,
    ) -> Report:
        """Begin a command and :meth:`listen` to it.

        Args:
            call: whose words have :data:`OUT_PLACE` for the folder.
            files: what that folder holds already.
            sent: files of the folder that it runs in; where there are none it runs in ``started_in``.

        Raises:
            StudyError: this node has no such folder or program.
        """
        folder = self._scratch.folder / "trials" / call.name
        inner = folder / "out"
        unpack(files, inner)
        unpack(sent, folder / "sent")
        here = replace(
            call,
            words=tuple(word.replace(OUT_PLACE, str(inner)) for word in call.words),
            environment={**call.environment, trial_module.OUT: str(inner)},
            inner=inner,
            outputs=(folder / call.outputs[0].name, folder / call.outputs[1].name),
        )
        folder.mkdir(parents=True, exist_ok=True)
        where = folder / "sent" if sent else Path(started_in)
        if not where.is_dir():
            raise StudyError(
                f"there is no folder {where} on this node; share it between the machines, or name the "
                "files that a run needs with `send`"
            )
        self._run = _CommandRun(here, limits, where, self._checkpoint_seconds)
        return self.listen(wait)

    def listen(self, wait: float) -> Report:
        """Return what has happened since the last time, after ``wait`` seconds at most.

        ``lines``: events; ``files``: a checkpoint, or at the end all that is left; ``ended``: how, or None.
        """
        if self._run is None:
            return {"lines": [], "files": {}, "ended": {"how": "idle"}}
        report = self._run.report(wait)
        if report["ended"] is not None:
            self._run = None
            if report["ended"]["how"] != "handed back":
                self._end_worker()
        return report

    def stop(self) -> None:
        """Have what runs end with a checkpoint; :meth:`listen` then tells of its end."""
        if self._run is not None:
            self._run.stop()

    def kill(self) -> None:
        """End what runs, at once."""
        if self._run is not None:
            self._run.kill()
        self._end_worker()

    def close(self) -> None:
        """End everything and remove the scratch folder."""
        self.kill()
        self._scratch.close()

    def _read(self, names: Sequence[str], read: str | None) -> None:
        """Have a process read images that lie on this node, unless they were read; other images are refused."""
        if read is None:
            return
        with self._scratch.lock("images"):
            if all((self._scratch.arrays / name).exists() for name in names):
                return
            module = "stepladder.studies.running.cluster.node_images"
            done = subprocess.run(
                python_command("-m", module, str(self._scratch.arrays)),
                input=read,
                capture_output=True,
                text=True,
                check=False,
            )
        if done.returncode:
            raise StudyError(next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no reason"))
        if not all((self._scratch.arrays / name).exists() for name in names):
            place = json.loads(read)["place"]
            raise StudyError(f"{place} holds other images than this study's: their fingerprints differ")

    def _worker_for(self, order: Mapping[str, Any], texts: Mapping[str, bytes]) -> ProcessGroup:
        """Return a process that trains by ``order``: the one that is there, where it was told the same."""
        told = json.dumps([order, sorted(texts)], sort_keys=True)
        if self._worker is not None and self._worker.status() is None and told == self._order:
            return self._worker
        self._end_worker()
        own: dict[str, str] = {}
        for reference, text in texts.items():
            path, _, name = reference.rpartition(":")
            place = self._scratch.folder / "techniques" / f"{len(own)}" / Path(path).name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text)
            own[reference] = f"{place}:{name}"
        here = {
            **order,
            "techniques": [own[one] for one in order["techniques"]],
            "arrays": str(self._scratch.arrays),
            "modules": self._place_modules(order["modules"]),
        }
        self._worker = ProcessGroup(
            python_command("-m", "stepladder.studies.running.worker"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._scratch.folder,
        )
        stdin = self._worker.process.stdin
        assert stdin is not None
        stdin.write(json.dumps(here).encode() + b"\n")
        stdin.flush()
        self._order = told
        return self._worker

    def _place_modules(self, modules: Mapping[str, str]) -> str | None:
        """Write what files of the user's own import into a folder that has the name of its content, and return it."""
        if not modules:
            return None
        name = hashlib.sha256(json.dumps(modules, sort_keys=True).encode()).hexdigest()[:16]
        folder = self._scratch.folder / "modules" / name
        unpack({place: text.encode() for place, text in modules.items()}, folder)
        return str(folder)

    def _end_worker(self) -> None:
        if self._worker is None:
            return
        self._worker.end()
        for pipe in (self._worker.process.stdin, self._worker.process.stdout):
            with suppress(OSError):
                assert pipe is not None
                pipe.close()
        self._worker = None


class SlotHost:
    """Several slots of a node in one process, for commands: to watch one takes little.

    A process of Ray's takes 130 MB, and one percent of a core while it waits.

    Args:
        session: see :class:`Slot`.
        count: of slots.
        checkpoint_seconds: see :class:`Slot`.
    """

    def __init__(self, session: str, count: int, checkpoint_seconds: float = 60) -> None:
        self._scratch = Scratch(session)
        self._slots = [Slot(session, None, checkpoint_seconds, self._scratch) for _ in range(count)]

    def ask(self, asked: tuple[int, str, tuple[Any, ...]]) -> Any:
        """Return what a method of one of the slots returns.

        Args:
            asked: number of the slot, name of the method, and its arguments: one value, since Ray packs each by itself.
        """
        number, what, arguments = asked
        return getattr(self._slots[number], what)(*arguments)

    def close(self) -> None:
        """End everything and remove the scratch folder."""
        for slot in self._slots:
            slot.kill()
        self._scratch.close()


@dataclass
class _Kept:
    """What is to be told, and who waits for it."""

    lines: list[str]
    ended: dict[str, Any] | None = None
    files: Mapping[str, bytes] | None = None


class _Run:
    """Something that runs, and is told of in pieces."""

    def __init__(self, checkpoint_seconds: float) -> None:
        self._kept, self._changed = _Kept([]), Condition()
        self._told_at = 0.0
        self._checkpoint_seconds, self._checkpoint_at = checkpoint_seconds, monotonic()
        self._sent: object = None

    def report(self, wait: float) -> Report:
        """Return what is new, after ``wait`` seconds at most, and events no more often than :data:`_PULSE`."""
        until = monotonic() + wait
        with self._changed:
            while self._kept.ended is None and monotonic() < until:
                soonest = self._told_at + _PULSE
                if self._kept.lines and monotonic() >= soonest:
                    break
                self._changed.wait(min(until, soonest if self._kept.lines else until) - monotonic())
            kept, self._kept = self._kept, _Kept([])
            self._told_at = monotonic()
        files: Mapping[str, bytes] = kept.files or {}
        if kept.ended is None and monotonic() - self._checkpoint_at >= self._checkpoint_seconds:
            files = self._newest_checkpoint()
            if files:
                self._checkpoint_at = monotonic()
        return {"lines": kept.lines, "files": files, "ended": kept.ended}

    def stop(self) -> None:
        raise NotImplementedError

    def kill(self) -> None:
        raise NotImplementedError

    def _newest_checkpoint(self) -> dict[str, bytes]:
        raise NotImplementedError

    def _tell(self, line: str) -> None:
        with self._changed:
            self._kept.lines.append(line)
            del self._kept.lines[:-_MOST_LINES]
            self._changed.notify_all()

    def _end(self, how: str, files: Callable[[], Mapping[str, bytes]], **more: Any) -> None:
        try:
            found = files()
        except (OSError, StepladderError) as error:
            found, how, more = {}, "failed", {**more, "sentence": str(error)}
        with self._changed:
            self._kept.files, self._kept.ended = found, {"how": how, **more}
            self._changed.notify_all()


class _TrialRun(_Run):
    """A trial that a worker is at."""

    def __init__(self, worker: ProcessGroup, folder: Path, line: str, checkpoint_seconds: float) -> None:
        super().__init__(checkpoint_seconds)
        self._worker, self._folder = worker, folder
        stdin = worker.process.stdin
        assert stdin is not None
        with suppress(BrokenPipeError):  # it has ended, which is noticed below
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        Thread(target=self._pump, daemon=True).start()

    def stop(self) -> None:
        self._worker.signal(signal.SIGTERM, first_alone=True)

    def kill(self) -> None:
        self._worker.signal(signal.SIGKILL)

    def _pump(self) -> None:
        """Read what the worker says until it has handed the trial back, or ends."""
        stdout = self._worker.process.stdout
        assert stdout is not None
        with suppress(OSError, ValueError):  # it was closed
            for raw in stdout:
                said = json.loads(raw)
                self._tell(raw.decode())
                if said["event"] == "handed back":
                    self._end("handed back", self._all_files, peak_memory=said["peak_memory"])
                    return
        status = self._worker.wait()
        self._end("died", self._newest_checkpoint, status=status)

    def _all_files(self) -> Mapping[str, bytes]:
        files = pack(self._folder, (".lock", _CHECKPOINTS))
        _remove(self._folder)
        return files

    def _newest_checkpoint(self) -> dict[str, bytes]:
        """Return the files of the newest checkpoint, unless they have been told of."""
        place = self._folder / _CHECKPOINTS
        for newest in sorted((path for path in _children(place) if path.name.isdecimal()), reverse=True):
            if newest.name == self._sent:
                return {}
            files = {f"{_CHECKPOINTS}/{newest.name}/{name}": content for name, content in pack(newest).items()}
            if files and newest.is_dir():  # whole, and not being removed meanwhile
                self._sent = newest.name
                return files
        return {}


class _CommandRun(_Run):
    """A command that runs."""

    def __init__(self, call: CommandCall, limits: Limits, folder: Path | None, checkpoint_seconds: float) -> None:
        super().__init__(checkpoint_seconds)
        self._call, self._stopped = call, False
        self._process = CommandProcess(call, limits, folder=folder)
        self._looks = MemoryLooks(limits)
        Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        self._stopped = True

    def kill(self) -> None:
        self._process.kill()

    def _watch(self) -> None:
        while (ended := self._process.poll(self._looks.look())) is None:
            if self._stopped:
                end_politely([self._process])
                self._end("died", self._newest_checkpoint, status=-signal.SIGTERM)
                return
            self._process.wait_some(_LOOK)
        self._end("handed back", self._all_files, command=vars(ended))

    def _all_files(self) -> Mapping[str, bytes]:
        folder = self._call.inner.parent
        files = pack(folder, (".lock", "sent"))
        _remove(folder)
        return files

    def _newest_checkpoint(self) -> dict[str, bytes]:
        """Return what the command keeps to go on from, unless nothing of it has changed since it was told of."""
        place = self._call.inner / "checkpoint"
        paths = [place] if place.is_file() else sorted(path for path in place.rglob("*") if path.is_file())
        state = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
        if not paths or state == self._sent:
            return {}
        self._sent = state
        return {f"out/{path.relative_to(self._call.inner).as_posix()}": path.read_bytes() for path in paths}


def as_ended(said: Mapping[str, Any]) -> Ended:
    """Return how a command ended on a node."""
    return Ended(**said)


def _from_object_store(reference: Any) -> Any:
    import ray

    return memoryview(ray.get(reference))


def _node_name() -> str:
    """Return what this node is called: of its host, and of Ray, since a host may have several."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():  # asked where it is, Ray would start a cluster of this machine
        return socket.gethostname()
    return f"{socket.gethostname()}/{ray.get_runtime_context().get_node_id()[:6]}"


def _children(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from folder.iterdir()


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
