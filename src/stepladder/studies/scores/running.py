"""Carry out a study of a user's own command: each run a process of its own, whose whole tree ends with it."""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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
from stepladder.studies.running.cluster.address import check_address
from stepladder.studies.running.cluster.commands import ClusterSlots, OnCluster
from stepladder.studies.running.commands import CommandCall, CommandSlots, Ended, Limits
from stepladder.studies.running.locks import try_lock
from stepladder.studies.scores.commands import Reported, read_report, words_of
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


class CommandCallbacks:
    """Called as runs go on; every method does nothing until it is overridden."""

    def message(self, sentence: str) -> None:
        """Something happened that whoever is watching should know."""

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
        pool = _Pool(out, record, execution, watching.message)
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


class _Pool:
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
            replace_json(self._folder(trial) / "result.json", result.model_dump(mode="json"))
            yield trial, result

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
            trial_module.READ_TEST: "1" if read_test or not self._reads_test else "0",
            trial_module.FRACTION: f"{trial.recipe.get('fraction', 1):g}",
        }
        names = (f"test-{STDOUT}", f"test-{STDERR}") if read_test else (STDOUT, STDERR)
        words = tuple(words_of(trial.recipe, trial.seed, inner, read_test))
        return CommandCall(trial.id, words, environment, inner, (folder / names[0], folder / names[1]), read_test)

    @property
    def _reads_test(self) -> bool:
        return self._record.scores is not None and self._record.scores.reads_test

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
        before = read_result(folder) if read_test else None
        return self._as_result(trial, failure, reported, ended.seconds, before)

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
