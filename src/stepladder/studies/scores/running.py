"""Carry out a study of a user's own command: each run a process of its own, whose whole tree ends with it."""

from __future__ import annotations

import math
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

from stepladder import trial as trial_module
from stepladder.errors import StudyError, some_of
from stepladder.files import replace_json
from stepladder.studies.design.rules import Rules, check_seeds
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.integrity import differences
from stepladder.studies.files.machine import now
from stepladder.studies.files.records import AddedSeeds, Reading, SavedStudy, StudyRecord, TrialResult
from stepladder.studies.files.store import (
    command_trials,
    load_study,
    read_readings,
    read_record,
    read_result,
    write_readings,
    write_record,
    write_results,
)
from stepladder.studies.running.locks import try_lock
from stepladder.studies.scores.commands import Reported, read_report, words_of
from stepladder.training.stop import Stop

#: What a run prints, in its folder.
STDOUT, STDERR = "stdout.txt", "stderr.txt"

#: Seconds that a run has to end by itself after it was asked to, before it is ended.
_GRACE_SECONDS = 10.0
#: Seconds between two looks at what runs: short for runs of a moment, longer for those of hours.
_SHORTEST, _LONGEST = 0.002, 0.05
#: Seconds between two looks at the memory of what runs.
_MEMORY_SECONDS = 0.25
#: Bytes of the end of an output that a result is looked for in.
_TAIL = 65_536


@dataclass(frozen=True)
class CommandExecution:
    """How commands are run; nothing in here changes what they are told but their device.

    Attributes:
        workers: runs at the same time; None for one a GPU, or one.
        gpus: numbers of the GPUs that runs are dealt out to, one each, as ``CUDA_VISIBLE_DEVICES``; none leaves it.
        timeout: seconds after which a run is ended, and left out; None for never.
        memory: GB that a run and all it started may have; more ends it. Where the system does not tell, nothing does.
        retry_failed: run again what had failed.
        command: what to type to go on, for the record.
        stop: asked again and again.
    """

    workers: int | None = None
    gpus: tuple[str, ...] = ()
    timeout: float | None = None
    memory: float | None = None
    retry_failed: bool = False
    command: str = ""
    stop: Stop = field(default_factory=Stop, compare=False)

    @property
    def slots(self) -> int:
        """How many runs go on at the same time."""
        return self.workers or max(1, len(self.gpus))

    def check(self) -> None:
        """Raise StudyError where a value is out of range."""
        if self.workers is not None and self.workers < 1:
            raise StudyError(f"`workers` is {self.workers}; it must be at least 1")
        for name, value in (("trial_timeout", self.timeout), ("trial_memory", self.memory)):
            if value is not None and not value > 0:
                raise StudyError(f"`{name}` is {value:g}; it must be more than 0")
        for gpu in self.gpus:
            if not re.fullmatch(r"[\w.:-]+", gpu):
                raise StudyError(f"`gpus` has {gpu!r}; write numbers, as 0,1")


class CommandCallbacks:
    """Called as runs go on; every method does nothing until it is overridden."""

    def planned(self, record: StudyRecord, trials: int, done: int) -> None:
        """The plan is written; so many runs are to do, and so many have ended before."""

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:
        """A run has ended."""

    def reading(self, trials: int) -> None:
        """All training has ended, and test is about to be read for so many runs."""


def run_commands(
    record: StudyRecord,
    out: Path,
    rules: Rules,
    execution: CommandExecution,
    callbacks: CommandCallbacks | None = None,
) -> SavedStudy:
    """Run every trial of a command that has not ended, then have test read where the command does so apart.

    Args:
        record: of :func:`~stepladder.studies.scores.commands.make_record`.
        out: the study's folder; a study of the same plan there goes on, with more seeds where these are asked for.

    Raises:
        StudyError: the folder holds another study, or another process runs this one.
        Stopped: it was asked to; what had ended is kept, and the same call goes on.
    """
    execution.check()
    check_seeds(len(record.seeds))
    watching = callbacks or CommandCallbacks()
    with try_lock(out / "trials") as mine:
        if not mine:
            raise StudyError(
                f"another process runs the study in {out}; wait for it, or choose another folder with `out`"
            )
        record = _go_on(out, record, rules)
        trials = command_trials(record)
        ended = {one.id: result for one in trials if (result := read_result(out / "trials" / one.id)) is not None}
        if execution.retry_failed:
            ended = {name: result for name, result in ended.items() if result.status == "finished"}
        todo = [one for one in trials if one.id not in ended]
        watching.planned(record, len(todo), len(trials) - len(todo))
        pool = _Pool(out, record, execution)
        with execution.stop.observing():
            for one, result in pool.run(todo, read_test=False):
                watching.ended(one, result)
            _read_test(out, record, pool, watching)
        study = load_study(out)
        write_results(study)
        return study


def _go_on(out: Path, record: StudyRecord, rules: Rules) -> StudyRecord:
    """Write the plan, or return the one that is there, with the seeds that are asked for beyond it."""
    found = read_record(out)
    if found is None:
        write_record(out, record)
        return record
    if found.scores is None:
        raise StudyError(f"{out} holds a study of images; choose another folder with `out`")
    # Its looks follow from the seeds that it was begun with, whatever is asked for now.
    here = record.model_copy(update={"looks": found.looks})
    if changed := differences(found, here):
        raise StudyError(
            f"{out} holds another study: {some_of(changed, 3)}; choose another folder with `out`, or the same plan to "
            "go on"
        )
    if len(record.seeds) > len(found.seeds):
        if rules.final:
            raise StudyError(f"`final` looks once, at {len(found.seeds)} seeds; leave it out to add seeds")
        new = tuple(seed for seed in record.seeds if seed not in found.seeds)
        added = AddedSeeds(seeds=new, time=now(), after_reading=True)
        found = found.model_copy(
            update={"seeds": record.seeds, "added": (*found.added, added), "command": record.command}
        )
        write_record(out, found)
    return found


def _read_test(out: Path, record: StudyRecord, pool: _Pool, watching: CommandCallbacks) -> None:
    """Have every finished run that has no test score read test, once all training has ended; note it before."""
    assert record.scores is not None
    if not record.scores.reads_test:
        return
    unread = []
    for one in command_trials(record):
        result = read_result(out / "trials" / one.id)
        if result is None:
            return
        if result.status == "finished" and result.test_score is None:
            unread.append(one)
    if not unread:
        return
    past = read_readings(out)
    reading = Reading(
        time=now(),
        kind="look" if past else "planned",
        look=len(past) + 1,
        plan_hash=record.plan_hash,
        trials=tuple(one.id for one in unread),
        ended=False,
    )
    if past and not past[-1].ended:  # one that was interrupted goes on
        past, reading = past[:-1], past[-1]
    before = past[-1].chain if past else ""
    reading = reading.chained(before)
    write_readings(out, (*past, reading))
    watching.reading(len(unread))
    for one, result in pool.run(unread, read_test=True):
        watching.ended(one, result)
    write_readings(out, (*past, reading.model_copy(update={"ended": True})))


@dataclass
class _Running:
    """A run that goes on."""

    trial: CommandTrial
    process: subprocess.Popen[bytes]
    slot: int
    began: float
    files: tuple[object, ...]
    ended_by: str | None = None
    killed_at: float | None = None


class _Pool:
    """Runs commands, so many at a time; all of them end with it."""

    def __init__(self, out: Path, record: StudyRecord, execution: CommandExecution) -> None:
        self._out, self._record, self._execution = out, record, execution
        self._running: list[_Running] = []
        self._next_memory = 0.0

    def run(self, trials: Sequence[CommandTrial], *, read_test: bool) -> Iterable[tuple[CommandTrial, TrialResult]]:
        """Yield each trial with its result, saved, as it ends.

        Raises:
            Stopped: it was asked for; every process was ended before.
        """
        todo, stop = deque(trials), self._execution.stop
        pause = _SHORTEST
        try:
            while todo or self._running:
                stop.raise_if_wanted()
                free = [n for n in range(self._execution.slots) if n not in {one.slot for one in self._running}]
                for slot in free:
                    if todo:
                        self._running.append(self._start(todo.popleft(), slot, read_test))
                        pause = _SHORTEST
                self._look_at_limits()
                done = [one for one in self._running if one.process.poll() is not None]
                for one in done:
                    self._running.remove(one)
                    yield one.trial, self._finish(one, read_test)
                pause = _SHORTEST if done else min(pause * 1.2, _LONGEST)
                if not done:
                    sleep(pause)
        finally:
            self._end_all()

    def _folder(self, trial: CommandTrial) -> Path:
        return self._out / "trials" / trial.id

    def _start(self, trial: CommandTrial, slot: int, read_test: bool) -> _Running:
        folder = self._folder(trial)
        inner = (folder / "out").absolute()
        if inner.exists():  # by an earlier attempt, which may go on
            end_leftovers(inner)
        inner.mkdir(parents=True, exist_ok=True)
        # A result of an earlier attempt, or of training, is none of this one.
        (inner / "result.json").unlink(missing_ok=True)
        words = words_of(trial.recipe, trial.seed, inner, read_test)
        environment = {
            **os.environ,
            trial_module.SEED: str(trial.seed),
            trial_module.OUT: str(inner),
            trial_module.READ_TEST: "1" if read_test or not self._reads_test else "0",
            trial_module.FRACTION: f"{trial.recipe.get('fraction', 1):g}",
        }
        if self._execution.gpus:
            environment["CUDA_VISIBLE_DEVICES"] = self._execution.gpus[slot % len(self._execution.gpus)]
        names = (f"test-{STDOUT}", f"test-{STDERR}") if read_test else (STDOUT, STDERR)
        files = tuple((folder / name).open("wb") for name in names)
        began = monotonic()
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=files[0],
                stderr=files[1],
                env=environment,
                start_new_session=True,  # so that the whole tree can be ended, and Ctrl-C reaches us alone
            )
        except OSError as error:
            for file in files:
                file.close()
            raise StudyError(
                f"cannot run {words[0]}: {error.strerror or error}; `run` begins with a program, as python or "
                "./train.sh"
            ) from error
        return _Running(trial, process, slot, began, files)

    @property
    def _reads_test(self) -> bool:
        return self._record.scores is not None and self._record.scores.reads_test

    def _look_at_limits(self) -> None:
        timeout, memory = self._execution.timeout, self._execution.memory
        at = monotonic()
        measured = memory is not None and at >= self._next_memory
        if measured:
            self._next_memory = at + _MEMORY_SECONDS
        for one in self._running:
            if one.killed_at is not None:
                continue
            if timeout is not None and at - one.began > timeout:
                one.ended_by = f"it took longer than the {timeout:g} s of `trial_timeout`"
            elif measured and memory is not None and (used := memory_of_group(one.process.pid)) > memory * 1e9:
                one.ended_by = f"out of memory: it used {used / 1e9:.2f} GB, and `trial_memory` allows {memory:g} GB"
            if one.ended_by:
                one.killed_at = at
                _signal(one.process.pid, signal.SIGKILL)

    def _finish(self, one: _Running, read_test: bool) -> TrialResult:
        seconds = monotonic() - one.began
        inner = (self._folder(one.trial) / "out").absolute()
        for file in one.files:
            file.close()  # type: ignore[attr-defined]
        # What it left running in the background goes on no longer: it would take the time of the next.
        _signal(one.process.pid, signal.SIGKILL)
        end_leftovers(inner)
        result = self._result(one, inner, seconds, read_test)
        replace_json(self._folder(one.trial) / "result.json", result.model_dump(mode="json"))
        return result

    def _result(self, one: _Running, inner: Path, seconds: float, read_test: bool) -> TrialResult:
        own = self._record.scores
        assert own is not None
        folder = self._folder(one.trial)
        failure, reported = one.ended_by, None
        code = one.process.returncode
        if failure is None and code != 0:
            said = _last_line(folder / (f"test-{STDERR}" if read_test else STDERR))
            ending = f"signal {-code}" if code < 0 else f"exit code {code}"
            failure = f"the command ended with {ending}{': ' + said if said else ''}"
        if failure is None:
            output = _tail(folder / (f"test-{STDOUT}" if read_test else STDOUT))
            told = read_report(inner, output, own.columns.get("Unit") == "percent", own.share)
            failure, reported = (told, None) if isinstance(told, str) else (None, told)
        before = read_result(folder) if read_test else None
        return self._as_result(one.trial, failure, reported, seconds, before)

    def _as_result(
        self,
        trial: CommandTrial,
        failure: str | None,
        reported: Reported | None,
        seconds: float,
        before: TrialResult | None,
    ) -> TrialResult:
        val = reported.val if reported else None
        test = reported.test if reported else None
        if reported and test is None and not self._reads_test:
            val, test = None, val  # the one score that there is, which is then judged
        if before is not None:
            val = before.val_score
            seconds += before.seconds
            if reported and test is None:
                failure = "it has no score: asked to read test, it reported val alone"
        if any(value is not None and not math.isfinite(value) for value in (val, test)):
            failure = "the loss was not finite: its score is no number"
        return TrialResult(
            trial=trial.id,
            seed=trial.seed,
            techniques=(),
            status="finished" if failure is None else "failed",
            epochs=0,
            val_score=val if failure is None else None,
            test_score=test if failure is None else None,
            seconds=seconds,
            images_per_second=None,
            failure=failure,
            versions=self._record.versions,
            machine=self._record.machine,
            finished=now(),
        )

    def _end_all(self) -> None:
        """End every process that goes on: asked to, and after a while without asking."""
        for one in self._running:
            _signal(one.process.pid, signal.SIGTERM)
        until = monotonic() + _GRACE_SECONDS
        while any(one.process.poll() is None for one in self._running) and monotonic() < until:
            sleep(_LONGEST)
        for one in self._running:
            _signal(one.process.pid, signal.SIGKILL)
            one.process.wait()
            end_leftovers((self._folder(one.trial) / "out").absolute())
            for file in one.files:
                file.close()  # type: ignore[attr-defined]
        self._running.clear()


def _signal(group: int, number: int) -> None:
    """Send a signal to a process and all that it started, as far as these have not left its group."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end_leftovers(out: Path) -> int:
    """End what still runs of an earlier attempt at a trial, and return how many processes these were.

    After ``kill -9`` a command goes on without us, and would write into the folder of the next attempt. Everything that
    it started has the trial's folder in its environment, which Linux shows; elsewhere nothing is found.
    """
    wanted = f"{trial_module.OUT}={out}".encode(errors="surrogateescape")
    ended = 0
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted not in path.read_bytes().split(b"\0"):
                continue
            os.kill(int(path.parent.name), signal.SIGKILL)
            ended += 1
        except OSError:  # of somebody else, or it has ended meanwhile
            continue
    return ended


def memory_of_group(group: int) -> int:
    """Return the bytes in memory of all processes of a group; 0 where the system does not tell."""
    pages = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if len(fields) > 21 and int(fields[2]) == group:
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE") if pages else 0


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in _tail(path).splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""


def describe_code(
    folder: Path, run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run
) -> dict[str, str]:
    """Return the git commit that the code is of, and whether it was changed since; nothing outside a repository."""

    def git(*words: str) -> str | None:
        try:
            done = run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "HEAD")
    if not commit:
        return {}
    changed = git("status", "--porcelain", "--untracked-files=no")
    return {"git commit": f"{commit}, changed since" if changed else commit}
