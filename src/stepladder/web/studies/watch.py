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
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock
from time import monotonic, time
from typing import Any

from stepladder.errors import StepladderError
from stepladder.report.units import time_range
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import StudyRecord, TrialResult
from stepladder.studies.files.store import command_trials, planned_trials, read_record
from stepladder.web.studies import cells as files
from stepladder.web.studies.board import Board
from stepladder.web.studies.cells import DAMAGED, FAILED, FINISHED, PAUSED, RUNNING, WAITING, Cell, FilesRead
from stepladder.web.studies.curves import curves_of
from stepladder.web.studies.folders import Found, signature
from stepladder.web.studies.owners import Locks, Owner, main_owners
from stepladder.web.studies.standing import Look, UnderWay, find_look, time_left, time_left_of_runs
from stepladder.web.studies.telling import (
    Standing,
    State,
    tell_failures,
    tell_head,
    tell_rung,
    tell_trial,
    tell_warnings,
)

#: Seconds after the last lock was seen for which a study still counts as running: between two trials there is none.
_GRACE = 5.0
#: Seconds between two looks at the results of trials that have ended: only test being read changes them, and damage.
_THOROUGH = 10.0
#: Seconds of reading after which a study that is new here says how far it is.
_BUDGET = 0.3
#: Seconds for which what is said of a whole study, and of the time left, stays as it was unless a trial changes.
_SUMMED, _LEFT = 2.0, 2.0
#: Rungs whose trials are worked out at a time.
_CHUNK = 20


@dataclass
class _Row:
    """One rung: its trials, None until they are worked out; and a number that changes when its curves do."""

    plan: tuple[Any, ...]
    cells: list[Cell] | None = None
    stamp: int = 0


@dataclass
class StudyWatch:
    """A study that is looked at again and again; :meth:`poll` reads what changed, and tells it to its board.

    Args:
        say: puts the library's words into the reader's; the command line makes flags of parameters.

    Attributes:
        board: what a page is told, by key: ``head``, ``failures``, ``warnings``, ``rung.3``, ``trial.3.0``.
        record, look: None before the first poll, and of a study whose record is damaged.
        owners: the processes that run it.
        read: what was read of it so far.
    """

    found: Found
    say: Callable[[str], str] = str
    board: Board = field(default_factory=Board)
    record: StudyRecord | None = None
    look: Look | None = None
    owners: tuple[Owner, ...] = ()
    read: FilesRead = field(default_factory=FilesRead)
    standing: Standing = field(default_factory=lambda: Standing("reading", ""))

    def __post_init__(self) -> None:
        self._lock = RLock()
        self._rows: list[_Row] = []
        self._record_seen: tuple[int, int, int] | None = None
        self._wrong = ""
        self._names: set[str] = set()
        self._links: set[str] = set()
        self._names_seen: tuple[int, int] | None = None
        self._readings_seen: tuple[int, int, int] | None = None
        self._locked_at = -math.inf
        self._looked_at = -math.inf
        self._left = ""
        self._left_at = -math.inf
        self._behind = False
        self._has_locks = True
        self._known: dict[tuple[str, str], Cell] = {}
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
            self.read.number += 1
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
            cells: dict[str, list[Cell]] = {rung.name: [] for rung in part.rungs}
            for trial in planned:
                folder = self.folder / "trials" / trial.id
                known = self._known.get((trial.rung, folder.name))
                cells[trial.rung].append(known or Cell(trial, folder))
            for number, rung in zip(some, part.rungs, strict=True):
                self._rows[number].cells = cells[rung.name]
            done |= set(some)
        self._behind = bool(new)
        return done

    def _cells(self) -> Iterator[Cell]:
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
        of_command = self.record.scores is not None
        runs = main_owners(pid for pid in holders if pid is not None) if of_command else ()
        touched: set[tuple[int, int]] = set()
        for number, row in enumerate(self._rows):
            for place, cell in enumerate(row.cells or ()):
                if cell.ended and not thorough:
                    continue
                if cell.result is None and not cell.sentence and monotonic() > until:
                    self._behind = True
                    break
                before, name = cell.told, cell.folder.name
                if name not in self._names:
                    cell.reset()
                else:
                    cell.look_at_result(self.record, self.read, self.say, link=name in self._links)
                    if cell.ended or cell.state == DAMAGED:
                        pass
                    elif of_command:
                        cell.look_at_run(runs)
                    else:
                        holders.add(cell.look_at_training(locks, self.read))
                if cell.told != before:
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

    # What is said of it.

    def _tell(self, touched: set[tuple[int, int]], planned: set[int], *, whole: bool) -> None:
        """Tell the board what changed: trials, the rungs of these, and the study as a whole.

        Args:
            planned: rungs whose trials were worked out just now.
            whole: whether there is a new record, so that all is told anew.
        """
        assert self.record is not None
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
            values[f"trial.{number}.{place}"] = tell_trial(cells[place], self.record.measured_by)
        if values or self._behind or monotonic() - self._summed_at > _SUMMED:
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

    def _rung(self, number: int) -> dict[str, Any]:
        assert self.record is not None
        row, rung = self._rows[number], self.record.rungs[number]
        planned = len(self.record.seeds_of(rung.name))
        return tell_rung(rung, planned, row.cells or (), row.stamp, self.record.measured_by)

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
        if not self._has_locks:  # by the files, then
            running = ended < planned and time() - self.read.newest < files.QUIET
        state: State = "running" if running else "finished" if look.whole and ended == planned else "unfinished"
        if self._behind:
            state = "reading"
        self.standing = Standing(state, "", ended, planned, states[FAILED], states[DAMAGED], states[RUNNING])
        head = tell_head(
            record,
            self.standing,
            look,
            self.results().values(),
            running=running,
            left=self._time_left() if running else "",
        )
        return {
            "head": {**head, "place": self.found.place, "report": self._has_report()},
            "failures": tell_failures(cells, self.say),
            "warnings": tell_warnings((cell.result for cell in cells if cell.result is not None), self.say),
        }

    def _has_report(self) -> bool:
        try:
            return signature(self.folder / "report.html") is not None
        except OSError:
            return False

    def _time_left(self) -> str:
        """Write how long is left, worked out every few seconds."""
        if monotonic() - self._left_at < _LEFT:
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

        Raises:
            IndexError: there is no such rung.
        """
        with self._lock:
            row = self._rows[number]
            assert self.record is not None
            cells = row.cells or []
            for cell in cells:
                cell.read_history(self.read, self.say)
            shows_test = self.look is not None and self.look.whole
            return {"curve": row.stamp, **curves_of(cells, self.record, shows_test=shows_test)}
