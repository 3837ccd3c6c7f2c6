"""Carry out a study of a user's own command: each run a process of its own, whose whole tree ends with it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stepladder import trial as trial_module
from stepladder.errors import StudyError, some_of
from stepladder.studies.design.rules import Rules, check_seeds
from stepladder.studies.design.trials import CommandTrial
from stepladder.studies.files.checksums import forget_files, save_result
from stepladder.studies.files.integrity import differences, hash_plan, is_other_grid
from stepladder.studies.files.machine import now
from stepladder.studies.files.records import AddedSeeds, Reading, SavedStudy, StudyRecord, TrialResult
from stepladder.studies.files.run_history import RunEpoch, write_run_history
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
from stepladder.studies.running.cluster.address import check_address
from stepladder.studies.running.cluster.commands import ClusterSlots, OnCluster
from stepladder.studies.running.commands import CommandCall, CommandSlots, Ended, Limits
from stepladder.studies.running.locks import try_lock
from stepladder.studies.scores.commands import Reported, read_report, words_of
from stepladder.studies.scores.histories import read_history
from stepladder.studies.study import lacks_time, next_look, note_owned_files
from stepladder.training.stop import Stop

#: What a run prints, in its folder.
STDOUT, STDERR = "stdout.txt", "stderr.txt"

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
        on: a cluster that runs go to; None for this machine.
        command: what to type to go on, for the record.
        stop: asked again and again.
    """

    workers: int | None = None
    gpus: tuple[str, ...] = ()
    timeout: float | None = None
    memory: float | None = None
    retry_failed: bool = False
    on: OnCluster | None = None
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
        if self.on is not None:
            check_address(self.on.address)
            self.on.check()
            if self.gpus:
                raise StudyError("`gpus` deals out those of this machine; on a cluster say `gpus_each=1`")


@dataclass(frozen=True)
class CommandSchedule:
    """What is about to run.

    Attributes:
        trials: those to run, in order.
        done: how many have ended before.
        workers: how many run at the same time.
    """

    record: StudyRecord
    trials: tuple[CommandTrial, ...]
    done: int
    workers: int


class CommandCallbacks:
    """Called as runs go on; every method does nothing until it is overridden."""

    def message(self, sentence: str) -> None:
        """Something happened that whoever is watching should know."""

    def planned(self, schedule: CommandSchedule) -> None:
        """The plan is written, or goes on to its next look, and the first of these runs is about to start."""

    def point_started(self, number: int, total: int, name: str) -> None:
        """A search begins its next point, which may have been run before."""

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:
        """A run has ended, and its result is saved."""

    def reading(self, trials: int) -> None:
        """All training has ended, and test is about to be read for so many runs."""


class CommandCallbackList(CommandCallbacks):
    """Several as one: each is called with everything, in order."""

    def __init__(self, callbacks: Sequence[CommandCallbacks]) -> None:
        self.callbacks = tuple(callbacks)

    def message(self, sentence: str) -> None:
        """Tell each."""
        for one in self.callbacks:
            one.message(sentence)

    def planned(self, schedule: CommandSchedule) -> None:
        """Tell each."""
        for one in self.callbacks:
            one.planned(schedule)

    def point_started(self, number: int, total: int, name: str) -> None:
        """Tell each."""
        for one in self.callbacks:
            one.point_started(number, total, name)

    def ended(self, trial: CommandTrial, result: TrialResult) -> None:
        """Tell each."""
        for one in self.callbacks:
            one.ended(trial, result)

    def reading(self, trials: int) -> None:
        """Tell each."""
        for one in self.callbacks:
            one.reading(trials)


def run_commands(
    record: StudyRecord,
    out: Path,
    rules: Rules,
    execution: CommandExecution,
    callbacks: CommandCallbacks | None = None,
    *,
    most: int | None = None,
) -> SavedStudy:
    """Run every trial of a command that has not ended, then have test read where the command does so apart.

    Args:
        record: of :func:`~stepladder.studies.scores.command_record.make_record`, of a curve, or of a sweep, which
            reads no test.
        out: the study's folder; a study of the same plan there goes on, with more seeds where these are asked for.
        most: of ``seeds="auto"``, the seeds that a rung may get: what is undecided goes on to its next look, while
            there is time for all of it; None for the seeds of the record alone.

    Raises:
        StudyError: the folder holds another study, or another process runs this one.
        Stopped: it was asked to; what had ended is kept, and the same call goes on.
    """
    execution.check()
    check_seeds(len(record.seeds))
    watching = callbacks or CommandCallbacks()
    with owning(out):
        record = _go_on(out, record, rules, auto=most is not None)
        retry = execution.retry_failed
        with execution.stop.observing():
            while True:
                pool = CommandPool(out, record, execution, watching.message)
                _run_missing(out, record, pool, watching, retry=retry)
                study, retry = load_study(out), False
                following = None if most is None or study.missing or record.sweep else next_look(study, most)
                if following is None or lacks_time(study, following, execution.stop.left(), watching.message):
                    break
                record = following
                write_record(out, record)
        end_study(study)
        return study


@contextmanager
def owning(out: Path) -> Iterator[None]:
    """Hold a folder of commands for this process.

    Raises:
        StudyError: another one holds it.
    """
    with try_lock(out / "trials") as mine:
        if not mine:
            raise StudyError(
                f"another process runs the study in {out}; wait for it, or choose another folder with `out`"
            )
        yield


def end_study(study: SavedStudy, *more: str) -> None:
    """Write ``results.csv``, and the checksums of what no run has left where all have ended.

    Args:
        more: names of files beside those of every study.
    """
    write_results(study)
    if not study.missing:
        note_owned_files(study, *more)


def _run_missing(out: Path, record: StudyRecord, pool: CommandPool, watching: CommandCallbacks, *, retry: bool) -> None:
    trials = command_trials(record)
    ended = {one.id: result for one in trials if (result := read_result(out / "trials" / one.id)) is not None}
    if retry:
        ended = {name: result for name, result in ended.items() if result.status == "finished"}
    todo = tuple(one for one in trials if one.id not in ended)
    if todo:
        forget_files(out)
    watching.planned(CommandSchedule(record, todo, len(trials) - len(todo), pool.workers))
    for one, result in pool.run(todo, read_test=False):
        watching.ended(one, result)
    _read_test(out, record, pool, watching)


def _go_on(out: Path, record: StudyRecord, rules: Rules, *, auto: bool) -> StudyRecord:
    """Write the plan, or return the one that is there, with the seeds that are asked for beyond it."""
    found = read_record(out)
    if found is None:
        write_record(out, record)
        return record
    if is_other_grid(found, record):
        write_record(out, record)
        return record
    refuse_other_plan(out, found, record)
    more = len(record.seeds) > len(found.seeds)
    if more and rules.final:
        raise StudyError(f"`final` looks once, at {len(found.seeds)} seeds; leave it out to add seeds")
    if auto or not (more or found.reached):
        return found
    update: dict[str, object] = {"reached": {}, "command": record.command}
    if more:
        new = tuple(seed for seed in record.seeds if seed not in found.seeds)
        added = AddedSeeds(seeds=new, time=now(), after_reading=record.sweep is None)
        update |= {"seeds": record.seeds, "added": (*found.added, added)}
    found = found.model_copy(update=update)
    write_record(out, found)
    return found


def refuse_other_plan(out: Path, found: StudyRecord, record: StudyRecord) -> None:
    """Refuse to go on in a folder with another plan.

    Raises:
        StudyError: it has another.
    """
    if found.scores is None:
        raise StudyError(f"{out} holds a study of images; choose another folder with `out`")
    # Its looks follow from the seeds that it was begun with, whatever is asked for now.
    here = record.model_copy(update={"looks": found.looks})
    changed = differences(found, here)
    if changed or hash_plan(found) != hash_plan(here):
        raise StudyError(
            f"{out} holds another study: {some_of(changed or ['the plan differs'], 3)}; choose another folder with "
            "`out`, or the same plan to go on"
        )


def _read_test(out: Path, record: StudyRecord, pool: CommandPool, watching: CommandCallbacks) -> None:
    """Have every finished run that has no test score read test, once all training has ended; note it before."""
    assert record.scores is not None
    if not record.scores.reads_test or record.sweep is not None:
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


class CommandPool:
    """Runs the trials of a command, here or on a cluster, and saves what each leaves."""

    def __init__(
        self, out: Path, record: StudyRecord, execution: CommandExecution, tell: Callable[[str], None]
    ) -> None:
        self._out, self._record, self._execution, self._tell = out, record, execution, tell

    def run(self, trials: Sequence[CommandTrial], *, read_test: bool) -> Iterator[tuple[CommandTrial, TrialResult]]:
        """Yield each trial with its result, saved, as it ends.

        Raises:
            Stopped: it was asked for; every process was ended before.
        """
        named = {trial.id: trial for trial in trials}
        calls = [self._call(trial, read_test) for trial in trials]
        slots = self._slots()
        for call, ended in slots.run(calls):
            trial = named[call.name]
            result = self._result(trial, ended, read_test)
            if isinstance(slots, ClusterSlots):
                node, retries = slots.ran[call.name]
                result = result.model_copy(update={"node": node, "retries": retries})
            save_result(self._folder(trial), result)
            yield trial, result

    @property
    def workers(self) -> int:
        """How many runs go on at the same time."""
        return self._execution.slots

    def _slots(self) -> CommandSlots | ClusterSlots:
        """Return where runs go: both take calls, and yield how each ended."""
        execution = self._execution
        limits = Limits(execution.timeout, execution.memory)
        if execution.on is not None:
            return ClusterSlots(execution.on, execution.workers, limits, execution.stop, self._tell)
        return CommandSlots(execution.slots, limits, execution.gpus, execution.stop.raise_if_wanted)

    def _folder(self, trial: CommandTrial) -> Path:
        return self._out / "trials" / trial.id

    def _call(self, trial: CommandTrial, read_test: bool) -> CommandCall:
        folder = self._folder(trial).absolute()
        inner = folder / "out"
        environment = {
            trial_module.SEED: str(trial.seed),
            trial_module.OUT: str(inner),
            trial_module.READ_TEST: "1" if read_test or not self._may_not_read else "0",
            trial_module.FRACTION: f"{trial.recipe.get('fraction', 1):g}",
        }
        names = (f"test-{STDOUT}", f"test-{STDERR}") if read_test else (STDOUT, STDERR)
        words = tuple(words_of(trial.recipe, trial.seed, inner, read_test))
        return CommandCall(trial.id, words, environment, inner, (folder / names[0], folder / names[1]), read_test)

    @property
    def _may_not_read(self) -> bool:
        """Whether training is to leave test alone: it is read afterwards, or, in a sweep, never."""
        own = self._record.scores
        return self._record.sweep is not None or (own is not None and own.reads_test)

    def _result(self, trial: CommandTrial, ended: Ended, read_test: bool) -> TrialResult:
        own = self._record.scores
        assert own is not None
        folder = self._folder(trial)
        failure, reported = ended.ended_by, None
        code = ended.code
        if failure is None and code != 0:
            said = _last_line(folder / (f"test-{STDERR}" if read_test else STDERR))
            ending = f"signal {-code}" if code < 0 else f"exit code {code}"
            failure = f"the command ended with {ending}{': ' + said if said else ''}"
        if failure is None:
            output = _tail(folder / (f"test-{STDOUT}" if read_test else STDOUT))
            told = read_report(folder / "out", output, own.columns.get("Unit") == "percent", own.share)
            failure, reported = (told, None) if isinstance(told, str) else (None, told)
        if read_test:
            before = read_result(folder)
            return self._as_result(trial, failure, reported, ended.seconds, before)
        told_of = self._keep_history(folder, None if reported is None else reported.history)
        result = self._as_result(trial, failure, reported, ended.seconds, None)
        return result.model_copy(update={"warnings": (told_of,)} if isinstance(told_of, str) else {"epochs": told_of})

    def _keep_history(self, folder: Path, name: object) -> int | str:
        """Save the history that a run of training names; return its epochs, or why it cannot be drawn."""
        own = self._record.scores
        assert own is not None
        percent = own.columns.get("Unit") == "percent"
        epochs: tuple[RunEpoch, ...] | str = ()
        if name is not None:
            epochs = read_history(folder / "out", name, self._record.metric, share=own.share, percent=percent)
        write_run_history(folder, () if isinstance(epochs, str) else epochs)
        return epochs if isinstance(epochs, str) else len(epochs)

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
        if self._record.sweep is not None:
            test = None  # a sweep has no use for it, and keeps it from whoever reads the sweep
            if reported and val is None:
                failure = "it has no score: a sweep chooses by val, and it reported test alone"
        elif reported and test is None and not self._may_not_read:
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
            epochs=0 if before is None else before.epochs,
            val_score=val if failure is None else None,
            test_score=test if failure is None else None,
            seconds=seconds,
            images_per_second=None,
            failure=failure,
            warnings=() if before is None else before.warnings,
            versions=self._record.versions,
            machine=self._record.machine,
            finished=now(),
        )


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL))
        return file.read().decode(errors="replace")


def _last_line(path: Path) -> str:
    lines = [line.strip() for line in _tail(path).splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
