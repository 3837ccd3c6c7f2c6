"""One study as its files have it, read again only where they changed.

``study.json`` and each ``result.json`` are replaced whole, so a file whose time, size and number are as before holds
what it held. A trial under way tells its epochs by its newest checkpoint, whose ``state.json`` has the history so far.
The history of a trial that ended is read when somebody looks at its rung's curves.
"""

from __future__ import annotations

import errno
import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from statistics import fmean, stdev
from threading import RLock
from time import monotonic, time
from typing import Any, Literal

from stepladder.errors import DamagedError, StepladderError
from stepladder.files import parse_json, read_plain
from stepladder.report.units import Scale, count, duration, time_range
from stepladder.studies.design.trials import CommandTrial, Trial
from stepladder.studies.files.consistency import wrong_with_result
from stepladder.studies.files.records import SavedTrial, StudyRecord, TrialResult
from stepladder.studies.files.store import (
    CHECKPOINTS,
    command_trials,
    planned_trials,
    read_epochs,
    read_record,
    read_result,
)
from stepladder.studies.judging.curves import mean_curve
from stepladder.studies.judging.trial_facts import describe_machine
from stepladder.training.history import EpochRecord, parse_history
from stepladder.training.metrics import Metric
from stepladder.web.studies.board import Board
from stepladder.web.studies.folders import Found, signature
from stepladder.web.studies.owners import Locks, Owner, began, main_owners
from stepladder.web.studies.standing import (
    Look,
    UnderWay,
    describe_look,
    find_look,
    time_left,
    time_left_of_runs,
)

State = Literal["reading", "running", "finished", "unfinished", "damaged", "removed"]

#: States of one trial, by the letter that a page is told.
WAITING, RUNNING, PAUSED, FINISHED, FAILED, DAMAGED = "w", "r", "p", "f", "x", "d"

#: Seconds after the last lock was seen for which a study still counts as running: between two trials there is none.
_GRACE = 5.0
#: The same by the newest change of a file, where locks cannot be seen.
_QUIET = 60.0
#: A file that cannot be read is looked at again for so many seconds before it counts as damaged: not every file system
#: replaces a file in one piece.
_SETTLING = 2.0
#: Seconds between two looks at the results of trials that have ended: only test being read changes them, and damage.
_THOROUGH = 10.0
#: Seconds of reading after which a study that is new here says how far it is.
_BUDGET = 0.3
#: Rungs whose trials are worked out at a time.
_CHUNK = 20
#: Bytes of a checkpoint's ``state.json``, and failures and warnings that are listed.
_MOST_STATE, _LISTED = 16_000_000, 200

_Signature = tuple[int, int, int]


@dataclass
class _Cell:
    """One planned trial."""

    trial: Trial | CommandTrial
    folder: Path
    state: str = WAITING
    result: TrialResult | None = None
    sentence: str = ""
    seen: _Signature | None = None
    broken_since: float | None = None
    checkpoint: str = ""
    epochs: tuple[EpochRecord, ...] = ()
    began: float = 0.0
    history: tuple[EpochRecord, ...] | None = None

    @property
    def ended(self) -> bool:
        return self.state in (FINISHED, FAILED)

    def reset(self) -> None:
        """Be as before anything was read."""
        for one in fields(self):
            if one.name not in ("trial", "folder"):
                setattr(self, one.name, one.default)


@dataclass
class _Row:
    """One rung: its trials, None until they are worked out; and a number that changes when its curves do."""

    plan: tuple[Any, ...]
    cells: list[_Cell] | None = None
    stamp: int = 0


@dataclass(frozen=True)
class Standing:
    """What the list of studies is told of one.

    Attributes:
        ended, planned, failed, damaged, running: trials.
    """

    state: State
    sentence: str
    ended: int = 0
    planned: int = 0
    failed: int = 0
    damaged: int = 0
    running: int = 0


@dataclass
class StudyWatch:
    """A study that is looked at again and again; :meth:`poll` reads what changed, and tells it to its board.

    Args:
        say: puts the library's words into the reader's; the command line makes flags of parameters.

    Attributes:
        board: what a page is told, by key: ``head``, ``failures``, ``warnings``, ``rung.3``, ``trial.3.0``.
        record, look: None before the first poll, and of a study whose record is damaged.
        owners: the processes that run it.
        reads: files that were read so far.
    """

    found: Found
    say: Callable[[str], str] = str
    board: Board = field(default_factory=Board)
    record: StudyRecord | None = None
    look: Look | None = None
    owners: tuple[Owner, ...] = ()
    reads: int = 0
    standing: Standing = field(default_factory=lambda: Standing("reading", ""))

    def __post_init__(self) -> None:
        self._lock = RLock()
        self._rows: list[_Row] = []
        self._record_seen: _Signature | None = None
        self._wrong = ""
        self._names: set[str] = set()
        self._links: set[str] = set()
        self._names_seen: tuple[int, int] | None = None
        self._readings_seen: _Signature | None = None
        self._locked_at = -math.inf
        self._looked_at = -math.inf
        self._changed = 0.0
        self._left = ""
        self._left_at = -math.inf
        self._behind = False
        self._has_locks = True
        self._known: dict[tuple[str, str], _Cell] = {}
        self._summed_at = -math.inf

    @property
    def folder(self) -> Path:
        """The study's folder."""
        return self.found.folder

    def poll(self, locks: Locks) -> None:
        """Read what changed since the last time, for some tenths of a second at most."""
        with self._lock:
            until = monotonic() + _BUDGET
            changed = self._look_at_record()
            planned: set[int] = set()
            if self.record is not None:
                try:
                    planned = self._plan_trials(until)
                except StepladderError as error:  # of a technique of the user's own, or of another version
                    self.record, self._rows, self._wrong = None, [], self.say(str(error))
            if self.record is None:
                self.owners = ()
                self._tell_standing()
                return
            touched = self._look_at_trials(locks, until)
            self._tell(touched, planned, whole=changed)

    # What changed.

    def _look_at_record(self) -> bool:
        """Read ``study.json`` where it was replaced; return whether it was."""
        path = self.folder / "study.json"
        try:
            seen = signature(path)
            if seen is not None and seen == self._record_seen:
                return False
            self._record_seen = seen
            self.reads += 1
            record = None if seen is None else read_record(self.folder)
            self._wrong = "" if record is not None else "removed"
            if record is not None:
                self._set_record(record)
        except StepladderError as error:
            record, self._wrong = None, self.say(str(error))
        except OSError as error:
            record, self._wrong = None, f"study.json: {error.strerror or error}"
        if record is None:
            self.record, self._rows = None, []
        return True

    def _set_record(self, record: StudyRecord) -> None:
        """Take a record, and keep all that is known of the trials that it still has."""
        common = (record.precision, record.select, record.measured_by.key, record.resplit, record.data.split)
        self._known = {(cell.trial.rung, cell.trial.id): cell for cell in self._cells()}
        old = {row.plan: row for row in self._rows}
        plans = [(rung.model_dump_json(), record.seeds_of(rung.name), *common) for rung in record.rungs]
        # Of a search, whose record has a point more each time, only that one is new.
        self._rows = [old.get(plan) or _Row(plan) for plan in plans]
        self.record = record
        self._names_seen, self._looked_at = None, -math.inf

    def _plan_trials(self, until: float) -> set[int]:
        """Work out which trials the rungs have, some rungs at a time; return those that are new.

        Raises:
            StorageError: a recipe does not fit this version.
        """
        assert self.record is not None
        new = [number for number, row in enumerate(self._rows) if row.cells is None]
        done: set[int] = set()
        while new and (not done or monotonic() < until):
            some, new = new[:_CHUNK], new[_CHUNK:]
            part = self.record.model_copy(update={"rungs": tuple(self.record.rungs[number] for number in some)})
            planned = planned_trials(part) if self.record.scores is None else command_trials(part)
            cells: dict[str, list[_Cell]] = {rung.name: [] for rung in part.rungs}
            for trial in planned:
                folder = self.folder / "trials" / trial.id
                known = self._known.get((trial.rung, folder.name))
                cells[trial.rung].append(known or _Cell(trial, folder))
            for number, rung in zip(some, part.rungs, strict=True):
                self._rows[number].cells = cells[rung.name]
            done |= set(some)
        self._behind = bool(new)
        return done

    def _cells(self) -> Iterator[_Cell]:
        for row in self._rows:
            yield from row.cells or ()

    def _look_at_trials(self, locks: Locks, until: float) -> set[tuple[int, int]]:
        """Read the results and checkpoints that changed; return which trials, by rung and place."""
        assert self.record is not None
        self._look_at_names()
        now = monotonic()
        try:
            readings = signature(self.folder / "test-readings.json")
        except OSError:
            readings = None
        unread = self.look is not None and self.look.reading > 0
        thorough = now - self._looked_at >= _THOROUGH or readings != self._readings_seen or unread
        if thorough:
            self._looked_at, self._readings_seen = now, readings
        holders = {locks.holder(self.folder / ".lock"), locks.holder(self.folder / "trials" / ".lock")}
        runs_command = self.record.scores is not None and holders != {None}
        touched: set[tuple[int, int]] = set()
        for number, row in enumerate(self._rows):
            for place, cell in enumerate(row.cells or ()):
                if cell.ended and not thorough:
                    continue
                if cell.result is None and not cell.sentence and monotonic() > until:
                    self._behind = True
                    break
                before = (cell.state, len(cell.epochs), cell.seen)
                if cell.folder.name not in self._names:
                    self._reset(cell)
                else:
                    self._look_at_result(cell, now)
                    if not cell.ended and cell.state != DAMAGED:
                        holders.add(self._look_at_work(cell, locks, runs_command, holders))
                if (cell.state, len(cell.epochs), cell.seen) != before:
                    touched.add((number, place))
                    row.stamp += 1
        if self._behind:  # the rest at the next poll
            self._looked_at = -math.inf
        pids = [pid for pid in holders if pid is not None]
        if pids:
            self.owners, self._locked_at = main_owners(pids), now
        elif now - self._locked_at > _GRACE:
            self.owners = ()
        self._has_locks = locks.known
        return touched

    def _look_at_names(self) -> None:
        """Note which trials have a folder; a link in its place is followed by nobody."""
        path = self.folder / "trials"
        try:
            found = path.lstat()
            seen = (found.st_mtime_ns, found.st_ino)
            if seen == self._names_seen:
                return
            if path.is_symlink():
                raise OSError(errno.ELOOP, "it is a link", str(path))
            with os.scandir(path) as entries:
                each = [(entry.name, entry.is_symlink()) for entry in entries]
            self._names, self._links = {name for name, _ in each}, {name for name, link in each if link}
            self._names_seen = seen
        except OSError:  # there is none yet
            self._names, self._links, self._names_seen = set(), set(), None

    def _reset(self, cell: _Cell) -> None:
        """A trial without a folder has not begun; one that had was set aside or removed."""
        if cell.state != WAITING:
            cell.reset()

    def _look_at_result(self, cell: _Cell, now: float) -> None:
        path = cell.folder / "result.json"
        try:
            if cell.folder.name in self._links:
                raise DamagedError(f"{cell.folder.name} is a link, and none is followed", "")
            seen = signature(path)
            if seen == cell.seen and cell.broken_since is None:
                return
            if seen is None:
                self._reset(cell)
                return
            cell.seen = seen
            self._changed = max(self._changed, seen[0] / 1e9)
            self.reads += 1
            result = read_result(cell.folder)
            if result is None:
                return
            self._check(cell, result)
        except (StepladderError, OSError) as error:
            what = error.what if isinstance(error, DamagedError) else str(error)
            if isinstance(error, OSError):
                what = f"{path.name}: {error.strerror or error}"
            self._note_damage(cell, what, now)
        else:
            cell.result, cell.history, cell.epochs = result, None, ()
            cell.state = FINISHED if result.status == "finished" else FAILED
            cell.sentence, cell.broken_since = result.failure or "", None

    def _check(self, cell: _Cell, result: TrialResult) -> None:
        if isinstance(cell.trial, Trial):
            wrong = wrong_with_result(result, cell.trial, self.record)
        else:
            alike = result.trial == cell.trial.id and result.seed == cell.trial.seed
            wrong = None if alike else "it is that of another trial"
        if wrong is not None:
            raise DamagedError(f"{cell.folder / 'result.json'} is damaged ({wrong})", "")

    def _note_damage(self, cell: _Cell, what: str, now: float) -> None:
        """A file that cannot be read may be half written; after a while it counts as damaged."""
        if cell.broken_since is None:
            cell.broken_since = now
        if now - cell.broken_since >= _SETTLING or cell.state == DAMAGED:
            cell.state, cell.sentence, cell.result = DAMAGED, self.say(what), None

    def _look_at_work(self, cell: _Cell, locks: Locks, command: bool, above: set[int | None]) -> int | None:
        """Note whether a trial that has not ended is under way, and how far; return who has it."""
        if isinstance(cell.trial, CommandTrial):
            self._look_at_run(cell, command, above)
            return None
        holder = locks.holder(cell.folder / ".lock")
        self._look_at_checkpoint(cell)
        if holder is not None:
            cell.began = cell.began or monotonic()
            cell.state = RUNNING
        elif locks.known or time() - self._changed > _QUIET:
            cell.state = PAUSED if cell.checkpoint else WAITING
            cell.began = 0.0
        elif cell.checkpoint:
            cell.state = RUNNING
        return holder

    def _look_at_run(self, cell: _Cell, command: bool, above: set[int | None]) -> None:
        """A run of a command prints into its folder from its start, and tells nothing else."""
        try:
            opened = (cell.folder / "stdout.txt").lstat().st_mtime if command else 0.0
        except OSError:
            opened = 0.0
        main = main_owners(pid for pid in above if pid is not None) if opened else ()
        goes_on = bool(main) and opened >= min(began(owner) for owner in main) - 2
        cell.began = cell.began or monotonic() if goes_on else 0.0
        cell.state = RUNNING if goes_on else WAITING

    def _look_at_checkpoint(self, cell: _Cell) -> None:
        """Read how far a trial is, by its newest checkpoint; one that goes away meanwhile tells nothing."""
        folder = cell.folder / CHECKPOINTS
        try:
            if folder.is_symlink():
                return
            newest = max((name for name in os.listdir(folder) if name.isdecimal()), default="")  # noqa: PTH208
            if newest == cell.checkpoint or not newest:
                return
            path = folder / newest / "state.json"
            self.reads += 1
            document = parse_json(read_plain(path, _MOST_STATE, follow=False))
            epochs = parse_history(document["values"]["history"])
            self._changed = max(self._changed, path.stat().st_mtime)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return
        cell.checkpoint, cell.epochs = newest, epochs

    # What is said of it.

    def _tell(self, touched: set[tuple[int, int]], planned: set[int], *, whole: bool) -> None:
        """Tell the board what changed: trials, the rungs of these, and the study as a whole.

        Args:
            planned: rungs whose trials were worked out just now.
            whole: whether there is a new record, so that all is told anew.
        """
        rungs = set(range(len(self._rows))) if whole else {number for number, _ in touched} | planned
        trials = touched | {
            (number, place)
            for number in (rungs if whole else planned)
            for place in range(len(self._rows[number].cells or ()))
        }
        values: dict[str, Any] = {f"rung.{number}": self._rung(number) for number in rungs}
        for number, place in trials:
            cells = self._rows[number].cells
            assert cells is not None
            values[f"trial.{number}.{place}"] = self._trial(cells[place])
        if values or self._behind or monotonic() - self._summed_at > _SETTLING:
            self._summed_at = monotonic()
            values |= self._summary()
        if whole:
            values |= {key: value for key in ("verdict", "control") if (value := self.board.get(key)) is not None}
        self.board.put(values, whole=whole)

    def _tell_standing(self) -> None:
        """Tell that there is no study any more, or that its record cannot be read."""
        gone = self._wrong == "removed"
        sentence = "This study was removed, renamed or moved." if gone else self._wrong
        self.standing = Standing("removed" if gone else "damaged", sentence)
        self.look = None
        self.board.put(
            {"head": {"state": self.standing.state, "sentence": sentence, "title": self.found.place}}, whole=True
        )

    def _trial(self, cell: _Cell) -> list[Any]:
        """Return a trial as a page is told of it: state, seed, epochs done, epochs in all, validation, time."""
        result, trial = cell.result, cell.trial
        planned = trial.recipe.epochs if isinstance(trial, Trial) else 0
        done = result.epochs if result is not None else (cell.epochs[-1].epoch if cell.epochs else 0)
        score = "" if result is None or result.status != "finished" else self._validation([result])
        took = "" if result is None else duration(result.seconds)
        return [cell.state, trial.seed, done, planned, score, took]

    def _rung(self, number: int) -> dict[str, Any]:
        assert self.record is not None
        row, rung = self._rows[number], self.record.rungs[number]
        cells = row.cells or []
        finished = [cell.result for cell in cells if cell.result is not None and cell.state == FINISHED]
        return {
            "name": rung.name,
            "adds": [*(f"+ {name}" for name in rung.adds), *(f"− {name}" for name in rung.lacks)],
            "planned": len(self.record.seeds_of(rung.name)),
            "ended": sum(cell.ended for cell in cells),
            "failed": sum(cell.state == FAILED for cell in cells),
            "running": sum(cell.state == RUNNING for cell in cells),
            "validation": self._validation(finished),
            "n": len(finished),
            "curve": row.stamp,
        }

    def _validation(self, results: Sequence[TrialResult]) -> str:
        """Write the mean of the metric on validation, and its spread; nothing where there is none."""
        metric = self._metric
        values = [value for result in results if (value := metric.on_validation(result)) is not None]
        if not values:
            return ""
        return Scale(metric.unit).spread(fmean(values), stdev(values) if len(values) > 1 else None)

    @property
    def _metric(self) -> Metric:
        assert self.record is not None
        return self.record.measured_by

    def results(self) -> dict[tuple[str, int], TrialResult]:
        """Return the results of the trials that have ended, by rung and seed."""
        with self._lock:
            return {
                (cell.trial.rung, cell.trial.seed): cell.result
                for cell in self._cells()
                if cell.result is not None and cell.ended
            }

    def _summary(self) -> dict[str, Any]:
        """Return what is said of the study as a whole."""
        assert self.record is not None
        record, cells = self.record, list(self._cells())
        planned = record.planned_trials
        states = Counter(cell.state for cell in cells)
        ended = states[FINISHED] + states[FAILED]
        self.look = look = find_look(record, self.results())
        running = bool(self.owners)
        if not self._has_locks:
            running = ended < planned and time() - self._changed < _QUIET
        state: State = "running" if running else "finished" if look.whole and ended == planned else "unfinished"
        if self._behind:
            state = "reading"
        self.standing = Standing(state, "", ended, planned, states[FAILED], states[DAMAGED], states[RUNNING])
        results = [cell.result for cell in cells if cell.result is not None]
        return {
            "head": self._head(look, running, ended, planned),
            "failures": self._failures(),
            "warnings": [
                [self.say(sentence), number]
                for sentence, number in Counter(
                    warning for result in results for warning in dict.fromkeys(result.warnings)
                ).most_common(_LISTED)
            ],
        }

    def _head(self, look: Look, running: bool, ended: int, planned: int) -> dict[str, Any]:
        assert self.record is not None
        record, standing = self.record, self.standing
        metric = self._metric
        machines = {describe_machine(result.machine) for result in self.results().values()}
        return {
            **describe_record(record),
            "place": self.found.place,
            "state": standing.state,
            "sentence": self._sentence(standing, running),
            "ended": ended,
            "planned": planned,
            "running": standing.running,
            "failed": standing.failed,
            "damaged": standing.damaged,
            "left": self._time_left() if running else "",
            "look": describe_look(record, look, running=running),
            "metric": metric.validation_label,
            "unit": Scale(metric.unit).unit,
            "watched": "" if record.scores is not None else "test" if record.validation == 0 else "validation",
            "shows_watched": record.validation > 0 or look.whole,
            "machine": sorted({describe_machine(record.machine), *machines}),
            "report": self._has_report(),
        }

    def _sentence(self, standing: Standing, running: bool) -> str:
        """Say how far it is, one sentence."""
        assert self.record is not None
        of = f"{standing.ended:,} of {count(standing.planned, 'trial')}"
        have = "has" if standing.ended == 1 else "have"
        if standing.state == "reading":
            return f"Reading its files: {of} so far."
        if standing.state == "finished":
            return (
                f"All {count(standing.planned, 'trial')} have ended."
                if standing.planned > 1
                else "Its trial has ended."
            )
        if running:
            now = f", {standing.running} running now" if standing.running else ""
            return f"{of} {have} ended{now}."
        return f"Nobody runs it now. {of} {have} ended; the same command goes on with the rest."

    def _failures(self) -> list[list[str]]:
        """Return what failed or is damaged: which trials, and their sentence; those that say the same together."""
        found: dict[str, list[str]] = {}
        for cell in self._cells():
            if cell.state in (FAILED, DAMAGED):
                found.setdefault(self.say(cell.sentence), []).append(f"{cell.trial.rung}, seed {cell.trial.seed}")
        told = [
            [names[0] if len(names) == 1 else f"{len(names)} trials, the first of them {names[0]}", sentence]
            for sentence, names in found.items()
        ]
        more = len(told) - _LISTED
        return told[:_LISTED] + ([["", f"and {more} more"]] if more > 0 else [])

    def _has_report(self) -> bool:
        try:
            return signature(self.folder / "report.html") is not None
        except OSError:
            return False

    def _time_left(self) -> str:
        """Write how long is left, worked out every few seconds."""
        if monotonic() - self._left_at < _SETTLING:
            return self._left
        assert self.record is not None
        cells = list(self._cells())
        ended = sorted(
            (cell for cell in cells if cell.ended and cell.result),
            key=lambda cell: str(cell.result and cell.result.finished),
        )
        waiting = [cell for cell in cells if cell.state in (WAITING, PAUSED)]
        under_way = [cell for cell in cells if cell.state == RUNNING]
        if self.record.scores is not None:
            took = [cell.result.seconds for cell in ended if cell.result is not None]
            found = time_left_of_runs(took, [monotonic() - cell.began for cell in under_way], len(waiting))
        else:
            found = time_left(
                self.record,
                [(cell.trial, cell.result) for cell in ended if cell.result and isinstance(cell.trial, Trial)],
                [UnderWay(cell.trial, cell.epochs) for cell in under_way if isinstance(cell.trial, Trial)],
                [cell.trial for cell in waiting if isinstance(cell.trial, Trial)],
            )
        self._left_at = monotonic()
        self._left = "" if found is None else f"{time_range(found.low, found.high)} left"
        return self._left

    def curves(self, number: int) -> dict[str, Any]:
        """Return the curves of one rung; the histories of its trials are read the first time.

        Validation is shown as it comes; a test curve, where no image was left for validation, when the study has ended.

        Raises:
            IndexError: there is no such rung.
        """
        with self._lock:
            row = self._rows[number]
            assert self.record is not None
            shows_test = self.look is not None and self.look.whole
            splits = {"train": "train"}
            if self.record.validation > 0:
                splits["watched"] = "val"
            elif shows_test:
                splits["watched"] = "test"
            finished, alone = [], []
            for cell in row.cells or ():
                self._read_history(cell)
                if cell.state == FINISHED and cell.result is not None and cell.history:
                    finished.append(
                        SavedTrial(cell.trial.rung, cell.trial.seed, cell.folder, cell.result, cell.history)
                    )
                elif cell.state in (RUNNING, PAUSED, FAILED) and (cell.history or cell.epochs):
                    alone.append(cell)
            return {
                "curve": row.stamp,
                "n": len(finished),
                **{
                    f"{split}_{measure}": _mean(finished, f"{prefix}_{measure}")
                    for split, prefix in splits.items()
                    for measure in ("accuracy", "loss")
                },
                "alone": [
                    {
                        "seed": cell.trial.seed,
                        "state": cell.state,
                        **{
                            f"{split}_{measure}": _line(cell.history or cell.epochs, f"{prefix}_{measure}")
                            for split, prefix in splits.items()
                            for measure in ("accuracy", "loss")
                        },
                    }
                    for cell in alone
                ],
            }

    def _read_history(self, cell: _Cell) -> None:
        if cell.history is not None or cell.result is None or not isinstance(cell.trial, Trial):
            return
        self.reads += 1
        try:
            cell.history = read_epochs(cell.folder, cell.result)
        except StepladderError as error:
            cell.history = ()
            cell.state, cell.sentence = DAMAGED, self.say(error.what if isinstance(error, DamagedError) else str(error))


def describe_record(record: StudyRecord) -> dict[str, Any]:
    """Return what a record alone says, for a list and a heading."""
    kind = "study"
    if record.scores is not None:
        kind = "study of a command"
    elif record.sweep is not None:
        kind = record.plan
    elif any(rung.images is not None for rung in record.rungs):
        kind = "curve"
    of = record.plan
    if record.sweep is not None:
        of = f"values of {' × '.join(axis.key for axis in record.sweep.axes)}"
    elif kind == "curve":
        of = f"{record.measured_by.noun} by number of training images"
    return {
        "kind": kind,
        "title": f"{of[:1].upper()}{of[1:]} on {record.data.name}",
        "rungs": len(record.rungs),
        "seeds": len(record.seeds),
        "command": record.command,
        "created": record.created,
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        "images": _images(record),
    }


def _images(record: StudyRecord) -> str:
    if record.scores is not None or not record.data.counts:
        return ""
    counts = ", ".join(f"{number:,} {split}" for split, number in record.data.counts.items())
    height, width, _ = record.data.image_shape
    return f"{counts} images of {height}×{width} pixels, {len(record.data.class_names):,} classes"


def _mean(trials: Sequence[SavedTrial], column: str) -> dict[str, list[float]]:
    curve = mean_curve(trials, column)
    scale, digits = (100, 2) if column.endswith("accuracy") else (1, 4)

    def plain(values: Sequence[float]) -> list[float]:
        return [round(scale * value, digits) for value in values]

    return {
        "x": [float(x) for x in curve.epochs],
        "mean": plain(curve.mean),
        "low": plain(curve.low),
        "high": plain(curve.high),
    }


def _line(rows: Sequence[EpochRecord], column: str) -> dict[str, list[float]]:
    """Return one trial's own curve, over the epochs in which it was a number."""
    scale, digits = (100, 2) if column.endswith("accuracy") else (1, 4)
    known = [(row.epoch, value) for row in rows if (value := getattr(row, column)) is not None and math.isfinite(value)]
    return {"x": [float(epoch) for epoch, _ in known], "mean": [round(scale * value, digits) for _, value in known]}
