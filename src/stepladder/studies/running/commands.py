"""Runs of a user's own command on this machine: processes whose whole trees end with them, within limits.

It imports nothing of torch, so that a node of a cluster can run commands without it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from stepladder import trial as trial_module
from stepladder.errors import StudyError
from stepladder.studies.running.process_group import ProcessGroup, kill_if

#: Seconds that a run has to end by itself after it was asked to, before it is ended.
GRACE_SECONDS = 10.0
#: Seconds between two looks at what runs: short for runs of a moment, longer for those of hours.
SHORTEST, LONGEST = 0.002, 0.05
#: Seconds between two looks at the memory of what runs.
_MEMORY_SECONDS = 0.25


@dataclass(frozen=True)
class CommandCall:
    """One run as it is to be made.

    Attributes:
        name: of its trial.
        words: the program and its arguments.
        environment: what it gets beside the environment around it.
        inner: the folder that it writes to, absolute.
        outputs: files for what it prints, and for its errors.
        keeps: whether it goes on with what ``inner`` holds: to read test.
    """

    name: str
    words: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    inner: Path = Path()
    outputs: tuple[Path, Path] = (Path(), Path())
    keeps: bool = False


@dataclass(frozen=True)
class Limits:
    """What a run may take; more ends it.

    Attributes:
        timeout: seconds; None for any.
        memory: GB of it and all that it started; None for any. Where the system does not tell, nothing ends it.
    """

    timeout: float | None = None
    memory: float | None = None


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes:
        code: the exit status; less than 0 for the number of a signal.
        ended_by: the limit that ended it, the end of a sentence; None where none did.
        seconds: that it took.
    """

    code: int
    ended_by: str | None
    seconds: float


class CommandProcess:
    """A command that runs.

    Args:
        call: what to run. What an earlier attempt left running in its folder is ended.
        more: environment beside that of the call.
        folder: where it runs; None for where this process is.

    Raises:
        StudyError: there is no such program.
    """

    def __init__(
        self, call: CommandCall, limits: Limits, more: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        inner = call.inner
        if inner.exists():  # by an earlier attempt, which may go on
            end_leftovers(inner)
        inner.mkdir(parents=True, exist_ok=True)
        # A result of an earlier attempt, or of training, is none of this one.
        (inner / "result.json").unlink(missing_ok=True)
        self._inner, self._limits = inner, limits
        self._ended_by: str | None = None
        self._ended: Ended | None = None
        self._began = monotonic()
        with call.outputs[0].open("wb") as output, call.outputs[1].open("wb") as error_output:
            try:
                # In a session of its own, so that the whole tree can be ended, and Ctrl-C reaches us alone.
                self._group = ProcessGroup(
                    call.words,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=error_output,
                    env={**os.environ, **call.environment, **(more or {})},
                    cwd=folder,
                )
            except OSError as error:
                raise StudyError(
                    f"cannot run {call.words[0]}: {error.strerror or error}; `run` begins with a program, as python or "
                    "./train.sh"
                ) from error

    def poll(self, memory: Mapping[int, int] | None = None) -> Ended | None:
        """Return how it ended; None where it goes on. What exceeds a limit is ended here.

        Args:
            memory: bytes by group of processes; None where they were not looked at now.
        """
        if self._ended is None:
            status = self._group.status()
            if status is None:
                self._look_at_limits(memory)
                return None
            seconds = monotonic() - self._began
            # What it left running in the background goes on no longer: it would take the time of the next.
            self.kill()
            self._ended = Ended(status, self._ended_by, seconds)
        return self._ended

    def wait_some(self, seconds: float) -> None:
        """Return once it has ended, or after some seconds."""
        self._group.wait_some(seconds)

    def ask_to_end(self) -> None:
        """Send SIGTERM to it and all that it started."""
        self._group.signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it and all that it started."""
        if self._ended is None:
            self._group.end()
            end_leftovers(self._inner)

    def _look_at_limits(self, memory: Mapping[int, int] | None) -> None:
        if self._ended_by is not None:
            return
        limits, used = self._limits, 0 if memory is None else memory.get(self._group.pid, 0)
        if limits.timeout is not None and monotonic() - self._began > limits.timeout:
            self._ended_by = f"it took longer than the {limits.timeout:g} s of `trial_timeout`"
        elif limits.memory is not None and used > limits.memory * 1e9:
            self._ended_by = (
                f"out of memory: it used {used / 1e9:.2f} GB, and `trial_memory` allows {limits.memory:g} GB"
            )
        if self._ended_by is not None:
            self._group.signal(signal.SIGKILL)


class CommandSlots:
    """Runs calls on this machine, so many at a time; all of them end with it.

    Args:
        slots: how many at a time.
        limits: of each.
        gpus: numbers of GPUs that slots are dealt out to, as ``CUDA_VISIBLE_DEVICES``; none leaves it.
        check: called again and again; what it raises ends all.
    """

    def __init__(self, slots: int, limits: Limits, gpus: Sequence[str], check: Callable[[], None]) -> None:
        self._slots, self._limits, self._gpus, self._check = slots, limits, gpus, check
        self._running: dict[int, tuple[CommandCall, CommandProcess]] = {}
        self._memory = MemoryLooks(limits)

    def run(self, calls: Sequence[CommandCall]) -> Iterator[tuple[CommandCall, Ended]]:
        """Yield each call as it ends; whoever stops listening ends those that go on."""
        todo, pause = deque(calls), SHORTEST
        try:
            while todo or self._running:
                self._check()
                for slot in (one for one in range(self._slots) if one not in self._running):
                    if todo:
                        call, pause = todo.popleft(), SHORTEST
                        gpu = {"CUDA_VISIBLE_DEVICES": self._gpus[slot % len(self._gpus)]} if self._gpus else {}
                        self._running[slot] = (call, CommandProcess(call, self._limits, gpu))
                memory = self._memory.look()
                polled = [(slot, process.poll(memory)) for slot, (_, process) in self._running.items()]
                done = [(slot, ended) for slot, ended in polled if ended is not None]
                for slot, ended in done:
                    yield self._running.pop(slot)[0], ended
                pause = SHORTEST if done else min(pause * 1.2, LONGEST)
                if not done:
                    sleep(pause)
        finally:
            end_politely([process for _, process in self._running.values()])
            self._running.clear()


class MemoryLooks:
    """Looks at the memory of all that runs, where there is a limit to it, and not too often."""

    def __init__(self, limits: Limits) -> None:
        self._next = 0.0 if limits.memory is not None else float("inf")

    def look(self) -> Mapping[int, int] | None:
        """Return bytes by group of processes; None where it is not yet time."""
        if monotonic() < self._next:
            return None
        self._next = monotonic() + _MEMORY_SECONDS
        return memory_by_group()


def end_politely(processes: Sequence[CommandProcess]) -> None:
    """End processes and all that they started: asked to, and after a while without asking."""
    for process in processes:
        process.ask_to_end()
    until = monotonic() + GRACE_SECONDS
    while any(process.poll() is None for process in processes) and monotonic() < until:
        sleep(LONGEST)
    for process in processes:
        process.kill()


def end_leftovers(out: Path) -> int:
    """End what still runs of an earlier attempt at a trial, or of all below a folder; return how many processes.

    After ``kill -9`` a command goes on without us, and would write into the folder of the next attempt. Everything that
    it started has the trial's folder in its environment, which Linux shows; elsewhere nothing is found.
    """
    told = f"{trial_module.OUT}={out}".encode(errors="surrogateescape")
    with suppress(FileNotFoundError), os.scandir("/proc") as found:
        return sum(kill_if(int(one.name), told) for one in found if one.name.isdecimal())
    return 0


def memory_of_group(group: int) -> int:
    """Return the bytes in memory of all processes of a group; 0 where the system does not tell."""
    return memory_by_group()[group]


def memory_by_group() -> Counter[int]:
    """Return the bytes in memory of all processes by their group; nothing where the system does not tell."""
    pages: Counter[int] = Counter()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if len(fields) > 21:
            pages[int(fields[2])] += int(fields[21])
    size = os.sysconf("SC_PAGE_SIZE") if pages else 0
    return Counter({group: count * size for group, count in pages.items()})
